"""Curves of any length in at most `MOST` points each."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from app.engine.reports import LossCurves
from resflow_core.measure import Classification, Estimate

MOST = 400


class HeldOut(NamedTuple):
    """The losses on held-out points after `step` steps, `seconds` of training."""

    step: int
    nll: Estimate
    kl: Estimate | None  # where the density of the data is known
    bias: Estimate = Estimate(0.0, 0.0)
    orders: np.ndarray | None = None  # where some are learned
    seconds: float = 0.0
    scores: tuple[float, float, float] | None = None  # of a hybrid: accuracy, mean of -log p(y|x), ECE


@dataclass
class History:
    """The losses of one run. A curve that is full keeps every second point, so each point stays a true measurement."""

    stride: int = 1
    batch: list[tuple[int, float]] = field(default_factory=list)  # (step, mean NLL of its batch)
    held_out: list[HeldOut] = field(default_factory=list)
    classified: Classification | None = None  # the newest, in full
    notes: dict[str, list[tuple]] = field(default_factory=dict)  # of measurements: (step, values) each, by their names

    def add_batch(self, step: int, nll: float) -> None:
        if step % self.stride:
            return
        self.batch.append((step, nll))
        if len(self.batch) > MOST:
            self.stride *= 2
            self.batch = [point for point in self.batch if point[0] % self.stride == 0]

    def add_held_out(self, new: HeldOut, classified: Classification | None = None) -> None:
        if self.held_out and self.held_out[-1].step == new.step:
            return  # measured again for a page that came back
        if classified:
            scores = classified.accuracy.value, classified.nll.value, classified.reliability.ece
            new, self.classified = new._replace(scores=scores), classified
        self.held_out.append(new)
        if len(self.held_out) > MOST:
            self.held_out = self.held_out[::-2][::-1]  # keeps the newest

    def note(self, name: str, step: int, *values: Any) -> None:
        """What a measurement keeps of this step, once."""
        points = self.notes.setdefault(name, [])
        if points and points[-1][0] >= step:
            return
        points.append((step, *values))
        if len(points) > MOST:
            self.notes[name] = points[::-2][::-1]

    def series(self, name: str, *shapes: tuple[int, ...]) -> list[np.ndarray]:
        """All notes of this name: steps, (k,) int64, and of each value, which has such a shape, (k, *shape) float32."""
        points = self.notes.get(name, [])
        columns = zip(*points, strict=True) if points else [()] * (1 + len(shapes))
        steps, *values = (list(column) for column in columns)
        return [
            np.array(steps, np.int64),
            *(np.array(v, np.float32).reshape(-1, *shape) for v, shape in zip(values, shapes, strict=True)),
        ]

    def curves(self) -> LossCurves:
        step, batch_nll = np.array(self.batch, float).reshape(-1, 2).T
        return LossCurves(
            step.astype(np.int64),
            batch_nll.astype(np.float32),
            np.array([at.step for at in self.held_out], np.int64),
            *_columns([at.nll for at in self.held_out]),
            *_columns([at.kl for at in self.held_out if at.kl]),
            *_columns([at.bias for at in self.held_out]),
            np.array([at.seconds for at in self.held_out], np.float32),
            np.array([at.orders for at in self.held_out if at.orders is not None] or np.empty((0, 0, 0)), np.float32),
            *np.array([at.scores for at in self.held_out if at.scores], np.float32).reshape(-1, 3).T,
            self.classified,
        )


def _columns(estimates: list[Estimate]) -> np.ndarray:
    """Values and standard errors, (2, n)."""
    pairs = [(estimate.value, estimate.standard_error) for estimate in estimates]
    return np.array(pairs, np.float32).reshape(-1, 2).T
