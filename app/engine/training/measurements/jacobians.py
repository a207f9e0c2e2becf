"""The Jacobians of all blocks over the plane."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from app.engine.training.measurements.measurement import Measurement
from resflow_core import measure

if TYPE_CHECKING:
    from app.engine.commands import ViewRequest
    from app.engine.training.job import Job
    from resflow_core.breathe import Breathe
    from resflow_core.data import Window

EVERY_SECONDS = 5.0
# Points of a part.
PART = 2500


@dataclass(frozen=True)
class Jacobians:
    """A = dg/dx of every residual block at `step`, where points of the data space come to it."""

    step: int
    grid: np.ndarray  # (blocks, n * n, 2, 2) float32, at `measure.grid_points` of the window
    points: np.ndarray  # (blocks, m, 2, 2) float32, at the first m held-out points
    density: np.ndarray  # (n, n) float32, p(x) at the same nodes
    window: Window


def record(job: Job, request: ViewRequest, wanted: int, breathe: Breathe) -> Jacobians:
    flow, step, dataset, n = copy.deepcopy(job.looked_at(request)), job.step_count, job.dataset, wanted
    parts = []
    for x in torch.cat([measure.grid_points(dataset.window, n), dataset.held_out()[: request.points]]).split(PART):
        evaluation = measure.evaluate(flow, x, breathe)
        parts.append((evaluation.log_prob, evaluation.jacobians))
        breathe()
    log_prob, jacobians = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    by_block = np.ascontiguousarray(jacobians.swapaxes(0, 1))
    density = np.exp(log_prob[: n * n]).reshape(n, n)
    return Jacobians(step, by_block[:, : n * n], by_block[:, n * n :], density, dataset.window)


JACOBIANS = Measurement(record, EVERY_SECONDS, needs=("points", "edited"))
"""Wanted: nodes a side of the grid."""
