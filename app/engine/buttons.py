"""The part of the `Engine` interface that says something to one experiment, for engines that can send a command."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from app.engine.commands import Change, Close, Command, Leave, Pause, Play, Reset, Step

if TYPE_CHECKING:
    from resflow_core.training.trainer import TrainConfig


class Buttons(ABC):
    """Each method sends its command by `_send`, which an engine defines."""

    def play(self, id: str) -> None:
        self._send(Play(id))

    def pause(self, id: str) -> None:
        self._send(Pause(id))

    def step(self, id: str, n: int) -> None:
        self._send(Step(id, n))

    def change(self, id: str, arm_index: int, train_config: "TrainConfig") -> None:
        self._send(Change(id, arm_index, train_config))

    def reset(self, id: str) -> None:
        self._send(Reset(id))

    def leave(self, id: str) -> None:
        self._send(Leave(id))

    def close(self, id: str) -> None:
        self._send(Close(id))

    @abstractmethod
    def _send(self, command: Command) -> None: ...
