"""What the tricks are worth, and how bytes grow, from what was measured."""

import math
from dataclasses import dataclass

import numpy as np

from app.features.dimensions.memory.settings import Memory
from resflow_core.measure.survey import BOTH, NAIVE, Place, Survey


@dataclass(frozen=True)
class Saving:
    """What both tricks together are worth beside naive backpropagation, where most is measured."""

    terms: int
    blocks: int
    naive: float  # bytes that are drawn; NaN before they are measured
    both: float  # likewise
    naive_seconds: float  # CPU time of one pass; NaN before it is measured
    both_seconds: float  # likewise

    @property
    def measured(self) -> bool:
        """Whether the bytes of both ways are."""
        return math.isfinite(self.naive) and math.isfinite(self.both)

    @property
    def timed(self) -> bool:
        return math.isfinite(self.naive_seconds) and math.isfinite(self.both_seconds)


def saving(bench: Memory, survey: Survey) -> Saving:
    n, m, alone = survey.of.terms, survey.of.flow.blocks, bench.part == "log_det"
    places = [Place(name, n, m) for name in (NAIVE, BOTH)]
    costs = [survey.costs.get(place) for place in places]
    return Saving(
        n,
        m,
        *(survey.bytes_at(place, bench.drawn, alone) for place in places),
        *(cost.seconds if cost else math.nan for cost in costs),
    )


def per_step(x: list[int], y: list[float]) -> float:
    """The slope of the straight line that fits best (least squares); NaN while a point is missing."""
    return float(np.polyfit(x, y, 1)[0]) if len(x) > 1 and np.isfinite(y).all() else np.nan


def growth(bench: Memory, survey: Survey, name: str) -> tuple[float, float]:
    """Bytes that are drawn for each further term and each further block, of one of `GRADIENTS`; NaN before."""
    n, m, alone = survey.of.terms, survey.of.flow.blocks, bench.part == "log_det"
    by_terms, by_blocks = survey.of.term_ladder, survey.of.block_ladder
    return (
        per_step(by_terms, [survey.bytes_at(Place(name, k, m), bench.drawn, alone) for k in by_terms]),
        per_step(by_blocks, [survey.bytes_at(Place(name, n, k), bench.drawn, alone) for k in by_blocks]),
    )
