"""A measurement of costs that is run like training: a step is a piece of it, so that it can be stopped and goes on."""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from app.engine.figures import Scaling
from app.engine.job import checked
from app.engine.messages import Arm, Demand, LossCurves
from resflow_core import measure
from resflow_core.log_det import Exact
from resflow_core.measure.scaling import Piece, Subject
from resflow_core.training import TrainConfig

NOTHING = LossCurves(*(np.empty(0, np.float32) for _ in range(10)), np.empty((0, 0, 0), np.float32))


class ScalingJob:
    """Has what a run and its views need of a `Job`. `arm.data` is the `Plan`."""

    device, device_reason = "cpu", "costs are compared there"

    def __init__(self, arm: Arm, seed: int, device: str, clock: Callable[[], float]):
        self._plan, self._seed, self._clock = replace(arm.data), seed, clock  # replace() makes the checks anew
        for dim in self._plan.dims:
            for log_det in (self._plan.train.log_det, Exact()):
                checked(replace(self._plan.flow, dim=dim), replace(self._plan.train, log_det=log_det))
        self._todo = self._plan.pieces
        self._done: list[Piece] = []
        self._subject: tuple[int, Subject] | None = None
        self.seconds = 0.0

    @property
    def step_count(self) -> int:
        """Pieces that are done."""
        return len(self._done)

    def configure(self, train_config: TrainConfig) -> None:
        """Another estimator is another plan."""

    def step(self) -> None:
        """The next piece; nothing once all are done."""
        if len(self._done) == len(self._todo):
            return
        start = self._clock()
        dim, k = self._todo[len(self._done)]
        if self._subject is None or self._subject[0] != dim:
            self._subject = dim, Subject(self._plan, dim, self._seed)
        self._done.append(self._subject[1].piece(k))
        self.seconds += self._clock() - start

    def measure_held_out(self, demand: Demand) -> tuple[None, None]:
        """There is nothing."""
        return None, None

    def curves(self) -> LossCurves:
        """There are none."""
        return NOTHING

    def frame(self, demand: Demand, *, with_samples: bool) -> None:
        """There is none."""

    def figures(self, demand: Demand) -> Iterator[Scaling]:
        """In one piece."""
        yield Scaling(self.step_count, len(self._todo), tuple(measure.by_dim(self._done)))

    def export(self) -> Any:
        """There is no flow to have."""

    def save(self) -> bytes:
        return pickle.dumps((self._done, self.seconds))

    def restore(self, saved: bytes) -> None:
        self._done, self.seconds = pickle.loads(saved)
        self._subject = None
