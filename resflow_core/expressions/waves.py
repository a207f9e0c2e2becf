"""The sines and cosines of a formula that have a common period."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from resflow_core.expressions.tree import Call, Node, Number, Power, Symbol, Z, depends_on_z, parts_of

MOST_WAVES = 64
PHASE = Symbol("phase")


@dataclass(frozen=True)
class Period:
    """A common period of waves, 2 pi / (step pi^power). `waves` periods of the fastest wave fit into it."""

    step: Fraction
    power: int
    waves: int

    @property
    def length(self) -> float:
        """The length of the period, as float64."""
        return 2 * math.pi / (float(self.step) * math.pi**self.power)


def frequency(node: Node) -> tuple[Fraction, int] | None:
    """(c, k) if a part is c pi^k z + a constant with rational c, else None; c = 0 without z."""
    if not depends_on_z(node):
        return Fraction(0), 0
    if node == Z:
        return Fraction(1), 0
    if not isinstance(node, Call):
        return None
    if node.name == "neg":
        inner = frequency(node.parts[0])
        return inner and (-inner[0], inner[1])
    if node.name in ("+", "-"):
        a, b = map(frequency, node.parts)
        if a is None or b is None:
            return None
        sign = 1 if node.name == "+" else -1
        if not a[0] or not b[0]:
            return (a[0], a[1]) if a[0] else (sign * b[0], b[1])
        return (a[0] + sign * b[0], a[1]) if a[1] == b[1] else None
    if node.name in ("*", "/"):
        a, b = node.parts
        if node.name == "*" and depends_on_z(b):
            a, b = b, a
        inner, factor = frequency(a) if not depends_on_z(b) else None, _monomial(b)
        if inner is None or factor is None or not factor[0]:
            return None
        c, k = factor if node.name == "*" else (1 / factor[0], -factor[1])
        return inner[0] * c, inner[1] + k
    return None


def _monomial(node: Node) -> tuple[Fraction, int] | None:
    """(c, k) if a constant is c pi^k with rational c, else None."""
    if isinstance(node, Number):
        return node.value, 0
    if node == Symbol("pi"):
        return Fraction(1), 1
    if isinstance(node, Call) and node.name == "neg":
        inner = _monomial(node.parts[0])
        return inner and (-inner[0], inner[1])
    if isinstance(node, Call) and node.name in ("*", "/"):
        a, b = map(_monomial, node.parts)
        if a is None or b is None or (node.name == "/" and not b[0]):
            return None
        return (a[0] * b[0], a[1] + b[1]) if node.name == "*" else (a[0] / b[0], a[1] - b[1])
    return None


def _waves(node: Node) -> list[tuple[Fraction, int]]:
    """The frequencies of the outermost sin and cos of a z + b."""
    if isinstance(node, Call) and node.name in ("sin", "cos") and (found := frequency(node.parts[0])) and found[0]:
        return [found]
    return [wave for part in parts_of(node) for wave in _waves(part)]


def period_of(tree: Node) -> Period | None:
    """The common period of the first wave and all waves that share one with it.

    None without waves, or if more than `MOST_WAVES` periods of the fastest would fit into it.
    """
    waves = _waves(tree)
    if not waves:
        return None
    power = waves[0][1]
    ours = [abs(c) for c, k in waves if k == power]
    scale = math.lcm(*(c.denominator for c in ours))
    step = Fraction(math.gcd(*(int(c * scale) for c in ours)), scale)
    count = max(ours) / step
    return Period(step, power, int(count)) if count <= MOST_WAVES else None


def with_phases(node: Node, period: Period) -> Node:
    """The tree in which waves of this period depend on the phase instead of z."""
    if isinstance(node, Call) and node.name in ("sin", "cos"):
        found = frequency(node.parts[0])
        if found and found[0] and found[1] == period.power:
            return _replaced(node)
    if isinstance(node, Power):
        return replace(node, base=with_phases(node.base, period))
    return replace(node, parts=tuple(with_phases(p, period) for p in node.parts)) if isinstance(node, Call) else node


def _replaced(node: Node) -> Node:
    if node == Z:
        return PHASE
    if isinstance(node, Power):
        return replace(node, base=_replaced(node.base))
    return replace(node, parts=tuple(map(_replaced, node.parts))) if isinstance(node, Call) else node
