"""The part of the `Engine` interface that begins an experiment or says something to it, for engines that can send a
command."""

import uuid
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from app.engine.commands import Change, Close, Command, Hasten, Leave, Pause, Play, Reset, Step
from app.engine.experiment import Experiment
from app.engine.reports import Checkpoint
from app.engine.schedule import Schedule
from app.engine.stored import Stored

if TYPE_CHECKING:
    from resflow_core.training.trainer import TrainConfig


class Buttons(ABC):
    """Each method sends its command by `_send`, which an engine defines. It puts all checkpoints into `_stored`."""

    def __init__(self) -> None:
        self._stored = Stored()

    def stored(self, experiment: Experiment, step: int, made_by: tuple[str, ...] = ()) -> int:
        found = self._stored.find(experiment, step, made_by)
        return found.step if found else 0

    def checkpoints(self, experiment: Experiment, step: int, made_by: tuple[str, ...] = ()) -> tuple[int, ...]:
        return self._stored.steps(experiment, step, made_by)

    def create(self, experiment: Experiment, step: int = 0, made_by: tuple[str, ...] = ()) -> str:
        id = uuid.uuid4().hex
        self._begin(id, experiment, self._found(id, experiment, step, made_by))
        return id

    def preserve(self, id: str) -> int:
        newest = self._newest(id)
        return newest.step if newest and self._stored.put(newest) else 0

    def play(self, id: str) -> None:
        self._send(Play(id))

    def pause(self, id: str) -> None:
        self._send(Pause(id))

    def step(self, id: str, n: int, in_parts: bool = False) -> None:
        self._send(Step(id, n, in_parts))

    def change(self, id: str, arm_index: int, train_config: "TrainConfig") -> None:
        self._send(Change(id, arm_index, train_config))

    def reset(self, id: str) -> None:
        self._send(Reset(id))

    def hasten(self, id: str) -> None:
        self._send(Hasten(id))

    def leave(self, id: str) -> None:
        self._send(Leave(id))

    def close(self, id: str) -> None:
        self._send(Close(id))

    def _found(self, id: str, experiment: Experiment, step: int, made_by: tuple[str, ...]) -> Checkpoint | None:
        """What a run of this name goes on from."""
        found = self._stored.find(experiment, step, made_by)
        return found and replace(found, id=id, schedules=tuple(map(Schedule.of, experiment.arms)), handled=0)

    @abstractmethod
    def _begin(self, id: str, experiment: Experiment, checkpoint: Checkpoint | None) -> None:
        """Have an experiment by this name, paused, from its beginning or from a checkpoint."""

    @abstractmethod
    def _newest(self, id: str) -> Checkpoint | None:
        """The newest checkpoint of a run that is known."""

    @abstractmethod
    def _send(self, command: Command) -> None: ...
