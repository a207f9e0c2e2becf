"""What this screen answers from what is stored, as sentences, and whether they follow. Pure: numbers in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from app.engine.training.job_records import Scaling
from resflow_core.measure import AtDim, Crossing, crossing
from resflow_core.measure.survey import BOTH, NAIVE

if TYPE_CHECKING:
    from app.features.dimensions.evidence import Crossed

HIGH = 64
"""The dimension that the opening tells of."""
LARGE = 99.5
STRAIGHT = 0.03
"""Share by which a measured size may miss the line that larger ones are read from."""


def cheaper_from(found: Scaling) -> Crossing:
    """From which dimension on a training step by the estimate takes less time."""
    dims, times = [one.dim for one in found.found], [seconds(one) for one in found.found]
    return crossing(dims, *zip(*times, strict=True))


def seconds(at: AtDim) -> tuple[float, float]:
    """Of a training step, exact and by the estimate; NaN where it was not measured."""
    exact, estimate = (math.nan if found is None else found for found in (at.exact_seconds, at.estimate_seconds))
    return exact, estimate


def at_high(found: Scaling) -> AtDim:
    return next(one for one in found.found if one.dim == HIGH)


def exact_or_estimate(found: Crossed) -> str:
    """From which dimension on the estimate is the cheaper one, and what it is worth in 64."""
    meet, (exact, estimate) = cheaper_from(found.found), seconds(at_high(found.found))
    times, seeds = exact / estimate, len(found.runs)
    return (
        f"{_below(meet, found.found)} At d = {HIGH} a step with the estimate is {_times(times)}, but one estimate of "
        f"log p(x) is typically off by **{found.stray:.2g} nats** ({seeds} seed{'s' * (seeds > 1)})."
    )


def _below(meet: Crossing, found: Scaling) -> str:
    last = found.found[-1].dim
    if meet.dim is None:
        return f"Up to d = {last} a training step is faster with the exact log det than with an unbiased estimate."
    if meet.at_once:
        return (
            f"From d = {meet.dim:.0f} on a training step is faster with an unbiased estimate of the log det than with "
            "the exact one."
        )
    return (
        f"Below **d ≈ {meet.dim:.0f}** a training step is faster with the exact log det, and above with an unbiased "
        "estimate."
    )


def _times(ratio: float) -> str:
    return f"**{ratio:.1f} times faster**" if ratio >= 1 else f"{1 / ratio:.1f} times slower"


def crossing_claims(found: Crossed) -> Mapping[str, bool]:
    """What the opening rests on."""
    meets = [cheaper_from(run) for run in found.runs]
    return {
        "exact is cheaper in few dimensions and the estimate in many, in every seed": all(
            meet.dim is not None and not meet.at_once for meet in meets
        ),
        f"at d = {HIGH} the estimate is faster, in every seed": all(
            estimate < exact for exact, estimate in (seconds(at_high(run)) for run in found.runs)
        ),
    }


Bytes = Mapping[int, Mapping[str, float]]
"""By the points of a batch, and the way to differentiate."""


def bytes_at(found: Bytes, rows: int) -> Mapping[str, float]:
    """Bytes by way for so many points: as measured, else on the line through the fewest and the most measured."""
    if rows in found:
        return found[rows]
    (r0, low), (r1, high) = min(found.items()), max(found.items())
    return {name: low[name] + (high[name] - low[name]) * (rows - r0) / (r1 - r0) for name in high}


def memory(found: Bytes, rows: int, of: str, size_of: Callable[[float], str]) -> str:
    """What the log det `of` so many points needs term by term and with both tricks; `size_of` says bytes."""
    need = bytes_at(found, rows)
    ratio = need[NAIVE] / need[BOTH]
    times = f"{ratio:.2g}" if ratio < LARGE else f"{ratio:,.0f}"
    less = f", {times} times less" if ratio > 1 else ", which is not less"
    how = "" if rows in found else " (extrapolated)"
    return (
        f"The log det of {of} needs **{size_of(need[NAIVE])}** term by term and **{size_of(need[BOTH])}** with both "
        f"tricks of the paper{less}{how}."
    )


def memory_claims(found: Bytes) -> Mapping[str, bool]:
    """What the bars rest on."""
    claims = {
        f"each trick needs less than none, and both less than each, for {rows} points": _in_order(of)
        for rows, of in found.items()
    }
    first, *middle, last = sorted(found)
    ends = {rows: found[rows] for rows in (first, last)}
    for rows in middle:
        read = bytes_at(ends, rows)
        claims[f"bytes grow along a straight line, checked at {rows} points"] = all(
            math.isclose(read[name], found[rows][name], rel_tol=STRAIGHT) for name in read
        )
    return claims


def _in_order(of: Mapping[str, float]) -> bool:
    alone = [of[name] for name in of if name not in (NAIVE, BOTH)]
    return of[BOTH] < min(alone) and max(alone) < of[NAIVE]
