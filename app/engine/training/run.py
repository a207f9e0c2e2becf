"""A run: one arm in training, as its thread sees it. It takes steps, measures when asked, answers commands between two
steps, and waits where there is nothing to do."""

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from app.engine.clocks import Clocks
from app.engine.commands import (
    Change,
    Close,
    Command,
    Create,
    Export,
    Hasten,
    Look,
    Pause,
    Play,
    Poll,
    Reset,
    Step,
    ViewRequest,
)
from app.engine.records.flight_recorder import NO_LINE, Line
from app.engine.records.stored import MOST_ENTRY_BYTES
from app.engine.reports import ArmReport, Checkpoint, Exported, HandedOut, Report, Said, State
from app.engine.training.arm import TrainedArm
from app.engine.training.arm_job import ArmJob
from app.engine.training.budget import LookBudget
from app.engine.training.gate import SHORT_SECONDS, Gate, Ticket
from app.engine.training.pace import Pace
from app.engine.training.views import HELD_OUT, WEIGHTS_SECONDS, News, Superseded, View, Views
from resflow_core.training.trainer import Diverged

SLICE_SECONDS = 0.025
"""Between two looks at what else there is to do for a run that trains; commands are answered between two steps."""
CHECKPOINT_SECONDS = 5.0
# Between these a run is saved in passing as soon as that costs a hundredth of what it has worked since, so that little
# is lost with its process.
PASSING_SHARE, PASSING_SECONDS = 0.01, 0.25
# A run that goes on from a checkpoint is saved soon, so that whoever lost it by another's fault is past that at once.
FIRST_CHECKPOINT_SECONDS = 1.0
# So far apart are the reports of a run that trains, and further where many do. No arm of a comparison shall wait for
# those of another (`comparison.AHEAD_SECONDS`).
REPORT_SECONDS, LONGEST_REPORT_SECONDS = 0.25, 0.5
MOST_REPORTS = 60
"""A second, of all runs together."""
MOST_WEIGHTS = 300
"""The same, of weights."""
CURVES_SECONDS = 1.0
UNCROWDED = 2  # runs that move, whose measurements leave pictures half of their time

log = logging.getLogger(__name__)


@dataclass
class Shared:
    """What the runs of a worker share. `say` may be called from all threads."""

    clocks: Clocks
    gate: Gate
    new_job: Callable[..., ArmJob]
    say: Callable[[Said | Exported], None]
    moving: int = 1  # runs that train now


class Ended(Exception):
    """Somebody closed the run, or began it anew, in the middle of its work."""


class Run:
    """`turn` does what comes next; its thread calls it again and again. `phase` is PAUSED for a flow that can move;
    whether it does is said by `state`.

    What the floor (`floor.Floor`) sets, the run only reads: whether it is `admitted`, `crowded_out` until others pause,
    or `present`, and what its page is told meanwhile. All other attributes are the run's own.
    """

    def __init__(self, create: Create, shared: Shared, line: Line = NO_LINE):
        self.id, self._arm = create.id, TrainedArm(create.experiment, create.checkpoint)
        self._playing, self._steps_left = create.playing, create.steps
        self._shared, self._clock, self.line = shared, shared.clocks.wall, line

        self.admitted = self.crowded_out = False
        self.present = create.present
        self.queue_place, self.waits = 0, ""

        self.phase = State.LOADING
        self.has_ended = False
        self.wants_steps_since = self._clock()
        self.trained = 0.0  # seconds of a processor, in steps
        self.ticket = Ticket()
        self._inbox: deque[Command] = deque()
        self._is_called_off = False  # what it does just now, by a command that waits
        self._woken, self._waking = threading.Event(), threading.Lock()
        self._again: Callable[[], object] | None = None  # what begins a thread for it, while it has none
        self._views, self._budget, self._pace = Views(), LookBudget(), Pace()
        self._handed_out: bytes | None = None  # and not said yet
        self._message = ""
        self._records = False  # the next step, part by part
        self._hastens = False  # kernels are to go on with it, between two steps
        self._more = False  # steps will be asked for
        self._step_seconds = 0.0  # of a processor, of the last step
        self._looked_since = 0.0
        self._told_why_torch = ""
        self._seen: tuple[Any, ...] = ()  # what the floor had set when it was told last
        self._handled = 0
        self._changed = True
        self._reported = self._curves_reported = -math.inf
        self._saved_at, self._save_is_news = -math.inf, False
        # When it was saved last, in passing too, what it had used until then, and what that took.
        self._passed_at, self._passed_used, self._save_seconds = -math.inf, 0.0, 0.0

    # --- what others may ask ------------------------------------------------------------------------------------------

    @property
    def job(self) -> ArmJob | None:
        """What trains, once it is built."""
        return self._arm.job

    @property
    def step(self) -> int:
        """Steps taken."""
        return self._arm.step

    @property
    def saved_bytes(self) -> int:
        """The size of what it would go on from."""
        return len(self._arm.saved.data) if self._arm.saved else 0

    @property
    def state(self) -> State:
        if not self.admitted and self.phase is not State.FAILED:
            return State.QUEUED
        if self.phase is not State.PAUSED:
            return self.phase
        if self._steps_left or self._waits_for_more:
            return State.STEPPING
        return State.PLAYING if self._playing else State.PAUSED

    @property
    def wants_steps(self) -> bool:
        """Whether somebody who is there has asked for steps."""
        is_ready = self.admitted and self.phase is State.PAUSED and self.job is not None
        return is_ready and self.present and (self._playing or self._steps_left > 0)

    @property
    def moving(self) -> bool:
        """Whether it is to be trained now."""
        return self.wants_steps and not self.crowded_out

    @property
    def is_aside(self) -> bool:
        """Whether its flow is not in memory, and no page waits for it."""
        return not (self.admitted or self.present or self.job)

    @property
    def pending(self) -> bool:
        """Whether there is anything to do for it at once."""
        return bool(self._inbox) or self._wait_seconds() == 0.0

    def tell(self, command: Command) -> None:
        """Have it obey a command, from the next step on. From any thread."""
        self._is_called_off |= isinstance(command, Close | Reset)
        self._inbox.append(command)
        self.wake()

    def wake(self) -> None:
        """The floor has set something. From any thread."""
        with self._waking:
            self._woken.set()
            again, self._again = self._again, None
        if again:
            again()

    def wait(self, seconds: float) -> None:
        """Until it is woken, or so long."""
        self._woken.wait(None if seconds == math.inf else seconds)
        self._woken.clear()

    def sleep(self, again: Callable[[], object]) -> None:
        """Its thread ends, and `again` is called when it is woken, or at once if it was."""
        with self._waking:
            if not self._woken.is_set():
                self._again = again
                return
        again()

    # --- its turns ----------------------------------------------------------------------------------------------------

    def turn(self) -> float:
        """Do what comes next, say what there is to say, and return the seconds until there is something to do again,
        unless it is woken; 0: at once."""
        self.obey()
        if not self.has_ended:
            self._guard(self._go_on)
            self._guard(self._tell)
        return self._wait_seconds()

    def obey(self) -> None:
        """Take note of all commands that wait."""
        self._guard(self._obey_all)

    def _guard(self, work: Callable[[], Any]) -> None:
        """An error in a run ends that run only."""
        try:
            work()
        except Ended:
            pass
        except Exception as error:
            log.exception("Run %s failed", self.id)
            self._fail(
                f"An unexpected error ({type(error).__name__}) ended this run. The log of the server says more. Press "
                "Reset to start it again."
            )
        finally:
            self.line.rest()

    def _go_on(self, may_look: bool = True) -> bool:
        """Be built, looked at or trained, for about a slice. Whether it was looked at."""
        now, has_looked = self._clock(), False
        self._budget.advance(self.ticket.worked)
        if not self.admitted:
            self._step_aside()
        elif self.phase is State.LOADING:
            if self.present:  # else no page waits for it
                self._build()
        elif self.job:
            due = self._due() if may_look else None
            is_new = due and due[0] == -math.inf  # what was never shown comes at once
            if due and due[0] <= now and (is_new or self._budget.is_open or not self.moving):
                self._look(due[1])
                has_looked = True
            elif self.moving and not self._views.holds_still:
                self._train()
            if self._weights_are_due:
                self._handed_out = self._views.hand_out(self.job, self._clock(), self._between_weights)
        return has_looked

    def _wait_seconds(self) -> float:
        if self.has_ended or self._inbox:
            return 0.0
        if self._floor_says != self._seen or self._changed or self._views.news.is_any:
            return 0.0
        if not self.admitted:
            return 0.0 if self.job else math.inf
        if self.phase is State.LOADING:
            return 0.0 if self.present else math.inf
        if self.moving or self._weights_are_due or self._save_is_due:
            return 0.0
        due = self._due()
        return max(0.0, due[0] - self._clock()) if due else math.inf

    @property
    def _floor_says(self) -> tuple[Any, ...]:
        return self.admitted, self.crowded_out, self.present, self.queue_place, self.waits

    @property
    def _waits_for_more(self) -> bool:
        """Whether it has taken its steps, and others will be asked for at once: it rests, and is not looked at as a
        flow that stands still."""
        return self.phase is State.PAUSED and self.present and self._more and not self._steps_left

    @property
    def _under_way(self) -> bool:
        return self.moving or self._waits_for_more

    def _due(self) -> tuple[float, View] | None:
        """When its next picture is due, and which; none for a page that is gone."""
        if not (self.present and self.job):
            return None
        return self._views.next_due(self.step, self._under_way, max(1.0, self._shared.moving / UNCROWDED))

    @property
    def _is_due(self) -> bool:
        """Whether something is to be looked at now."""
        due = self._due()
        return due is not None and due[0] <= self._clock()

    @property
    def _awaits(self) -> bool:
        """Whether it stands still, and its page has not seen yet all that it wants of it."""
        return self.phase is not State.LOADING and not self.moving and self._due() is not None

    @property
    def _between_weights(self) -> float:
        return max(WEIGHTS_SECONDS, self._shared.moving / MOST_WEIGHTS) if self._under_way else 0.0

    @property
    def _weights_are_due(self) -> bool:
        """Whether its page waits for its weights, which come some time apart while it moves, and at once as soon as it
        stands still."""
        if not (self.present and self.job):
            return False
        return self._views.weights_are_due(self.step, self._clock(), self._between_weights)

    # --- commands -----------------------------------------------------------------------------------------------------

    def _obey_all(self) -> None:
        if self.present and self._seen and not self._seen[2]:
            self._views.start_over()  # its page is back, or another one looks
        if self._floor_says != self._seen:
            (was_admitted, *before), (is_admitted, *now) = self._seen or (False,), self._floor_says
            self._changed |= now != before or (is_admitted and not was_admitted)  # who steps aside is not seen to
            self._seen = self._floor_says
        while self._inbox and not self.has_ended:
            self._obey(self._inbox.popleft())

    def _obey(self, command: Command) -> None:
        """Take note of a command; it has its effect from the next piece of work on."""
        match command:
            case Poll():
                is_new = command.request != self._views.wanted
                self._views.want(command.request)
                self._changed |= is_new and self._awaits
                self._changed |= self._why_torch != self._told_why_torch  # kernels were made meanwhile
                return
            case Look():
                self._views.look(command.wish)
                self._changed |= self._awaits
                return
            case Export():
                self._export(command)
                return
            case Close():
                self._is_called_off = False
                self._leave_behind()
                self.has_ended = True
                return
        self._handled += 1
        self._changed = True
        match command:
            case Play():
                self._resume(playing=True, steps=0)
            case Step(n=n, in_parts=in_parts, more=more):
                self._resume(playing=False, steps=n if in_parts else self._steps_left + n)
                self._records, self._more = in_parts, more
            case Pause():
                self._playing, self._steps_left, self._records, self._more = False, 0, False, False
            case Change():
                self._change(command)
            case Reset():
                self._is_called_off = False
                self._leave_behind()
                self._start_over()
            case Hasten():
                self._hastens = True
                self._hasten()

    def _resume(self, *, playing: bool, steps: int) -> None:
        if self.phase is State.FAILED:
            return
        if self.phase is State.DIVERGED:
            self.phase = State.PAUSED
        self._message = ""
        if not self.wants_steps:
            self.wants_steps_since = self._clock()
        self._playing, self._steps_left, self._records, self._more = playing, steps, False, False

    def _change(self, change: Change) -> None:
        try:
            before, now = self._arm.change(change.train_config)
        except ValueError as error:
            self._message = str(error)
            return
        if self.phase is State.PAUSED:
            self._message = ""  # of an earlier refusal; what stopped a run is said until it moves again
        if now != before and self.job:
            if now.log_det != before.log_det:
                self._views.estimator_changed()
            self._save()  # so that going back never forgets it

    def _start_over(self) -> None:
        self._arm.start_over()
        self._save_is_news, self._message = False, ""
        self._rest()
        self._pace.rest()
        self._hastens, self.phase = False, State.LOADING

    def _hasten(self) -> None:
        """Let kernels go on."""
        if self._hastens and self.job:
            self._hastens = False
            self.job.hasten()
            self._save()  # so that going back never forgets it
            self._changed = True

    def _export(self, export: Export) -> None:
        """The flow as a file; None if it is not built, or cannot be written."""
        data = None
        try:
            data = self.job.export() if self.job and export.arm_index == 0 else None
        finally:
            self._shared.say(Exported(export.ticket, data))

    # --- work ---------------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        """Build the flow, at its beginning or where it was saved. A bad experiment ends in the phase FAILED."""
        is_new = self._arm.saved is None
        try:
            with self._at_work():
                job = self._arm.build(self._shared.new_job, self._shared.clocks, self._breathe)
        except ValueError as error:
            self._fail(str(error))
            return
        if is_new:
            self._save()
        else:
            self._save_soon()
        self._views.begin(job.has_weights)
        self.phase, self._changed = State.PAUSED, True
        self._hasten()

    def _train(self) -> None:
        """Steps, for a slice or until the steps asked for are done."""
        start = self._clock()
        self._pace.begin(start, self.step)
        while self.moving and not self._inbox and self._floor_says == self._seen:
            self._step()
            if self._clock() - start >= SLICE_SECONDS:
                break
        if self.phase is State.PAUSED:
            self._pace.note(self._clock(), self.step)

    def _step(self) -> None:
        self._hasten()
        if self._records and self.job:
            self._records = False
            self.job.record_next_step(self._views.request or ViewRequest())
        began = self._shared.clocks.cpu()
        try:
            with self._at_work():
                self._arm.advance(self._breathe)
        except Diverged as error:
            self._rewind(str(error))
            return
        self._step_seconds = self._shared.clocks.cpu() - began
        self.ticket.is_long = self._step_seconds >= SHORT_SECONDS
        self.trained += self._step_seconds
        if self._steps_left:
            self._steps_left -= 1
            self._changed |= self._steps_left == 0

    def _look(self, view: View) -> None:
        assert self.job
        now, self._looked_since = self._clock(), self._shared.clocks.cpu()
        breathe = self._breathe if view is HELD_OUT else self._breathe_and_go_on
        try:
            with self._at_work():
                self._views.make(view, self.job, now, self._under_way, breathe)
        except Superseded:
            pass
        self._note_look()

    def _note_look(self) -> None:
        """So long it was looked at, in which it could have been trained."""
        if self.moving:
            self._budget.spend(self._shared.clocks.cpu() - self._looked_since)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Around a piece of work: it waits for its place, and then shows signs of life."""
        with self._shared.gate.work(self.ticket):
            self.line.begin(self.step)
            yield

    def _breathe(self) -> None:
        """Between two parts of a step, or of what holds it still."""
        if self.has_ended or self._is_called_off:
            raise Ended
        self.line.rest()  # who waits for a place is silent for no fault of its own
        self._shared.gate.breathe(self.ticket)
        self.line.beat()

    def _breathe_and_go_on(self) -> None:
        """Between two parts of a measurement, which has a copy of the flow: training goes on, and what is brief is
        looked at, once, so that neither waits for ever for the other. Raises `Superseded` if the measurement is not
        wanted any more."""
        self._note_look()
        self._breathe()
        job, has_looked = self.job, False
        with torch.inference_mode(False), torch.enable_grad():
            while True:
                self._obey_all()
                has_looked |= self._go_on(may_look=not has_looked)
                self._tell()
                if self.job is not job or self.has_ended:
                    raise Superseded
                self._views.check(self._under_way)
                self._budget.advance(self.ticket.worked)
                if not self.moving or (self._budget.is_open and (has_looked or not self._is_due)):
                    break
        self.line.begin(self.step)
        self._looked_since = self._shared.clocks.cpu()

    # --- what becomes of it -------------------------------------------------------------------------------------------

    def _step_aside(self) -> None:
        """Wait, saved, until it is admitted again."""
        if self.job:
            if self._arm.is_further:
                self._save()
            self._drop()
            self._views.start_over()

    def _drop(self) -> None:
        """The flow is not in memory any more."""
        self._arm.job = None
        self._pace.rest()
        if self.phase is not State.FAILED:
            self.phase = State.LOADING

    def _fail(self, message: str) -> None:
        self.phase, self._message = State.FAILED, message
        self._drop()
        self._rest()
        self._changed = True

    def _rest(self) -> None:
        self._playing, self._steps_left, self._more, self._records = False, 0, False, False

    def _rewind(self, reason: str) -> None:
        self._arm.restore()
        self._save_soon()
        self._views.start_over()
        self._pace.rest()
        self._rest()
        self.phase, self._message = State.DIVERGED, f"{reason} Back at step {self.step}."
        self._changed = True

    # --- what it says -------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """What the page does not know yet, and a checkpoint when one is due. That it has moved on is said some time
        apart."""
        now, say = self._clock(), self._shared.say
        between = max(REPORT_SECONDS, min(self._shared.moving / MOST_REPORTS, LONGEST_REPORT_SECONDS))
        if self._save_is_due:
            self._save()
        if self._save_is_news and self._arm.saved:
            self._save_is_news = False
            say(self._arm.saved)
        elif self._passing_is_due(now):
            say(self._checkpoint(is_passing=True))
        if self._changed or self._views.news.is_any or (self.moving and now - self._reported >= between):
            say(self._report(now))
        if self._handed_out is not None:  # after the report, which says that the run began anew
            say(HandedOut(self.id, self.step, (self._handed_out,)))
            self._handed_out = None

    def _report(self, now: float) -> Report:
        job, news, self._views.news = self.job, self._views.news, News()
        if not self._under_way:
            self._pace.rest()
        with_curves = bool(news.blocks) or not self._under_way or now - self._curves_reported >= CURVES_SECONDS
        arms: tuple[ArmReport, ...] = ()
        if job:
            self._curves_reported = now if with_curves else self._curves_reported
            arms = (
                ArmReport(
                    step=job.step_count,
                    steps_per_second=self._pace.per_second,
                    seconds=job.seconds,
                    loss=job.curves() if with_curves else None,
                    parts=job.hand_over_parts(),
                    train=self._arm.schedule.at(job.step_count),
                    fingerprint=job.fingerprint,
                    why_torch=job.why_torch,
                    hastens=job.hastens,
                    changes=self._arm.schedule.changes(job.step_count),
                    **news.fields,
                ),
            )
        self._changed, self._reported, self._told_why_torch = False, now, self._why_torch
        return Report(
            self.id,
            self.state,
            arms,
            message=self.waits or self._message,
            queue_place=self.queue_place,
            device=job.device if job else "",
            device_reason=job.device_reason if job else "",
            frame_share=self._budget.share,
            steps_left=self._steps_left,
            step_seconds=self._step_seconds,
            handled=self._handled,
            awaits=self._awaits,
            has_weights=self._views.has_weights,
        )

    @property
    def _why_torch(self) -> str:
        return self.job.why_torch if self.job else ""

    def _leave_behind(self) -> None:
        """Before it ends or begins anew, say how far it is, if that was not said yet and is not the beginning. What
        would be too large to be stored is not saved for it."""
        saved = self._arm.saved
        if self._arm.is_further and self._arm.origin and saved and len(saved.data) <= MOST_ENTRY_BYTES:
            self._save()
        if self._save_is_news and self._arm.saved and self.step:
            self._shared.say(self._arm.saved)
        self._save_is_news = False

    @property
    def _save_is_due(self) -> bool:
        return self._arm.is_further and (not self._under_way or self._clock() - self._saved_at >= CHECKPOINT_SECONDS)

    def _passing_is_due(self, now: float) -> bool:
        worked = self.ticket.worked - self._passed_used
        has_waited = now - self._passed_at >= PASSING_SECONDS and PASSING_SHARE * worked >= self._save_seconds
        return has_waited and self.moving and self._arm.is_further

    def _save(self) -> None:
        self._arm.saved = self._checkpoint()
        self._saved_at, self._save_is_news = self._passed_at, True

    def _save_soon(self) -> None:
        """It was saved, and has gone back to that."""
        self._saved_at = self._clock() - CHECKPOINT_SECONDS + FIRST_CHECKPOINT_SECONDS

    def _checkpoint(self, is_passing: bool = False) -> Checkpoint:
        began = self._clock()
        found = self._arm.checkpoint(self.id, self._handled, is_passing)
        self._passed_at, self._passed_used = self._clock(), self.ticket.worked
        self._save_seconds = self._passed_at - began
        return found
