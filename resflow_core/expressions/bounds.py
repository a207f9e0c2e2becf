"""A certified bound of the largest |slope| of a formula on the whole line: interval arithmetic and subdivision.

The line is cut into cells. On each cell, every part of the tree has intervals that contain its value, slope and
curvature, rounded outwards. The search also knows the largest |slope| at sample points. It halves the cells whose bound
exceeds that slope by more than the share `TOLERANCE`, the steepest first if there are too many. It ends if no such cell
is left or the work reaches `MOST_WORK`. The work is counted, not timed, so that all machines find the same bound.

The last cells on both sides reach to infinity, and waves repeat themselves there. So these cells also have an interval
of phases, and sin and cos of one period see the same phase.
"""

import math
from dataclasses import dataclass

import numpy as np

from resflow_core.expressions.enclosures import Cells, Enclosed, points
from resflow_core.expressions.intervals import is_bounded
from resflow_core.expressions.tree import Node
from resflow_core.expressions.waves import Period, period_of

TOLERANCE = 2e-5
# The most rounds, and the most cells that one round halves.
MOST_ROUNDS, MOST_CELLS = 100, 10_000
# The work of a round is the work of the tree's parts on a cell (`enclosures.WORK`) times (cells + `ROUND`), because a
# round costs as much as `ROUND` more cells. `MOST_WORK` is about half a second. If it does not suffice, the bound is
# looser.
ROUND, MOST_WORK = 1_500, 12_000_000
# The two cells that reach to infinity begin at |z| = `TAIL`. Beyond `FAR` they are not cut any further.
TAIL, FAR = 64.0, 2.0**40
NARROW = 1e-9


def _first_cells(period: Period | None) -> Cells:
    """The cells to start from: they cover the line and are finer near 0."""
    inner = np.sinh(np.linspace(0, math.asinh(TAIL), 65))
    inner = np.concatenate([-inner[:0:-1], inner])
    low, high = inner[:-1], inner[1:]
    # A little longer than the period, so that rounding leaves no gap.
    phases = np.linspace(0, period.length * (1 + 1e-12), 8 * period.waves + 1) if period else np.array([0.0, 0.0])
    n = len(phases) - 1
    tails = [(np.full(n, TAIL), np.full(n, np.inf)), (np.full(n, -np.inf), np.full(n, -TAIL))]
    lows, highs = (np.concatenate([first, *(tail[i] for tail in tails)]) for i, first in enumerate((low, high)))
    if not period:
        return Cells(lows, highs, lows, highs, np.full(lows.shape, False))
    return Cells(
        lows,
        highs,
        np.concatenate([low, phases[:-1], phases[:-1]]),
        np.concatenate([high, phases[1:], phases[1:]]),
        np.arange(len(lows)) >= len(low),
    )


def _halves(cells: Cells, by_phase: np.ndarray) -> Cells:
    """Two halves of each cell: of its phase if it has one and `by_phase` is true, else of z."""
    low, high, phase_low, phase_high, waves = cells.arrays
    split = waves & by_phase
    middle = np.where(split, (phase_low + phase_high) / 2, cells.middle)
    lower = [low, np.where(split, high, middle), phase_low, np.where(split, middle, phase_high), waves]
    upper = [np.where(split, low, middle), high, np.where(split, middle, phase_low), phase_high, waves]
    for half in (lower, upper):
        half[2], half[3] = (np.where(waves, phase, z) for phase, z in zip(half[2:4], half[:2], strict=True))
    return Cells(*(np.concatenate(pair) for pair in zip(lower, upper, strict=True)))


@dataclass(frozen=True)
class Bound:
    """The supremum of |slope| lies in [found, bound]. At z = `at`, |slope| is `found`.

    If no bound was found, `bound` is infinite and `without_bound` is a cell on which the search failed.
    """

    bound: float
    found: float
    at: float
    without_bound: Cells | None = None


def largest_slope(tree: Node) -> Bound:
    """Bounds of the largest |slope| of a tree on the whole line."""
    period = period_of(tree)
    enclosed, exact = Enclosed(tree, period), Enclosed(tree)
    cells, found, at, settled, work, halvings = _first_cells(period), 0.0, 0.0, 0.0, 0, 0
    for number in range(MOST_ROUNDS):
        low, high = enclosed.slopes(cells)
        bounds = np.maximum(np.abs(low), np.abs(high))
        trial = points(_trials(cells, period))
        low, high = exact.whole(trial, curvature=False)[1]
        if not (defined := is_bounded((low, high))).all():
            return Bound(math.inf, found, at, _innermost(trial[~defined]))
        known = np.maximum(np.maximum(low, -high), 0.0)
        if known.max() > found:
            found, at = float(known.max()), float(trial.low[known.argmax()])
        narrow = cells.high - cells.low < NARROW * (1 + np.abs(cells.low))
        is_far = (np.isinf(cells.high) & (cells.low >= FAR)) | (np.isinf(cells.low) & (cells.high <= -FAR))
        stuck = np.isinf(bounds) & (is_far | narrow)
        if stuck.any():
            return Bound(math.inf, found, at, _innermost(cells[stuck]))
        open_ = (bounds > found * (1 + TOLERANCE)) & ~narrow
        settled = max(settled, float(bounds[~open_].max(initial=0.0)))
        if open_.sum() > MOST_CELLS:  # the others keep the bound that they have
            rest = open_.copy()
            rest[np.argpartition(np.where(open_, -bounds, 1.0), MOST_CELLS)[:MOST_CELLS]] = False
            settled, open_ = max(settled, float(bounds[rest].max())), open_ & ~rest
        work += (len(cells) + ROUND) * enclosed.work
        halve = 1 if open_.sum() > ROUND // 8 else 2  # a round costs more than a few cells
        next_work = (2**halve * int(open_.sum()) + ROUND) * enclosed.work
        last = number == MOST_ROUNDS - 1 or work + next_work > MOST_WORK
        if math.isinf(settled) or last or not open_.any():
            worst = max(settled, float(bounds[open_].max(initial=0.0)))
            return Bound(worst, found, at, cells[np.isinf(bounds)][:1] if math.isinf(worst) else None)
        cells, is_finite = cells[open_], np.isfinite(bounds[open_])
        for _ in range(halve):
            cells, is_finite = _halves(cells, is_finite & (halvings % 3 != 2)), np.tile(is_finite, 2)
            halvings += 1
    raise AssertionError


def _innermost(cells: Cells) -> Cells:
    """The cell nearest to 0."""
    nearest = np.abs(cells.middle).argmin()
    return cells[nearest : nearest + 1]


def _trials(cells: Cells, period: Period | None) -> np.ndarray:
    """A sample point for each cell: inside it, and with its middle phase if the cell has phases."""
    middle = np.clip(cells.middle, -1e6, 1e6)
    if not period:
        return middle
    phase, begin = (cells.phase_low + cells.phase_high) / 2, np.where(np.isfinite(cells.low), cells.low, 2 * cells.high)
    there = phase + period.length * np.ceil((begin - phase) / period.length)
    return np.where(cells.waves & (np.abs(begin) < 1e6), there, middle)
