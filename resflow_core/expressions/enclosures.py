"""Intervals that contain value, slope and curvature of every part of a formula while z is in a cell."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from resflow_core.expressions.arrays import down, up
from resflow_core.expressions.functions import FUNCTIONS, Interval
from resflow_core.expressions.intervals import (
    ONE,
    WHOLE,
    ZERO,
    add,
    enclosed,
    is_bounded,
    is_whole,
    multiply,
    negative,
    power_range,
    squared,
    tidy,
    twice,
    whole_unless,
)
from resflow_core.expressions.tree import CONSTANTS, Call, Node, Number, Power, Symbol, Z, parts_of, steps_of
from resflow_core.expressions.waves import PHASE, Period, with_phases


@dataclass(frozen=True)
class Cells:
    """n intervals of z, and of the phase that waves see; every array has shape (n,)."""

    low: np.ndarray
    high: np.ndarray
    phase_low: np.ndarray
    phase_high: np.ndarray
    waves: np.ndarray  # whether the phase has an interval of its own; else it is z

    def __len__(self) -> int:
        return len(self.low)

    def __getitem__(self, which) -> "Cells":
        return Cells(*(array[which] for array in self.arrays))

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """The fields in their order."""
        return self.low, self.high, self.phase_low, self.phase_high, self.waves

    @property
    def middle(self) -> np.ndarray:
        """The middle of each cell, or four times the finite end of a cell that reaches to infinity."""
        with np.errstate(invalid="ignore"):
            inner = np.where(np.isinf(self.low), 4 * self.high, (self.low + self.high) / 2)
            return np.where(np.isinf(self.high), 4 * self.low, inner)


def points(z: np.ndarray) -> Cells:
    """Cells of one point each, for z of shape (n,)."""
    return Cells(z, z, z, z, np.full(z.shape, False))


Enclosure = tuple[Interval, Interval, Interval]

# Measured cost of a part on a cell, in units of about 40 ns.
WORK = {"neg": 0, "+": 2, "-": 2, "min": 4, "max": 4, "*": 5, "/": 12}
WORK_OF_POWER, WORK_OF_FUNCTION = 6, 7


def work_of(node: Node) -> int:
    """The cost of enclosing a part on a cell, without its own parts, in units of about 40 ns."""
    if isinstance(node, Power):
        return WORK_OF_POWER
    return WORK.get(node.name, WORK_OF_FUNCTION) if isinstance(node, Call) else 0


class Enclosed:
    """Intervals that contain value, slope and curvature of a tree's parts on cells.

    With a `period`, the waves of that period depend on the phase of a cell instead of z. Without `curvature`, the
    interval of the curvature may be the whole line.
    """

    def __init__(self, tree: Node, period: Period | None = None):
        self.tree = with_phases(tree, period) if period else tree
        self.steps = steps_of(self.tree)
        self.work = 1 + sum(map(work_of, self.steps))
        self._parts = [[self.steps[part] for part in parts_of(node)] for node in self.steps]

    def __call__(self, cells: Cells, curvature: bool = True) -> dict[Node, Enclosure]:
        """The intervals of all parts. Intervals that are the same on all cells have arrays of one number."""
        return dict(zip(self.steps, self._all(cells, curvature), strict=True))

    def whole(self, cells: Cells, curvature: bool = True) -> Enclosure:
        """The intervals of the tree itself, with ends of shape (n,) for n cells."""
        found = self._all(cells, curvature)[-1]
        return tuple(tuple(np.broadcast_to(end, len(cells)) for end in derivative) for derivative in found)

    def _all(self, cells: Cells, curvature: bool) -> list[Enclosure]:
        found: list[Enclosure] = []
        with np.errstate(all="ignore"):
            for node, parts in zip(self.steps, self._parts, strict=True):
                found.append(_enclosure(node, [found[part] for part in parts], cells, curvature))
        return found

    def slopes(self, cells: Cells) -> Interval:
        """Bounds of the tree's slope on each cell, (n,) each: the intersection of two intervals.

        One is the slope's own interval. The other follows from the curvature by the mean value theorem: the slope lies
        in slope(middle) + curvature * (z - middle). If waves have a phase of their own, z moves along with the phase to
        the middle of the phases. So it leaves its own interval by at most `wide`.
        """
        wide = np.where(cells.waves, up(cells.phase_high - cells.phase_low), 0.0)
        cells = replace(
            cells,
            low=np.where(cells.waves, down(cells.low - wide), cells.low),
            high=np.where(cells.waves, up(cells.high + wide), cells.high),
        )
        _, (low, high), curvature = self.whole(cells)
        with np.errstate(all="ignore"):
            start, end = cells.phase_low, cells.phase_high
            usable = np.isfinite(start) & np.isfinite(end) & is_bounded(curvature)
            middle = np.where(usable, (start + end) / 2, 0.0)
            at = [np.where(cells.waves, x, middle) if cells.waves.any() else middle for x in (cells.low, cells.high)]
            at_middle = self.whole(Cells(*at, middle, middle, cells.waves), curvature=False)[1]
            away = tidy(down(start - middle), up(end - middle))
            around = add(at_middle, multiply(curvature, away))
        low = np.where(usable, np.maximum(low, around[0]), low)
        return low, np.where(usable, np.minimum(high, around[1]), high)


def _enclosure(node: Node, parts: list[Enclosure], cells: Cells, with_curvature: bool) -> Enclosure:
    if node in (Z, PHASE):
        return ((cells.low, cells.high) if node == Z else (cells.phase_low, cells.phase_high)), ONE, ZERO
    if isinstance(node, Number):
        return enclosed(node.value), ZERO, ZERO
    if isinstance(node, Symbol):
        return enclosed(CONSTANTS[node.name]), ZERO, ZERO
    if isinstance(node, Power):
        return _composed(lambda u, order: power_range(u, node.exponent, order), parts[0], with_curvature)
    if node.name in FUNCTIONS:
        function = FUNCTIONS[node.name]
        return _composed(lambda u, order: function.range(order, *u), parts[0], with_curvature)
    if node.name == "neg":
        return tuple(negative(derivative) for derivative in parts[0])
    if node.name in ("+", "-"):
        a, b = parts
        b = tuple(map(negative, b)) if node.name == "-" else b
        return tuple(add(x, y) for x, y in zip(a, b, strict=True))
    if node.name in ("min", "max"):
        return _chosen(node.name == "min", *parts)
    a, b = parts
    if node.name == "/":
        b = _composed(lambda u, order: power_range(u, Fraction(-1), order), b, with_curvature)
    value, slope = multiply(a[0], b[0]), add(multiply(a[1], b[0]), multiply(a[0], b[1]))
    # Even times 0, an undefined factor stays undefined. With an unbounded slope, the computed slope may not be finite.
    value = whole_unless(~(is_whole(a[0]) | is_whole(b[0])), value)
    slope = whole_unless(is_bounded(a[1]) & is_bounded(b[1]), slope)
    if not with_curvature:
        return value, slope, WHOLE
    outer = add(multiply(a[2], b[0]), multiply(a[0], b[2]))
    return value, slope, add(outer, twice(multiply(a[1], b[1])))


def _composed(ranges: Callable[[Interval, int], Interval], u: Enclosure, with_curvature: bool) -> Enclosure:
    value, outer = ranges(u[0], 0), ranges(u[0], 1)
    slope = whole_unless(is_bounded(outer) & is_bounded(u[1]), multiply(outer, u[1]))
    if not with_curvature:
        return value, slope, WHOLE
    if u[1] is ZERO:
        return value, slope, u[2]
    return value, slope, add(multiply(ranges(u[0], 2), squared(u[1])), multiply(outer, u[2]))


def _chosen(least: bool, a: Enclosure, b: Enclosure) -> Enclosure:
    if not least:
        return tuple(map(negative, _chosen(True, tuple(map(negative, a)), tuple(map(negative, b)))))
    value = np.minimum(a[0][0], b[0][0]), np.minimum(a[0][1], b[0][1])
    first, second = a[0][1] <= b[0][0], b[0][1] <= a[0][0]
    found = [value]
    for order in (1, 2):
        (low_a, high_a), (low_b, high_b) = a[order], b[order]
        low = np.where(first, low_a, np.where(second, low_b, np.minimum(low_a, low_b)))
        high = np.where(first, high_a, np.where(second, high_b, np.maximum(high_a, high_b)))
        found.append((low, high) if order == 1 else whole_unless(first | second, (low, high)))
    return tuple(found)
