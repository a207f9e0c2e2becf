"""One block with its weights, before and after they are edited, and what that makes of the density."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from app.engine.training.measurements.measurement import Measurement
from app.engine.training.weights import encode
from resflow_core import measure

if TYPE_CHECKING:
    from app.engine.commands import ViewRequest
    from app.engine.training.job import Job
    from resflow_core.breathe import Breathe
    from resflow_core.data import Dataset
    from resflow_core.measure import Edited

EVERY_SECONDS = 1.0
"""Of a flow that moves; what is edited is answered at once."""
GRID = 50
"""Nodes a side of the density."""


@dataclass(frozen=True)
class EditsRequest:
    """Which block is opened, from 0."""

    block: int


@dataclass(frozen=True)
class Edits:
    """One block at `step`, and the density of the flow with it, as the page has `edited` it and as it is trained."""

    step: int
    request: EditsRequest
    edited: Edited | None
    found: measure.EditedBlock
    density: np.ndarray  # (n, n), row = y ascending, per unit area; not finite where the flow is not
    trained: np.ndarray  # (n, n) that of the flow that trains
    weights: bytes | None = None  # of the flow with the block, for a browser that draws it (`engine.weights`)


def record(job: Job, request: ViewRequest, wanted: EditsRequest, breathe: Breathe) -> Edits:
    # A page that has just chosen a smaller flow may still ask for a block or a weight that it has not.
    flow, step, window = copy.deepcopy(job.flow), job.step_count, cast("Dataset", job.dataset).window
    edited = request.edited if request.edited is not None and request.edited.fits(flow.config) else None
    block = min(wanted.block, flow.config.blocks - 1)
    found = measure.edited_block(flow, edited, block, job.dataset.held_out()[: request.points], breathe)
    breathe()
    trained = measure.density_grid(flow, window, GRID, breathe)
    density, shown = trained, flow
    if edited is not None:
        breathe()
        shown = edited.of(flow)
        density = measure.density_grid(shown, window, GRID, breathe)
    weights = encode(job.weights_of(shown, step)) if job.has_weights else None
    return Edits(step, wanted, request.edited, found, density, trained, weights)


EDITS = Measurement(record, EVERY_SECONDS, at_once=True)
"""Wanted: an `EditsRequest`."""
