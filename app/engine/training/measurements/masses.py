"""The mass meter: what the density of a flow integrates to, and what it would if the estimator were right."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from app.engine.training.measurements.measurement import Measurement
from resflow_core import measure
from resflow_core.log_det import Exact

if TYPE_CHECKING:
    from app.engine.commands import ViewRequest
    from app.engine.training.job import Job
    from resflow_core.breathe import Breathe
    from resflow_core.log_det import LogDet
    from resflow_core.measure import Edited

EVERY_SECONDS = 5.0
CELLS = {"rough": 40, "fine": 128}
"""On a side of the window in the quadrature: of a flow that moves, and of one that stands still."""


@dataclass(frozen=True)
class Masses:
    """The integral over the plane of the density at `step`: 1 by the exact log det, whatever else is believed."""

    step: int
    log_det: LogDet  # the training estimator that `believed` is about
    exact: measure.Mass
    # By the log det that the training estimator believes in; None when that is exact, or unknown.
    believed: measure.Mass | None
    belief: str = ""  # why it is unknown
    edited: Edited | None = None  # as it was asked for


def record(job: Job, request: ViewRequest, wanted: Any, breathe: Breathe, *, cells: str) -> Masses:
    """`cells` is a key of `CELLS`."""
    flow, step, log_det = copy.deepcopy(job.looked_at(request)), job.step_count, job.log_det
    try:
        beliefs, why_none = measure.Beliefs(flow, log_det), ""
    except ValueError as error:
        beliefs, why_none = measure.Beliefs(flow, Exact()), str(error)
    exact, believed, *_ = (*measure.masses(beliefs, job.dataset.window, CELLS[cells], breathe), None)
    return Masses(step, log_det, exact, believed, why_none, request.edited)


MASSES = Measurement(
    partial(record, cells="rough"), EVERY_SECONDS, of_training=True, at_rest=partial(record, cells="fine")
)
"""Wanted: true."""
