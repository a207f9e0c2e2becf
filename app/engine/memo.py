"""What the server remembers of an experiment: enough to answer its page, and to continue it in another worker."""

import math
import time
from dataclasses import dataclass, field, replace

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

# A process may die for many reasons; this often in a row at the same step, the run is suspect.
MOST_LOSSES = 2


@dataclass
class Memo:
    experiment: Experiment
    mailbox: Mailbox
    checkpoint: Checkpoint | None = None
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
            case Change(arm_index=index, train_config=train):
                arms = list(self.experiment.arms)
                arms[index] = replace(arms[index], train=train)
                self.experiment = replace(self.experiment, arms=tuple(arms))
            case Reset():
                self.playing, self.goal, self.checkpoint = False, 0, None
                self.mailbox.expect(State.LOADING)
            case Leave():
                self.seen = -math.inf
        self.sent += 1
        self.notice = ""

    def receive(self, message: Report | Checkpoint) -> None:
        if isinstance(message, Checkpoint):
            if message.step > self._saved_step:
                self.losses = 0
            self.checkpoint = message
            return
        shown = self.mailbox.report.state
        self.mailbox.put(message)
        if message.handled < self.sent:  # said before the last button was seen
            self.mailbox.expect(shown)
        elif message.state not in (State.QUEUED, State.LOADING):
            self.playing = message.state is State.PLAYING
            self.goal = self.mailbox.step + message.steps_left if message.steps_left else 0

    def create(self) -> Create:
        """The command that continues the experiment in a fresh worker."""
        self.sent = 0
        data = self.checkpoint.data if self.checkpoint else None
        steps = max(0, self.goal - self._saved_step)
        present = time.monotonic() - self.seen < AWAY_SECONDS
        return Create(self.mailbox.report.id, self.experiment, data, self.playing, steps, present)

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

    @property
    def _saved_step(self) -> int:
        return self.checkpoint.step if self.checkpoint else 0
