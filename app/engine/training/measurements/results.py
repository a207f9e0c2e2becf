"""What only jobs of one kind measure: bits per dimension, costs by dimension, the memory of gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.engine.training.measurements.measurement import Measurement

if TYPE_CHECKING:
    from app.engine.commands import ViewRequest
    from app.engine.training.digits_job import DigitsJob
    from app.engine.training.plan_job import PlanJob
    from resflow_core.breathe import Breathe

EVERY_SECONDS = 2.0


def record(job: DigitsJob | PlanJob, request: ViewRequest, wanted: Any, breathe: Breathe) -> Any:
    """The record is one of `app.engine.training.job_records`, or the core's `Survey`."""
    return job.results(breathe)


RESULTS = Measurement(record, EVERY_SECONDS, needs=())
"""Wanted: true."""
