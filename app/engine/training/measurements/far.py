"""What a hybrid makes of points far from the data."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from app.engine.training.measurements.measurement import Measurement
from app.quantise import to_shares, top_of
from resflow_core import measure
from resflow_core.data import Window

if TYPE_CHECKING:
    from app.engine.commands import ViewRequest
    from app.engine.training.job import Job
    from resflow_core.breathe import Breathe

EVERY_SECONDS = 3.0
# Windows a side of the map around the data, and its nodes a side.
WIDTHS, NODES = 3.0, 64


@dataclass(frozen=True)
class Wide:
    """The plane around the data at `NODES` x `NODES` nodes: row = y ascending, column = x ascending."""

    window: Window
    likeliest: np.ndarray  # (n, n) uint8, the number of the class
    confidence: np.ndarray  # (n, n) uint8, max p(y|x) as shares of 255
    density: np.ndarray  # (n, n) uint16, p(x) as shares of 65535
    largest: float  # the density that 65535 stands for
    top: float  # where colours end


@dataclass(frozen=True)
class FarAway:
    """What a hybrid makes at `step` of points far from the data."""

    step: int
    found: measure.Far
    wide: Wide | None = None


def record(job: Job, request: ViewRequest, wanted: Any, breathe: Breathe) -> FarAway:
    hybrid, step = copy.deepcopy(job.model), job.step_count
    window = job.dataset.window
    found = measure.far(hybrid, window, job.dataset.held_out(), breathe)
    breathe()
    around = wider(window)
    shares = measure.class_grid(hybrid, around, NODES)
    breathe()
    density = measure.density_grid(hybrid.flow, around, NODES, breathe)
    largest = float(density.max(initial=0.0, where=np.isfinite(density)))
    likeliest, sure = shares.argmax(2).astype(np.uint8), np.rint(255 * shares.max(2)).astype(np.uint8)
    return FarAway(step, found, Wide(around, likeliest, sure, to_shares(density, largest), largest, top_of(density)))


def wider(window: Window) -> Window:
    """`WIDTHS` times as wide and as high, around the same middle."""

    def side(low: float, high: float) -> tuple[float, float]:
        middle, half = (low + high) / 2, WIDTHS * (high - low) / 2
        return middle - half, middle + half

    return side(*window[0]), side(*window[1])


FAR = Measurement(record, EVERY_SECONDS, needs=())
"""Wanted: true."""
