"""From the parts of a step to its picture: what is drawn of it, small enough to send, and what is said of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from app.quantise import Window

if TYPE_CHECKING:
    from resflow_core.log_det import LogDet
    from resflow_core.training.step_parts import LayerNorms, StepParts

MOST_POINTS = 400
"""Of the batch, that are drawn. All numbers are those of the whole batch."""


@dataclass(frozen=True)
class Mean:
    """A mean over the batch and its standard error; not a number where a batch of one has none."""

    value: float
    error: float


@dataclass(frozen=True)
class StepNumbers:
    """Of the whole batch. Losses and log dets in nats."""

    loss: Mean  # as it trained
    true_loss: Mean  # with the exact log det
    log_det: Mean
    true_log_det: Mean
    deviation: float  # root mean square over points of log det minus the exact one
    square: Mean  # |z|^2, which is d on average for a standard normal
    gain: Mean  # true loss after minus before, point by point
    true_loss_after: float
    fell: int  # points whose true loss fell
    shared_loss: float
    step_loss: float  # as the step itself computed it
    gradient_norm: float
    true_gradient_norm: float
    gradient_cosine: float
    clip: float
    learning_rate: float
    update_norm: float
    weights_norm: float
    update_cosine: float
    moved: float  # half the integral of |change| over the window: the probability that the update moved
    average_moved: float  # the same of the averaged weights


@dataclass(frozen=True, eq=False)
class StepPicture:
    """One step in its parts, of its first n points; the fields of `StepParts` of the same names."""

    step: int
    batch: int
    log_det_by: LogDet  # how training got it
    points: np.ndarray  # (n, 2) float32, as all arrays
    stages: np.ndarray  # (stages, n, 2)
    log_det: np.ndarray  # (n,)
    true_log_det: np.ndarray
    loss: np.ndarray
    true_loss: np.ndarray
    gain: np.ndarray  # true loss after minus before
    pull: np.ndarray  # (n, 2)
    true_pull: np.ndarray
    density: np.ndarray  # (grid, grid), row = y ascending, per unit area in the flow's units
    change: np.ndarray
    numbers: StepNumbers
    layers: LayerNorms | None


def picture_of(parts: StepParts, log_det_by: LogDet, window: Window, grid: int) -> StepPicture:
    """The picture of a step whose densities were taken at the nodes of a (grid, grid) over the window."""
    n = parts.places.shape[1]
    area = math.prod((high - low) / (grid - 1) for low, high in window)
    gain = parts.true_loss_after - parts.true_loss

    def moved(change: np.ndarray) -> float:
        return float(np.abs(change).sum() * area / 2)

    def some(values: np.ndarray) -> np.ndarray:
        return values[:n].astype(np.float32)

    def square(values: np.ndarray) -> np.ndarray:
        return values.reshape(grid, grid).astype(np.float32)

    with np.errstate(all="ignore"):  # a step may leave weights that are not finite
        numbers = StepNumbers(
            loss=mean(parts.loss),
            true_loss=mean(parts.true_loss),
            log_det=mean(parts.log_det),
            true_log_det=mean(parts.true_log_det),
            deviation=float(np.sqrt(np.square(parts.log_det - parts.true_log_det).mean())),
            square=mean(np.square(parts.z.astype(float)).sum(1)),
            gain=mean(gain),
            true_loss_after=float(parts.true_loss_after.mean()),
            fell=int((gain < 0).sum()),
            shared_loss=parts.shared_loss,
            step_loss=parts.step_loss,
            gradient_norm=parts.gradient_norm,
            true_gradient_norm=parts.true_gradient_norm,
            gradient_cosine=parts.gradient_cosine,
            clip=parts.clip,
            learning_rate=parts.learning_rate,
            update_norm=parts.update_norm,
            weights_norm=parts.weights_norm,
            update_cosine=parts.update_cosine,
            moved=moved(parts.change),
            average_moved=moved(parts.average_change),
        )
        return StepPicture(
            step=parts.step,
            batch=len(parts.x),
            log_det_by=log_det_by,
            points=some(parts.x),
            stages=parts.places.astype(np.float32),
            log_det=some(parts.log_det),
            true_log_det=some(parts.true_log_det),
            loss=some(parts.loss),
            true_loss=some(parts.true_loss),
            gain=some(gain),
            pull=some(parts.pull),
            true_pull=some(parts.true_pull),
            density=square(parts.density),
            change=square(parts.change),
            numbers=numbers,
            layers=parts.layers,
        )


def mean(values: np.ndarray) -> Mean:
    """The mean and its standard error, s / sqrt(b)."""
    values = values.astype(float)
    error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
    return Mean(float(values.mean()), error)
