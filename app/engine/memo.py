"""What the server remembers of an experiment: enough to answer its page, and to continue it in another worker."""

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from app.engine.mailbox import Mailbox
from app.engine.messages import (
    AWAY_SECONDS,
    Change,
    Checkpoint,
    Command,
    Create,
    Experiment,
    Leave,
    Pause,
    Play,
    Report,
    Reset,
    State,
    Step,
)
from app.engine.schedule import Schedule

if TYPE_CHECKING:
    from resflow_core.training import TrainConfig

# A process may die for many reasons; this often in a row at the same step, the run is suspect.
MOST_LOSSES = 2


@dataclass
class Memo:
    experiment: Experiment
    mailbox: Mailbox
    checkpoint: Checkpoint | None = None
    unsaved: list[tuple[int, Change]] = field(default_factory=list)  # since the checkpoint, and when they were sent
    reset_at: int = 0  # commands to the present worker up to the last reset
    playing: bool = False
    goal: int = 0  # the step at which it pauses, where steps were asked for
    sent: int = 0  # commands to the present worker
    seen: float = field(default_factory=time.monotonic)  # when its page was last heard of
    losses: int = 0  # times its process died since it was last saved
    notice: str = ""  # stays until the next command

    def note(self, command: Command) -> None:
        """Remember what a command asks for, and show its effect before the worker confirms it."""
        match command:
            case Play():
                self.playing, self.goal = True, 0
                self.mailbox.expect(State.PLAYING)
            case Pause():
                self.playing, self.goal = False, 0
                self.mailbox.expect(State.PAUSED)
            case Step(n=n):
                self.playing, self.goal = False, max(self.goal, self.mailbox.step) + n
                self.mailbox.expect(State.STEPPING)
            case Change():
                self.unsaved.append((self.sent + 1, command))
            case Reset():
                arms = tuple(
                    replace(arm, train=self._train(i), changes=()) for i, arm in enumerate(self.experiment.arms)
                )
                self.experiment = replace(self.experiment, arms=arms)
                self.playing, self.goal, self.checkpoint, self.unsaved = False, 0, None, []
                self.reset_at = self.sent + 1
                self.mailbox.expect(State.LOADING)
            case Leave():
                self.seen = -math.inf
        self.sent += 1
        self.notice = ""

    def receive(self, message: Report | Checkpoint) -> None:
        if isinstance(message, Checkpoint):
            if message.handled < self.reset_at:
                return
            if message.step > self._saved_step:
                self.losses = 0
            self.checkpoint = message
            self.unsaved = [(sent, change) for sent, change in self.unsaved if sent > message.handled]
            return
        shown = self.mailbox.report.state
        self.mailbox.put(message)
        if message.handled < self.sent:  # said before the last button was seen
            self.mailbox.expect(shown)
        elif message.state not in (State.QUEUED, State.LOADING):
            self.playing = message.state is State.PLAYING
            self.goal = self.mailbox.step + message.steps_left if message.steps_left else 0

    def start(self) -> list[Command]:
        """The commands that begin or continue the experiment in a fresh worker."""
        changes = [change for _, change in self.unsaved]
        self.unsaved, self.sent, self.reset_at = list(enumerate(changes, 1)), len(changes), 0
        steps = max(0, self.goal - self._saved_step)
        present = time.monotonic() - self.seen < AWAY_SECONDS
        create = Create(self.mailbox.report.id, self.experiment, self.checkpoint, self.playing, steps, present)
        return [create, *changes]

    def lose(self) -> None:
        """Its worker died. A run that may be the reason, since no worker gets beyond its checkpoint, is paused."""
        self.notice = f"The training process was restarted; this run continues from step {self._saved_step}."
        self.losses += 1
        if self.losses > MOST_LOSSES and (self.playing or self.goal):
            self.playing, self.goal = False, 0
            self.notice = (
                f"The training process died {self.losses} times while this run was at step {self._saved_step}; "
                "it is now paused. Lower the batch or the width before you play on."
            )
        report = self.mailbox.report
        self.mailbox.report = replace(report, state=State.LOADING, restarts=report.restarts + 1)

    def answer(self) -> Report:
        """What the page, which is there, is told now."""
        self.seen = time.monotonic()
        report = self.mailbox.take()
        return replace(report, message=" ".join(filter(None, (self.notice, report.message))))

    def _train(self, arm_index: int) -> "TrainConfig":
        """How an arm is trained now, as far as is known here."""
        if changed := [change for _, change in self.unsaved if change.arm_index == arm_index]:
            return changed[-1].train_config
        if arms := self.mailbox.report.arms:
            return arms[arm_index].train
        return Schedule.of(self.experiment.arms[arm_index]).at(0)

    @property
    def _saved_step(self) -> int:
        return self.checkpoint.step if self.checkpoint else 0
