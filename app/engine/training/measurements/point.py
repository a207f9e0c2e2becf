"""The log density of one point that the page has chosen, term by term."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from app.engine.training.measurements.measurement import Measurement
from resflow_core import measure
from resflow_core.estimators.moments import mean_and_deviation, spectral_radius
from resflow_core.flow import Flow
from resflow_core.log_det import Exact

if TYPE_CHECKING:
    from app.engine.commands import Edited, ViewRequest
    from app.engine.training.job import Job
    from resflow_core.breathe import Breathe
    from resflow_core.log_det import LogDet

EVERY_SECONDS = 0.25


@dataclass(frozen=True, eq=False)
class AtPoint:
    """One point x of the flow at `step`."""

    step: int
    x: tuple[float, float]  # in the flow's units
    terms: measure.Terms
    log_det: LogDet  # how training estimates the log det of each block
    means: np.ndarray  # E of that estimate of every block, (blocks,), nats
    deviations: np.ndarray  # its standard deviation, (blocks,), which can be infinite
    radii: np.ndarray  # the spectral radius of every A, (blocks,)
    true_log_prob: float | None = None  # log p of the data at x, where it is known
    edited: Edited | None = None  # as it was asked for


def record(job: Job, request: ViewRequest, wanted: tuple[float, float], breathe: Breathe) -> AtPoint | None:
    """None for a flow that has no residual blocks."""
    flow = job.looked_at(request)
    if not isinstance(flow, Flow):
        return None
    found = measure.terms(flow, np.array(wanted))
    jacobians = torch.as_tensor(found.jacobians)
    try:
        means, deviations = mean_and_deviation(job.log_det, jacobians)
        log_det = job.log_det
    except ValueError:  # an estimator without a closed form: the exact one stands alone
        log_det = Exact()
        means, deviations = mean_and_deviation(log_det, jacobians)
    truth = getattr(job.dataset, "truth", None)
    return AtPoint(
        job.step_count,
        wanted,
        found,
        log_det,
        means.numpy(),
        deviations.numpy(),
        spectral_radius(jacobians).numpy(),
        None if truth is None else float(truth.log_prob(torch.tensor([wanted], dtype=torch.float32))),
        request.edited,
    )


POINT = Measurement(record, EVERY_SECONDS, of_training=True)
"""Wanted: x, two numbers in the flow's units."""
