"""The inverse of one block."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from app.engine.training.measurements.measurement import Measurement
from resflow_core import measure

if TYPE_CHECKING:
    from app.engine.commands import ViewRequest
    from app.engine.training.job import Job
    from resflow_core.breathe import Breathe
    from resflow_core.measure import Edited

EVERY_SECONDS = 2.0


@dataclass(frozen=True)
class InversionRequest:
    """Which block's inverse is drawn, of which z (None: one where its map folds first), and whose steps are counted."""

    block: int | None = None  # from 0; None: the one that folds at the smallest scale
    z: tuple[float, float] | None = None
    method: str = "banach"  # a key of `resflow_core.measure.inverse_iterations.ITERATIONS`


@dataclass(frozen=True)
class Inversions:
    """One block's inverse at `step`, as it was asked for."""

    step: int
    request: InversionRequest
    edited: Edited | None
    found: measure.Inversion


def record(job: Job, request: ViewRequest, wanted: InversionRequest, breathe: Breathe) -> Inversions:
    flow, step, edited = copy.deepcopy(job.flow), job.step_count, request.edited
    # A page that has just chosen a flow with fewer blocks may still ask for one that it has not.
    block = None if wanted.block is None else min(wanted.block, flow.config.blocks - 1)
    scale, altered = 1.0, None
    if edited is not None and edited.block == block and edited.fits(flow.config):
        scale, altered = edited.scale, replace(edited, scale=1.0).of(flow)
    points = job.dataset.held_out()[: request.points]
    found = measure.inversion(flow, points, block, scale, wanted.z, wanted.method, altered, breathe)
    return Inversions(step, wanted, edited, found)


INVERSION = Measurement(record, EVERY_SECONDS)
"""Wanted: an `InversionRequest`."""
