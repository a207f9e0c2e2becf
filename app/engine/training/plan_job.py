"""Plans of what costs and errors are, worked off like training: a step does one piece, so that it can be stopped and
goes on. What is measured of a flow while it trains is in `measurements/`."""

import pickle
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from app.engine.commands import ViewRequest
from app.engine.reports import LossCurves
from app.engine.training.weights import Weights
from resflow_core.breathe import Breathe, without
from resflow_core.training import compilation
from resflow_core.training.trainer import TrainConfig

NOTHING = LossCurves(*(np.empty(0, np.float32) for _ in range(10)), np.empty((0, 0, 0), np.float32))


class PlanJob:
    """An `ArmJob` whose steps are pieces of a plan. A subclass says how a piece is measured (`_piece`), and what of the
    results is shown (`results`)."""

    device, device_reason = "cpu", "costs are compared there"
    hastens = has_weights = False

    def __init__(self, pieces: int, clock: Callable[[], float], done: Iterable[Any] = ()):
        """`done` are the results of the first of so many `pieces`, where some are known already."""
        self._pieces, self.clock = pieces, clock
        self._done = list(done)
        self.seconds = 0.0

    @property
    def fingerprint(self) -> str:
        """Of torch, which measures."""
        return compilation.fingerprint("torch")

    @property
    def why_torch(self) -> str:
        """Nothing: that is as usual."""
        return ""

    def hasten(self) -> None:
        """Torch measures."""

    @property
    def step_count(self) -> int:
        """Pieces that are done."""
        return len(self._done)

    def configure(self, train_config: TrainConfig) -> None:
        """What is measured does not change: other settings are another measurement."""

    def step(self, breathe: Breathe = without) -> None:
        """Measure the next piece; nothing once all pieces are done."""
        if len(self._done) == self._pieces:
            return
        start = self.clock()
        self._done.append(self._piece(len(self._done), breathe))
        self.seconds += self.clock() - start

    def _piece(self, k: int, breathe: Breathe) -> Any:
        """The result of the piece of this number, from 0."""
        raise NotImplementedError

    def record_next_step(self, request: ViewRequest) -> None:
        """No step of it has parts to be shown."""

    def hand_over_parts(self) -> None:
        """There are none."""

    def measure_held_out(self, request: ViewRequest, breathe: Breathe = without) -> None:
        """There is nothing."""

    def curves(self) -> LossCurves:
        """There are none."""
        return NOTHING

    def frame(self, request: ViewRequest, breathe: Breathe = without) -> None:
        """There is none."""

    def weights(self, request: ViewRequest) -> Weights:
        """There are none."""
        raise NotImplementedError

    def results(self, breathe: Breathe = without) -> Any:
        """What is known so far."""
        raise NotImplementedError

    def export(self) -> None:
        """There is no flow to have."""

    def save(self) -> bytes:
        """The results so far."""
        return pickle.dumps((self._done, self.seconds))

    def restore(self, saved: bytes) -> None:
        self._done, self.seconds = pickle.loads(saved)
