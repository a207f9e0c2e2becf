"""Which settings train an arm at which step: those planned for it, and those set while it ran."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from app.engine.experiment import Arm

if TYPE_CHECKING:
    from resflow_core.training.trainer import TrainConfig


@dataclass(frozen=True)
class TrainSchedule:
    """(steps done, the settings from there on), ascending, the first at 0."""

    entries: tuple[tuple[int, TrainConfig], ...]

    @classmethod
    def of(cls, arm: Arm) -> TrainSchedule:
        """What is planned for an arm. Of two changes at one step the last counts."""
        return cls(((0, arm.train),))._with(dict(arm.changes))

    def planned(self, arm: Arm) -> Arm:
        """The arm with this for its plan."""
        (_, train), *changes = self.entries
        return replace(arm, train=train, changes=tuple(changes))

    def at(self, step: int) -> TrainConfig:
        """The settings of the step that comes when `step` are done."""
        return next(train for since, train in reversed(self.entries) if since <= step)

    def changes(self, step: int) -> tuple[tuple[int, TrainConfig], ...]:
        """What really changed, up to now that `step` steps are done."""
        return tuple(new for old, new in pairwise(self.entries) if new[0] <= step and new[1] != old[1])

    def changed(self, step: int, train: TrainConfig) -> TrainSchedule:
        """`train` takes over now that `step` steps are done, and what was planned for later is given up."""
        return TrainSchedule(tuple(entry for entry in self.entries if entry[0] <= step))._with({step: train})

    def restarted(self, step: int) -> TrainSchedule:
        """The settings in force at `step`, from the beginning and for good."""
        return TrainSchedule(((0, self.at(step)),))

    def _with(self, changes: dict[int, TrainConfig]) -> TrainSchedule:
        return TrainSchedule(tuple(sorted({**dict(self.entries), **changes}.items(), key=lambda entry: entry[0])))
