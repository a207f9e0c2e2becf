"""Properties of one activation, found by evaluating it: its Lipschitz constant, its tails and its kinks.

The paper (section 3.3) asks for two things. |phi'| <= 1 everywhere, and the curvature phi'' must not vanish
asymptotically if |phi'| is near 1. Here phi is the function that a block uses: raw divided by its constant in the
2-norm.

All statements are about one unit. An arrangement may make several numbers from it: CLipSwish makes (f(t), f(-t)). Then
"|slope|" is the 2-norm of the derivatives of these numbers, the factor by which the unit stretches. "|curvature|" is
the 2-norm of their second derivatives. For an element-wise activation they are |phi'| and |phi''|.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import islice

import torch
from torch import Tensor

from resflow_core.activations import Activation, Near, ValueAndSlope, curvature

# The search for constants and kinks runs from -REACH to REACH in steps of STEP.
REACH, STEP = 20.0, 1e-3
# Tails are evaluated in windows of this width. Their radii grow by a constant factor, so a power of |z| gives a
# geometric sequence.
RADII, WIDTH, TAIL_STEP = tuple(10 ** (1 + k / 2) for k in range(7)), 20.0, 1e-2
# Limits differ if they are TOLERANCE apart. A sequence has converged if its last step is at most ARRIVED.
TOLERANCE, ARRIVED = 1e-3, 1e-4
# A |slope| of 1 - DELTA or more is near 1.
DELTA = 0.05
# A jump is a difference of JUMP, in units of the Lipschitz constant, over a distance below CLOSE.
JUMP, CLOSE = 1e-2, 1e-10
# The search for jumps halves at most MOST_CELLS cells at once, and divides the last ones into PARTS.
MOST_CELLS, PARTS = 2_000, 8
GOLDEN = (math.sqrt(5) - 1) / 2


class Verdict(Enum):
    """Whether, far out, the gradient of the log det gets no second derivatives although units keep their slope."""

    STARVES = "starves"
    DOES_NOT = "does not"


class Smoothness(Enum):
    """The number of continuous derivatives that the search finds. A "C2" activation may be smoother."""

    C0 = "C0"
    C1 = "C1"
    C2 = "C2"


@dataclass(frozen=True)
class Supremum:
    """The largest |slope| of a function before it is divided by its constant, and the constant that is claimed for
    it.
    """

    found: float
    at: float  # the place; infinite if the value is only approached in that tail
    claimed: float


@dataclass(frozen=True)
class Tail:
    """The limits of phi on one side, as z goes to infinity or minus infinity."""

    slope: float | None  # the limit of |slope|; None if there is none
    curvature: float | None  # the limit of |curvature|; None if there is none
    steep_curvature: float  # the largest |curvature| far out with |slope| >= 1 - DELTA; NaN if there is no such point

    @property
    def verdict(self) -> Verdict:
        """It starves if |slope| tends to 1 - DELTA or more while the curvature tends to 0.

        If |slope| has no limit, it starves if far out there are points with |slope| near 1 and all have curvature 0.
        """
        if self.slope is None:
            starves = self.steep_curvature <= TOLERANCE  # false for NaN
        else:
            starves = self.slope >= 1 - DELTA and self.curvature is not None and self.curvature <= TOLERANCE
        return Verdict.STARVES if starves else Verdict.DOES_NOT


@dataclass(frozen=True)
class Criteria:
    """The paper's two criteria (section 3.3) and the smoothness of one activation.

    `constant` is the constant of a unit with all numbers made from it, in the 2-norm: raw is divided by it. `function`
    is the constant of the function of one number that is applied to each of them. The two differ only if one unit gives
    several numbers.
    """

    constant: Supremum
    function: Supremum
    left: Tail  # z -> -infinity
    right: Tail
    smoothness: Smoothness
    kinks: tuple[float, ...]  # jumps in slope or curvature of the function of one number
    numbers: int  # made from one unit
    by_itself: bool  # False if other units decide where this one goes, as in MaxMin

    @property
    def verdict(self) -> Verdict:
        """It starves if one of its tails starves."""
        starves = Verdict.STARVES in (self.left.verdict, self.right.verdict)
        return Verdict.STARVES if starves else Verdict.DOES_NOT

    @property
    def is_one_number_to_one(self) -> bool:
        """Whether phi takes one number to one number."""
        return self.numbers == 1 and self.by_itself


def derivatives(function: ValueAndSlope, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Value, slope and curvature of a function of one number at every t, in the shape of t."""
    value, slope = islice(function(t), 2)
    return value, slope, curvature(function, t)


def unit_derivatives(activation: Activation, near: Near) -> tuple[Tensor, Tensor]:
    """|slope| and |curvature| of raw, of every unit of `near.t`, (units, batch).

    They are not divided by the constant. If an arrangement sorts pairs, the units come in sorted order.
    """
    arranged = near.arrangement.apply(near.t, near.pattern)
    found = near.slope, curvature(activation.function, arranged)
    if activation.copies == 1:
        slope, bend = (part.abs() for part in found)
    else:
        slope, bend = (part.reshape(activation.copies, *near.t.shape).square().sum(0).sqrt() for part in found)
    return slope, bend


@torch.no_grad()
def criteria(activation: Activation) -> Criteria:
    """The `Criteria` of an activation, from its derivatives in double precision."""
    divisor = activation.lipschitz(2)

    def unit(t: Tensor) -> tuple[Tensor, Tensor]:
        slope, bend = unit_derivatives(activation, activation.near(t[None]))
        return slope[0], bend[0]

    def function(t: Tensor) -> tuple[Tensor, Tensor]:
        _, slope, bend = derivatives(activation.function, t)
        return slope, bend

    jumps = [_jumps(lambda t, n=n: function(t)[n] / divisor) for n in (0, 1)]
    # If other units decide, there is a kink where t equals one of them.
    by_itself = activation.arrangement.pattern(torch.zeros(2, 1)) is None
    smoothness = Smoothness.C1 if jumps[1] else Smoothness.C2
    return Criteria(
        constant=_supremum(lambda t: unit(t)[0], divisor),
        # In the sup-norm, stacked numbers have the constant of the one function.
        function=_supremum(lambda t: function(t)[0].abs(), activation.lipschitz(math.inf)),
        left=_tail(lambda t: [part / divisor for part in unit(-t)]),
        right=_tail(lambda t: [part / divisor for part in unit(t)]),
        smoothness=Smoothness.C0 if jumps[0] or not by_itself else smoothness,
        kinks=tuple(sorted({round(place, 6) + 0.0 for place in jumps[0] + jumps[1]})),
        numbers=activation.copies,
        by_itself=by_itself,
    )


def _supremum(steepness: Callable[[Tensor], Tensor], claimed: float) -> Supremum:
    """The best node of a grid, improved by golden section between its neighbours, or the value in a tail if it is
    higher.
    """
    grid = _grid()
    values = steepness(grid)
    # On a plateau, rounding decides which value is largest. Take the place nearest to 0; of a pair +-z the right one.
    highest = grid[values >= values.max() - 1e-13].flip(0)
    at = float(highest[highest.abs().argmin()])
    found = float(values.max())
    low, high = at - STEP, at + STEP
    while high - low > 1e-9:
        inner = torch.tensor([high - GOLDEN * (high - low), low + GOLDEN * (high - low)], dtype=torch.float64)
        a, b = steepness(inner).tolist()
        low, high = (low, float(inner[1])) if a >= b else (float(inner[0]), high)
    better = float(steepness(torch.tensor([(low + high) / 2], dtype=torch.float64)))
    if better > found + 1e-13:
        found, at = better, (low + high) / 2
    for side in (-1, 1):
        beyond = float(steepness(side * _windows().flatten()).max())
        if beyond > found + 1e-10:
            found, at = beyond, side * math.inf
    return Supremum(found, at, claimed)


def _grid() -> Tensor:
    """Nodes from -REACH to REACH, with an exact 0."""
    n = round(REACH / STEP)
    return torch.arange(-n, n + 1, dtype=torch.float64) * STEP


def _windows() -> Tensor:
    """Points far out, (radii, points)."""
    return torch.tensor(RADII, dtype=torch.float64)[:, None] + torch.arange(0, WIDTH, TAIL_STEP, dtype=torch.float64)


def _tail(derivatives: Callable[[Tensor], list[Tensor]]) -> Tail:
    """The `Tail` towards +infinity, from the function that gives |slope| and |curvature| at t."""
    windows = _windows()
    slope, curvature = (part.view(windows.shape) for part in derivatives(windows.flatten()))
    steep = curvature[-1][slope[-1] >= 1 - DELTA]
    return Tail(_limit(slope), _limit(curvature), float(steep.max()) if len(steep) else math.nan)


def _limit(values: Tensor) -> float | None:
    """The common limit of the smallest and largest values in windows, (windows, points); None if they have none."""
    low, high = (_extrapolated(ends.tolist()) for ends in (values.amin(1), values.amax(1)))
    if low is None or high is None or high - low > TOLERANCE:
        return None
    return (low + high) / 2


def _extrapolated(values: list[float]) -> float | None:
    """The limit of a sequence that has converged, or that ends like a geometric one (Aitken's delta-squared
    process).
    """
    before, last = values[-2] - values[-3], values[-1] - values[-2]
    if abs(last) <= ARRIVED:
        return values[-1]
    ratio = last / before if before else math.inf
    return values[-1] + last * ratio / (1 - ratio) if 0 < ratio < 0.95 else None


def _jumps(function: Callable[[Tensor], Tensor]) -> list[float]:
    """The places where a function of one number jumps. Cells of the grid over which it changes are halved until tiny.

    If there are more than `MOST_CELLS` cells, those with the largest change stay: this is a search, not a proof. At the
    end, a jump still happens within a part of its cell. A fast wave changes less over a smaller part.
    """
    # Jumps are often at 0 or another short number. No node is there, so a jump is inside a cell.
    nodes = _grid() + STEP / math.pi
    values = function(nodes)
    low, high, at_low, at_high = nodes[:-1], nodes[1:], values[:-1], values[1:]
    while True:
        change = (at_high - at_low).abs()
        kept = (change >= JUMP / 2).nonzero()[:, 0]
        if len(kept) > MOST_CELLS:
            kept = change.topk(MOST_CELLS).indices
        low, high, at_low, at_high = (part[kept] for part in (low, high, at_low, at_high))
        if not len(low) or float((high - low).max()) < CLOSE:
            break
        middle = (low + high) / 2
        at_middle = function(middle)
        low, high = torch.cat([low, middle]), torch.cat([middle, high])
        at_low, at_high = torch.cat([at_low, at_middle]), torch.cat([at_middle, at_high])
    change = (at_high - at_low).abs()
    shares = torch.linspace(0, 1, PARTS + 1, dtype=torch.float64)[:, None]
    within = function((low + (high - low) * shares).flatten()).view(PARTS + 1, -1).diff(dim=0).abs()
    return low[(change >= JUMP) & (within.amax(0) >= change / 2)].sort().values.tolist()
