"""What the activations of a flow do: how many are saturated, and what is left of the gradient."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from app.engine.training.measurements.measurement import Measurement
from resflow_core import measure

if TYPE_CHECKING:
    from app.engine.commands import ViewRequest
    from app.engine.training.job import Job
    from resflow_core.breathe import Breathe
    from resflow_core.data import Window

EVERY_SECONDS = 3.0
# What saturates is measured at so many points, and mapped on so many nodes a side.
POINTS, GRID = 1_000, 60
GRADIENT_POINTS = 256


@dataclass(frozen=True)
class Activity:
    """What the activations of the flow do at `step`."""

    step: int
    points: int  # held-out points at which it is measured
    saturation: measure.Saturation | None  # at held-out points; None where only gradients were asked for
    share: np.ndarray | None  # (n, n) float32, of saturated units over the plane, row = y ascending
    window: Window
    split: measure.GradientSplit  # at held-out points
    steps: np.ndarray  # (k,) int64: when the gradients were measured so far
    log_det: np.ndarray  # (k, blocks) float32: norm of each block's gradient of the mean log det
    base: np.ndarray  # (k, blocks) float32: and of the mean log density of z


def record(job: Job, request: ViewRequest, wanted: str, breathe: Breathe) -> Activity:
    looked_at, step, dataset = job.looked_at(request), job.step_count, job.dataset
    # Like all curves of training, that of the gradients goes on without what is only looked at.
    flow, trains = copy.deepcopy(looked_at), looked_at is job.flow
    only_gradients = wanted == "gradients"
    points = dataset.held_out()[: GRADIENT_POINTS if only_gradients else POINTS]
    saturation = share = None
    if not only_gradients:
        saturation = measure.saturation(flow, points, breathe=breathe)
        share = measure.saturation_map(flow, measure.grid_points(dataset.window, GRID), breathe=breathe)
        share = share.reshape(GRID, GRID).astype(np.float32)
    split = measure.gradient_split(flow, points, breathe)
    if trains:
        job.history.note("gradients", step, split.blocks.log_det, split.blocks.base)
    steps, *norms = job.history.series("gradients", (len(flow.blocks),), (len(flow.blocks),))
    return Activity(step, len(points), saturation, share, dataset.window, split, steps, *norms)


ACTIVITY = Measurement(record, EVERY_SECONDS)
"""Wanted: "all", or "gradients" alone."""
