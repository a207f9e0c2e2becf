"""What all engines share: where the runs of an experiment are, and what is said to them."""

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from app.engine.commands import (
    Change,
    Close,
    Command,
    Hasten,
    Leave,
    Look,
    Pause,
    Play,
    Poll,
    Reset,
    Step,
    ViewRequest,
    Wish,
)
from app.engine.comparison import Comparison, Link, name_of
from app.engine.experiment import Arm, Experiment, parts_of
from app.engine.records.stored import Stored
from app.engine.records.train_schedule import TrainSchedule
from app.engine.records.watchers import Heard
from app.engine.reports import UNKNOWN, Checkpoint, Report, State

if TYPE_CHECKING:
    from resflow_core.training.trainer import TrainConfig


class Buttons(ABC):
    """The interface is `Engine`'s. An experiment of one arm is a run by its id; each arm of another one is a run by an
    id of its own, and a `Comparison` holds them in step. An engine says by which links its runs are reached."""

    plays_on = True
    """Whether what plays goes on by itself."""

    def __init__(self) -> None:
        self._stored = Stored()
        self._comparisons: dict[str, Comparison] = {}

    def stored(self, experiment: Experiment, step: int, fingerprints: tuple[str, ...] = ()) -> int:
        return max(self.checkpoints(experiment, step, fingerprints), default=0)

    def checkpoints(self, experiment: Experiment, step: int, fingerprints: tuple[str, ...] = ()) -> tuple[int, ...]:
        """Of several arms: each step at which one was saved, and the others before it."""
        steps = [self._stored.steps(part, step, fingerprints[k : k + 1]) for k, part in enumerate(parts_of(experiment))]
        if not all(steps):
            return ()
        return tuple(sorted(step for step in set().union(*steps) if step >= max(map(min, steps))))

    def create(self, experiment: Experiment, step: int = 0, fingerprints: tuple[str, ...] = ()) -> str:
        id, step = uuid.uuid4().hex, self.stored(experiment, step, fingerprints)
        links = self._links_for(experiment.arms)
        names, parts = self._names(id, links, step), parts_of(experiment)
        for k, (name, link, part) in enumerate(zip(names, links, parts, strict=True)):
            link.create(name, part, self._found(name, part, step, fingerprints[k : k + 1]))
        return id

    def preserve(self, id: str) -> int:
        comparison, home = self._comparisons.get(id), self._home(id)
        runs = comparison.runs if comparison else ((id, home),) if home else ()
        newest = [link.newest(name) for name, link in runs]
        steps = [checkpoint.step for checkpoint in newest if checkpoint and self._stored.put(checkpoint)]
        return max(steps, default=0) if len(steps) == len(newest) else 0

    def poll(self, id: str, request: ViewRequest) -> Report:
        link = self._link(id)
        report = link.poll(Poll(id, request)) if link else None
        return report or Report(id, State.EXPIRED, message=UNKNOWN)

    def attend(self, id: str) -> None:
        if link := self._link(id):
            link.attend(id)

    def look(self, id: str, wish: Wish) -> None:
        if link := self._link(id):
            link.look(Look(id, wish))

    def watch(self, id: str, heard: Heard) -> Callable[[], None]:
        link = self._link(id)
        return link.watch(id, heard) if link else lambda: None

    def export(self, id: str, arm_index: int) -> bytes | None:
        link = self._link(id)
        return link.export(id, arm_index) if link else None

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

    def _names(self, id: str, links: Sequence[Link], goal: int) -> list[str]:
        """The ids of the runs of an experiment, whose arms live there; those of several are held in step from now on,
        and go to the step `goal` first."""
        if len(links) == 1:
            return [id]
        self._comparisons[id] = Comparison(id, links, goal, plays_on=self.plays_on)
        return [name_of(id, k) for k in range(len(links))]

    def _send(self, command: Command) -> None:
        if link := self._link(command.id):
            link.send(command)
        if isinstance(command, Close):
            self._comparisons.pop(command.id, None)

    def _link(self, id: str) -> Link | Comparison | None:
        return self._comparisons.get(id) or self._home(id)

    def _found(self, id: str, experiment: Experiment, step: int, fingerprints: tuple[str, ...]) -> Checkpoint | None:
        """What a run of this name goes on from."""
        found = self._stored.find(experiment, step, fingerprints)
        return found and replace(found, id=id, schedules=tuple(map(TrainSchedule.of, experiment.arms)), handled=0)

    @abstractmethod
    def _links_for(self, arms: Sequence[Arm]) -> Sequence[Link]:
        """Where each of these arms is to be trained."""

    @abstractmethod
    def _home(self, id: str) -> Link | None:
        """Where this run is, of one arm."""
