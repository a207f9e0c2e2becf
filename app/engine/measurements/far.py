"""What a hybrid makes of points far from the data."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.engine.measurements.measurement import PIECE_SECONDS, Measurement
from resflow_core import measure

if TYPE_CHECKING:
    from app.engine.commands import ViewRequest
    from app.engine.job import Job

EVERY_SECONDS = 3.0


@dataclass(frozen=True)
class FarAway:
    """What a hybrid makes at `step` of points far from the data."""

    step: int
    found: measure.Far


def pieces(job: Job, request: ViewRequest, wanted: Any) -> Iterator[FarAway | None]:
    hybrid, step = copy.deepcopy(job.model), job.step_count
    for found in measure.far(hybrid, job.dataset.window, job.dataset.held_out()):
        yield found and FarAway(step, found)


FAR = Measurement(pieces, EVERY_SECONDS, PIECE_SECONDS, needs=(), divided=True)
"""Wanted: true."""
