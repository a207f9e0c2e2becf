"""What the Jacobians of a flow are like."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.engine.training.measurements.measurement import Measurement
from resflow_core import measure
from resflow_core.flow import Flow

if TYPE_CHECKING:
    import numpy as np

    from app.engine.commands import ViewRequest
    from app.engine.training.job import Job
    from resflow_core.breathe import Breathe

EVERY_SECONDS = 2.0
POINTS, SPECTRUM_POINTS = 500, 60


@dataclass(frozen=True)
class Derivatives:
    """What the Jacobians of the flow at `step` are like, at held-out points."""

    step: int
    structure: np.ndarray  # (2, 2): mean |d out_i / d in_j| of one layer
    spectrum: measure.Spectrum | None  # of all residual blocks; None where there are none


def record(job: Job, request: ViewRequest, wanted: Any, breathe: Breathe) -> Derivatives:
    flow, step, points = copy.deepcopy(job.looked_at(request)), job.step_count, job.dataset.held_out()[:POINTS]
    spectrum = None
    if isinstance(flow, Flow):
        measure.constrain(flow, breathe)
        spectrum = measure.spectrum(measure.evaluate(flow, points, breathe).jacobians, SPECTRUM_POINTS)
        breathe()
    return Derivatives(step, measure.jacobian_structure(flow, points), spectrum)


DERIVATIVES = Measurement(record, EVERY_SECONDS, needs=("pictured", "edited"), pictured=True)
"""Wanted: true."""
