"""What is guaranteed of a flow."""

from __future__ import annotations

import copy
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
    flow, step = copy.deepcopy(job.looked_at(request)), job.step_count
    measure.constrain(flow, breathe)
    evaluation = measure.evaluate(flow, job.dataset.held_out(), breathe)
    breathe()
    return Bounds(step, measure.guarantees(flow, evaluation), measure.norm_estimates(flow))


BOUNDS = Measurement(record, EVERY_SECONDS)
"""Wanted: true."""
