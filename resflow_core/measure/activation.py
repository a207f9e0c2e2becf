"""What there is to say of an activation alone: its Lipschitz constant, its tails and its kinks, found by evaluating it.

The paper (section 3.3) asks for |phi'| <= 1 everywhere, and for a curvature phi'' that does not vanish asymptotically
where |phi'| is near 1. Here phi is what a block uses: raw divided by its constant in the 2-norm.

All is said of one unit. An arrangement may make several numbers of it, as CLipSwish's (f(t), f(-t)) does: then
"|slope|" is the 2-norm of the derivatives of these numbers, which is by how much the unit stretches, and "|curvature|"
that of their second derivatives. Of an element-wise activation they are |phi'| and |phi''|.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from resflow_core.activations import Activation
from resflow_core.fast.closed_forms import ClosedForm, closed_form

# Where constants and kinks are looked for, and how densely.
REACH, STEP = 20.0, 1e-3
# Tails are looked at in windows of this width, which begin at radii that grow by one factor, so that whatever falls by
# a power of |z| is a geometric sequence.
RADII, WIDTH, TAIL_STEP = tuple(10 ** (1 + k / 2) for k in range(7)), 20.0, 1e-2
# Limits are told apart by this much; a sequence that moves less than the second one has arrived.
TOLERANCE, ARRIVED = 1e-3, 1e-4
# |slope| is near 1 from 1 - DELTA on.
DELTA = 0.05
# A jump is a difference of this size, in units of the Lipschitz constant, that is still there over this distance.
JUMP, CLOSE = 1e-2, 1e-10
# So many cells are halved at once in the search for jumps, and in so many parts are the last ones looked at.
MOST_CELLS, PARTS = 2_000, 8
GOLDEN = (math.sqrt(5) - 1) / 2


class Verdict(Enum):
    """Whether the log det's gradient gets no second derivatives where units keep their slope, far out."""

    STARVES = "starves"
    DOES_NOT = "does not"


class Smoothness(Enum):
    """How many continuous derivatives there are, as far as a search finds; "C2" may be smoother."""

    C0 = "C0"
    C1 = "C1"
    C2 = "C2"


@dataclass(frozen=True)
class Supremum:
    """The largest |slope| of a function before it is divided by anything, beside what the entry claims it to be."""

    found: float
    at: float  # where; infinite where it is only approached, in that tail
    claimed: float


@dataclass(frozen=True)
class Tail:
    """What becomes of phi far out on one side."""

    slope: float | None  # the limit of |slope|; None: it has no limit
    curvature: float | None  # the limit of |curvature|; None: it has no limit
    steep_curvature: float  # the largest |curvature| far out where |slope| >= 1 - DELTA; NaN where it nowhere is

    @property
    def verdict(self) -> Verdict:
        """It starves where |slope| tends to 1 - DELTA or more while curvature -> 0. Without a limit of |slope|: where
        there is no curvature at any of the places far out, however far, at which |slope| is near 1.
        """
        if self.slope is None:
            starves = self.steep_curvature <= TOLERANCE  # never true of NaN
        else:
            starves = self.slope >= 1 - DELTA and self.curvature is not None and self.curvature <= TOLERANCE
        return Verdict.STARVES if starves else Verdict.DOES_NOT


@dataclass(frozen=True)
class Criteria:
    """The paper's two criteria, and smoothness, of one activation.

    `constant` is of a unit with all numbers made of it, in the 2-norm: what raw is divided by. `function` is of the
    function of one number that is applied to each of them: the same, unless a unit has several.
    """

    constant: Supremum
    function: Supremum
    left: Tail  # z -> -infinity
    right: Tail
    smoothness: Smoothness
    kinks: tuple[float, ...]  # where the function of one number has a jump in its slope or its curvature
    numbers: int  # that one unit becomes
    by_itself: bool  # False where other units decide where this one goes, as in MaxMin

    @property
    def verdict(self) -> Verdict:
        """It starves if one of its tails does."""
        starves = Verdict.STARVES in (self.left.verdict, self.right.verdict)
        return Verdict.STARVES if starves else Verdict.DOES_NOT

    @property
    def is_one_number_to_one(self) -> bool:
        """Whether phi is a function of one number with values of one number."""
        return self.numbers == 1 and self.by_itself


def unit_derivatives(form: ClosedForm, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """raw(t), (copies * units, batch), and |slope| and |curvature| of every unit of t, (units, batch), not divided by
    the constant. Of sorted pairs the units come as they are sorted."""
    arrangement = form.arrangement
    y, slope, curvature = form.derivatives(arrangement.apply(t, arrangement.pattern(t)))
    if arrangement.copies == 1:
        return y, slope.abs(), curvature.abs()
    shape = (arrangement.copies, *t.shape)
    return y, *(part.reshape(shape).square().sum(0).sqrt() for part in (slope, curvature))


@torch.no_grad()
def criteria(activation: Activation) -> Criteria:
    """Of an activation, by evaluating its derivatives in double precision."""
    form = closed_form(activation)
    divisor = form.lipschitz(2)

    def unit(t: Tensor) -> tuple[Tensor, Tensor]:
        _, slope, curvature = unit_derivatives(form, t[None])
        return slope[0], curvature[0]

    def function(t: Tensor) -> tuple[Tensor, Tensor]:
        _, slope, curvature = form.derivatives(t)
        return slope, curvature

    jumps = [_jumps(lambda t, n=n: function(t)[n] / divisor) for n in (0, 1)]
    # Where other units decide, there is a kink where one of them is passed.
    by_itself = form.arrangement.pattern(torch.zeros(2, 1)) is None
    smoothness = Smoothness.C1 if jumps[1] else Smoothness.C2
    return Criteria(
        constant=_supremum(lambda t: unit(t)[0], divisor),
        # Stacked numbers have in the sup-norm the constant of the one function.
        function=_supremum(lambda t: function(t)[0].abs(), form.lipschitz(math.inf)),
        left=_tail(lambda t: [part / divisor for part in unit(-t)]),
        right=_tail(lambda t: [part / divisor for part in unit(t)]),
        smoothness=Smoothness.C0 if jumps[0] or not by_itself else smoothness,
        kinks=tuple(sorted({round(place, 6) + 0.0 for place in jumps[0] + jumps[1]})),
        numbers=activation.copies,
        by_itself=by_itself,
    )


def _supremum(steepness: Callable[[Tensor], Tensor], claimed: float) -> Supremum:
    """The best node of a grid, improved by golden section between its neighbours; or a tail, where that is higher."""
    grid = _grid()
    values = steepness(grid)
    # Of a plateau, where rounding moves the largest about, the place nearest to 0; of a pair +-z the right one.
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
    """From -REACH to REACH, with an exact 0."""
    n = round(REACH / STEP)
    return torch.arange(-n, n + 1, dtype=torch.float64) * STEP


def _windows() -> Tensor:
    """Points far out, (radii, points)."""
    return torch.tensor(RADII, dtype=torch.float64)[:, None] + torch.arange(0, WIDTH, TAIL_STEP, dtype=torch.float64)


def _tail(derivatives: Callable[[Tensor], list[Tensor]]) -> Tail:
    """From |slope| and |curvature| at t, towards +infinity."""
    windows = _windows()
    slope, curvature = (part.view(windows.shape) for part in derivatives(windows.flatten()))
    steep = curvature[-1][slope[-1] >= 1 - DELTA]
    return Tail(_limit(slope), _limit(curvature), float(steep.max()) if len(steep) else math.nan)


def _limit(values: Tensor) -> float | None:
    """The common limit of the least and the greatest value in windows, (windows, points); None if they have none."""
    low, high = (_extrapolated(ends.tolist()) for ends in (values.amin(1), values.amax(1)))
    if low is None or high is None or high - low > TOLERANCE:
        return None
    return (low + high) / 2


def _extrapolated(values: list[float]) -> float | None:
    """The limit of a sequence that has arrived or ends like a geometric one (Aitken's delta-squared process)."""
    before, last = values[-2] - values[-3], values[-1] - values[-2]
    if abs(last) <= ARRIVED:
        return values[-1]
    ratio = last / before if before else math.inf
    return values[-1] + last * ratio / (1 - ratio) if 0 < ratio < 0.95 else None


def _jumps(function: Callable[[Tensor], Tensor]) -> list[float]:
    """Where a function of one number jumps: cells of the grid over which it differs, halved until they are tiny.

    Of more cells than `MOST_CELLS` those stay over which it differs most: a search, not a proof. A jump is what is then
    still within a part of its cell, while a wave, however fast, differs less over less.
    """
    # No node is 0 or another short number, at which jumps like to be: a jump is within a cell.
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
