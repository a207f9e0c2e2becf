"""A formula in z as a tree of immutable parts."""

import math
from dataclasses import dataclass
from fractions import Fraction

MOST_EXPONENT = 64
CONSTANTS = {"pi": math.pi, "e": math.e}


@dataclass(frozen=True)
class Number:
    """A number, exactly as it was written."""

    value: Fraction


@dataclass(frozen=True)
class Symbol:
    """z, pi or e."""

    name: str


@dataclass(frozen=True)
class Power:
    """A part raised to a constant rational power."""

    base: "Node"
    exponent: Fraction


@dataclass(frozen=True)
class Call:
    """A function of its parts. "+", "-", "*", "/" of two parts and "neg" of one part are functions too."""

    name: str
    parts: tuple["Node", ...]


Node = Number | Symbol | Power | Call
Z = Symbol("z")


def parts_of(node: Node) -> tuple[Node, ...]:
    """The parts of a node; () for numbers and symbols."""
    return node.parts if isinstance(node, Call) else (node.base,) if isinstance(node, Power) else ()


def depends_on_z(node: Node) -> bool:
    """Whether the node contains z."""
    return node == Z or any(map(depends_on_z, parts_of(node)))


def size(node: Node) -> int:
    """The number of nodes."""
    return 1 + sum(map(size, parts_of(node)))


def rational(node: Node) -> Fraction | None:
    """The exact value of a constant made of numbers by + - * / and powers; None for other nodes and huge values."""
    if isinstance(node, Number):
        return node.value
    values = [rational(part) for part in parts_of(node)]
    if None in values or not values:
        return None
    if isinstance(node, Power):
        (base,) = values
        small = node.exponent.denominator == 1 and abs(node.exponent) <= MOST_EXPONENT
        value = base ** int(node.exponent) if small and (base or node.exponent > 0) else None
    elif node.name in ("+", "-", "*"):
        a, b = values
        value = {"+": a + b, "-": a - b, "*": a * b}[node.name]
    elif node.name == "/":
        value = values[0] / values[1] if values[1] else None
    else:
        value = -values[0] if node.name == "neg" else None
    is_small = value is not None and max(value.numerator.bit_length(), value.denominator.bit_length()) < 1000
    return value if is_small else None


def steps_of(tree: Node) -> dict[Node, int]:
    """The different parts of a tree with their places, in an order in which each part comes after its own parts."""
    places: dict[Node, int] = {}

    def visit(node: Node) -> None:
        if node not in places:
            for part in parts_of(node):
                visit(part)
            places[node] = len(places)

    visit(tree)
    return places


def matches(pattern: Node, node: Node, bound: dict[str, Node]) -> bool:
    """Whether a node is the pattern with one part in place of z. That part is then `bound["z"]`."""
    if pattern == Z:
        return bound.setdefault("z", node) == node
    if not parts_of(pattern):
        return pattern == node
    same = type(pattern) is type(node) and len(parts_of(pattern)) == len(parts_of(node))
    if same and isinstance(pattern, Power):
        same = pattern.exponent == node.exponent
    elif same:
        same = pattern.name == node.name
    return same and all(matches(p, n, bound) for p, n in zip(parts_of(pattern), parts_of(node), strict=True))
