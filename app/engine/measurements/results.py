"""What only jobs of one kind measure: bits per dimension, costs by dimension, the memory of gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from app.engine.measurements.measurement import Measurement

if TYPE_CHECKING:
    from app.engine.commands import ViewRequest
    from app.engine.digits_job import DigitsJob
    from app.engine.measurement_job import MeasurementJob

EVERY_SECONDS = 2.0


def pieces(job: DigitsJob | MeasurementJob, request: ViewRequest, wanted: Any) -> Iterator[Any]:
    """The record is one of `app.engine.results`, or the core's `Survey`."""
    return job.results()


RESULTS = Measurement(pieces, EVERY_SECONDS, needs=())
"""Wanted: true."""
