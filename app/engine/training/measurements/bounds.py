"""What is guaranteed of a flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.engine.training.measurements.measurement import Measurement
from resflow_core import measure

if TYPE_CHECKING:
    from app.engine.commands import ViewRequest
    from app.engine.training.job import Job
    from resflow_core.breathe import Breathe

EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class Bounds:
    """What is guaranteed of the flow at `step`, and how the norm of its loosest layer is estimated."""

    step: int
    guarantees: measure.Guarantees
    estimates: measure.NormEstimates


def record(job: Job, request: ViewRequest, wanted: Any, breathe: Breathe) -> Bounds:
    flow = job.looked_at(request)
    evaluation = measure.evaluate(flow, job.dataset.held_out())
    return Bounds(job.step_count, measure.guarantees(flow, evaluation), measure.norm_estimates(flow))


BOUNDS = Measurement(record, EVERY_SECONDS)
"""Wanted: true."""
