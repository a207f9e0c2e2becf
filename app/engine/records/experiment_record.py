"""What the server remembers of an experiment: enough to answer its page, and to continue it in another worker."""

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from app.engine.clocks import AWAY_SECONDS, Clock
from app.engine.commands import Change, Command, Create, Leave, Pause, Play, Reset, Step
from app.engine.experiment import Experiment
from app.engine.records.latest_report import LatestReport
from app.engine.records.train_schedule import TrainSchedule
from app.engine.reports import MOVING, Checkpoint, Report, State

if TYPE_CHECKING:
    from resflow_core.training.trainer import TrainConfig

# A process may die for many reasons. A run is set aside where it dies so often at the same step of it, or so often at
# any of its steps without a new checkpoint.
MOST_LOSSES, MOST_LOSSES_ANYWHERE = 2, 4
# After so long without a sign of the training process its pages say so, and after so long it is replaced.
SILENT_SECONDS, HANGS_SECONDS = 3.0, 20.0


@dataclass(frozen=True)
class Restart:
    """What restarts a run, where even this server's memory is lost."""

    experiment: Experiment
    checkpoint: Checkpoint | None
    changes: tuple[Change, ...]  # since the checkpoint
    playing: bool
    goal: int
    dropped: bool = False  # it waits for somebody to press Play


class Where(NamedTuple):
    """How far a run is, and what it is to do."""

    state: State
    step: int
    goal: int  # the step that it goes to
    confirmed: bool  # whether it has heard all that it was told
    step_seconds: float  # of training, for a step; 0 before the first


NOWHERE = Where(State.EXPIRED, 0, 0, True, 0.0)
"""A run that is not known."""


@dataclass
class ExperimentRecord:
    experiment: Experiment
    mailbox: LatestReport
    checkpoint: Checkpoint | None = None
    unsaved: list[tuple[int, Change]] = field(default_factory=list)  # since the checkpoint, and when they were sent
    reset_at: int = 0  # commands to the present worker up to the last reset
    playing: bool = False
    goal: int = 0  # the step at which it pauses, where steps were asked for
    sent: int = 0  # commands to the present worker
    clock: Clock = time.monotonic  # of attendance
    seen: float = math.nan  # when its page was last heard of
    lost_at: list[int] = field(default_factory=list)  # its steps when its process died at it, since it was last saved
    notice: str = ""  # stays until the next command

    def __post_init__(self):
        self.seen = self.clock()

    @classmethod
    def again(cls, id: str, restart: Restart, clock: Clock) -> "ExperimentRecord":
        """Of a run of another server, whose page has not come yet."""
        unsaved = list(enumerate(restart.changes, 1))
        record = cls(
            restart.experiment,
            LatestReport(id),
            restart.checkpoint,
            unsaved,
            0,
            restart.playing,
            restart.goal,
            0,
            clock,
        )
        record.seen = -math.inf
        record.notice = f"The server was restarted; this run continues from step {record.saved_step}."
        return record

    def restart(self, dropped: bool = False) -> Restart:
        changes = tuple(change for _, change in self.unsaved)
        return Restart(self.experiment, self.checkpoint, changes, self.playing, self.goal, dropped)

    def note(self, command: Command) -> None:
        """Remember what a command asks for, and show its effect before the worker confirms it."""
        match command:
            case Play():
                self.playing, self.goal = True, 0
                self.mailbox.expect(State.PLAYING)
            case Pause():
                self.playing, self.goal = False, 0
                self.mailbox.expect(State.PAUSED)
            case Step(n=n, in_parts=in_parts):
                goal = 0 if in_parts else self.goal
                self.playing, self.goal = False, max(goal, self.step, self.saved_step) + n
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
            if message.step > self.saved_step and not message.is_passing:
                self.lost_at.clear()
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
        steps = max(0, self.goal - self.saved_step)
        present = self.clock() - self.seen < AWAY_SECONDS
        create = Create(self.mailbox.report.id, self.experiment, self.checkpoint, self.playing, steps, present)
        return [create, *changes]

    def lose(self, at: int | None = None) -> None:
        """Its worker died. `at` is the step of this run that it was at work on; None if it was not at work on this run.
        If that happens again, and the run gets no further, it is set aside: no other worker shall die at it."""
        self.lost_at += [] if at is None else [at]
        report = self.mailbox.report
        self.mailbox.report = replace(report, state=State.LOADING, restarts=report.restarts + 1)
        self.notice = f"The training process was restarted; this run continues from step {self.saved_step}."
        most = max(map(self.lost_at.count, self.lost_at), default=0)
        if most >= MOST_LOSSES or len(self.lost_at) >= MOST_LOSSES_ANYWHERE:
            self.mailbox.report = replace(self.mailbox.report, state=State.SET_ASIDE)
            self.playing, self.goal = False, 0
            self.notice = (
                f"The training process died {len(self.lost_at)} times while it worked on this run, after step "
                f"{self.saved_step}. The run is set aside so that others can go on. Lower the batch or the width, or "
                "press Play to try again without a change."
            )

    @property
    def set_aside(self) -> bool:
        """Whether no worker has it."""
        return self.mailbox.report.state is State.SET_ASIDE

    def drop(self, why: str) -> None:
        """Its worker has let go of it. What is left is enough to go on."""
        old = self.mailbox.report
        self.mailbox.report = Report(
            old.id,
            State.EXPIRED,
            message=f"{why} Press Play to go on from step {self.saved_step:,}.",
            resumes_at=self.saved_step,
            restarts=old.restarts,
            rewinds=old.rewinds + 1,
        )
        self.playing, self.goal, self.notice = False, 0, ""

    def take_up(self) -> list[Command]:
        """The commands that continue a run that was set aside or dropped."""
        self.lost_at, self.seen = [], self.clock()
        self.mailbox.report = replace(self.mailbox.report, state=State.LOADING, message="", resumes_at=None)
        return self.start()

    def answer(self, silence: float = 0.0) -> Report:
        """What the page, which is there, is told now. `silence`: seconds since the last sign of the worker."""
        self.seen = self.clock()
        report = self.mailbox.report
        message = report.message
        if silence >= SILENT_SECONDS and (report.state in MOVING or report.state is State.LOADING):
            arms = tuple(replace(arm, steps_per_second=0.0) for arm in report.arms)
            message = (
                f"The training process has not answered for {silence:.0f} s. After {HANGS_SECONDS:.0f} s it is "
                "restarted, and this run goes on from its last checkpoint."
            )
            report = replace(report, arms=arms)
        return replace(
            report,
            message=" ".join(filter(None, (self.notice, message))),
            confirmed=report.handled >= self.sent,
        )

    @property
    def step(self) -> int:
        """How far it is, as far as is known here."""
        return self.mailbox.step if self.mailbox.report.handled >= self.reset_at else 0

    @property
    def where(self) -> Where:
        """How far it is and what it is to do, as far as is known here."""
        report = self.mailbox.report
        step = self.step if report.arms else self.saved_step  # a run that has not reported begins at its checkpoint
        seconds = sum(arm.seconds / arm.step for arm in report.arms if arm.step)
        return Where(report.state, step, self.goal or step, report.handled >= self.sent, seconds)

    @property
    def moves(self) -> bool:
        """Whether it trains, or has steps to go. One that rests at its goal may still know that goal."""
        return self.playing or self.goal > max(self.step, self.saved_step)

    @property
    def saved_step(self) -> int:
        """The step that its newest checkpoint is of."""
        return self.checkpoint.step if self.checkpoint else 0

    @property
    def saved_bytes(self) -> int:
        """The size of what it would continue from."""
        weights = sum(len(arm.weights or b"") for arm in self.experiment.arms)
        return weights + (len(self.checkpoint.data) if self.checkpoint else 0)

    def _train(self, arm_index: int) -> "TrainConfig":
        """How an arm is trained now, as far as is known here."""
        if changed := [change for _, change in self.unsaved if change.arm_index == arm_index]:
            return changed[-1].train_config
        if arms := self.mailbox.report.arms:
            return arms[arm_index].train
        return TrainSchedule.of(self.experiment.arms[arm_index]).at(self.saved_step)
