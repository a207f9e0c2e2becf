"""An experiment being run: its jobs, what was asked of it and how far it is."""

import math
from collections.abc import Callable

from app.engine.arm_job import ArmJob
from app.engine.arms import Arms
from app.engine.clocks import Clocks
from app.engine.commands import (
    Attend,
    Change,
    Command,
    Create,
    Hasten,
    Leave,
    Look,
    Pause,
    Play,
    Poll,
    Reset,
    Step,
    ViewRequest,
)
from app.engine.origin import origin_of
from app.engine.pace import Pace
from app.engine.reports import ArmReport, Checkpoint, HandedOut, Report, Said, State
from app.engine.stored import MOST_ENTRY_BYTES
from app.engine.views import HELD_OUT, News, View, Views
from resflow_core.fast.pieces import Pieces
from resflow_core.training.trainer import Diverged

SLICE_SECONDS = 0.025
# Where many train, all have a turn in so many seconds of training, unless turns would be shorter than the least, which
# is about a step of the flow that a page begins with.
ROUND_SECONDS = 0.08
SHORTEST_SLICE_SECONDS = 0.002
CHECKPOINT_SECONDS = 5.0
# Between these a run is saved in passing as soon as that costs a hundredth of what it has worked since, so that little
# is lost with its process.
PASSING_SHARE, PASSING_SECONDS = 0.01, 0.25
# A run that goes on from a checkpoint is saved soon, so that whoever lost it by another's fault is past that at once.
FIRST_CHECKPOINT_SECONDS = 1.0
# So far apart are the reports of a run that trains, and further where many do. No part of a comparison shall wait for
# those of another (`divided.AHEAD_SECONDS`).
REPORT_SECONDS, LONGEST_REPORT_SECONDS = 0.25, 0.5
MOST_REPORTS = 60
"""A second, of all runs together."""
CURVES_SECONDS = 1.0


def slice_seconds(works: int) -> float:
    """How long one of so many runs trains at a time. What its page shows moves on once a turn: turns are shorter where
    there are many."""
    return max(SHORTEST_SLICE_SECONDS, min(SLICE_SECONDS, ROUND_SECONDS / works))


def report_seconds(works: int) -> float:
    """How far apart the reports of one of so many runs are while it trains."""
    return max(REPORT_SECONDS, min(works / MOST_REPORTS, LONGEST_REPORT_SECONDS))


class Run:
    """`used` is the time that training and pictures took, which is what the scheduler shares out. `phase` is PAUSED for
    flows that can move; whether they do is said by `state`."""

    def __init__(self, create: Create, clocks: Clocks, new_job: Callable[..., Pieces[ArmJob]]):
        self.id, self._saved, self._origin = create.id, create.checkpoint, origin_of(create.experiment)
        schedules = self._saved.schedules if self._saved else None
        self.arms = Arms(create.experiment, schedules, self._saved.step if self._saved else 0, clocks, new_job)
        self._playing, self._steps_left = create.playing, create.steps
        self.held, self.asked_at = False, clocks.wall()
        self._clock, self._clocks = clocks.wall, clocks
        self.phase = State.QUEUED
        self.present, self.seen = create.present, clocks.attendance()
        self.away_since = self.seen  # while its page is not present
        self.queue_place = 0
        self.used = 0.0
        self._views = Views(len(create.experiment.arms))
        self._handed_out: tuple[bytes | None, ...] = ()  # and not said yet
        self._waits = ""  # why it waits for its place, or ""
        self._message = ""
        self._records = False  # the next step, part by part
        self._hastens = False  # kernels are to go on with it, between two steps
        self._told_why_torch: tuple[str, ...] = ()  # in the last report, of each arm
        self._more = False  # steps will be asked for
        self._handled = 0
        self._changed = True
        self._reported = self._curves_reported = -math.inf
        self._saved_at, self._save_is_news = -math.inf, False
        # When it was saved last, in passing too, what it had used until then, and what that took.
        self._passed_at, self._passed_used, self._save_seconds = -math.inf, 0.0, 0.0
        self._pace = Pace()

    @property
    def step(self) -> int:
        """Steps taken, by the first arm: the others may still have to take the last one."""
        if self.arms.jobs:
            return self.arms.step
        return self._saved.step if self._saved else 0

    @property
    def state(self) -> State:
        if self.phase is not State.PAUSED:
            return self.phase
        if self._steps_left or self.waits_for_more:
            return State.STEPPING
        return State.PLAYING if self._playing else State.PAUSED

    @property
    def holds_place(self) -> bool:
        """Whether its flows are built or being built."""
        return self.phase in (State.LOADING, State.PAUSED, State.DIVERGED)

    @property
    def rests_unseen(self) -> bool:
        """Whether its flows are built, and nobody looks at them."""
        return self.phase is State.PAUSED and not self.present and not self.arms.differ

    @property
    def is_aside(self) -> bool:
        """Whether it is not built, and nobody waits for it."""
        return self.phase is State.QUEUED and not self.present

    @property
    def is_in_line(self) -> bool:
        """Whether it waits for a place, or its page, which is gone, was told that it does."""
        return self.phase is State.QUEUED and (self.present or bool(self.queue_place or self._waits))

    @property
    def asked(self) -> bool:
        """Whether somebody who is there has asked for steps."""
        return self.phase is State.PAUSED and self.present and (self._playing or self._steps_left > 0)

    @property
    def moving(self) -> bool:
        """Whether it is to be trained now. What one arm has begun all finish."""
        return (self.asked and not self.held) or (self.phase is State.PAUSED and self.arms.differ)

    @property
    def waits_for_more(self) -> bool:
        """Whether it has taken its steps, and others will be asked for at once: it rests, and is not looked at as a
        flow that stands still."""
        return self.phase is State.PAUSED and self.present and self._more and not self._steps_left

    @property
    def under_way(self) -> bool:
        return self.moving or self.waits_for_more

    @property
    def holds_still(self) -> bool:
        """Whether it is being measured: it trains on when that is done."""
        return self._views.hold_still

    @property
    def works(self) -> bool:
        """Whether it is to have its turns."""
        return self.phase is State.LOADING or self.moving

    @property
    def turn_seconds(self) -> float:
        """About how long `work` takes."""
        return SLICE_SECONDS if self.phase is State.LOADING else max(SLICE_SECONDS, self.arms.step_time.seconds)

    @property
    def pending(self) -> bool:
        """Whether there is anything to do for it at once."""
        if self._changed or self.works or self.next_view() is not None or self._save_is_due(self._clock()):
            return True
        return not self.under_way and self.weights_are_due(self._clock(), 0.0)

    @property
    def awaits(self) -> bool:
        """Whether it stands still, and its page has not seen yet all that it wants of it."""
        return not self.works and self.next_view() is not None

    def obey(self, command: Command) -> None:
        """Take note of a command; it has its effect from the next piece of work on."""
        if isinstance(command, Poll):
            self._attend(command)
            return
        if isinstance(command, Attend):
            self.seen = self._clocks.attendance()
            return
        if isinstance(command, Look):
            self._views.look(command.wish)
            self._changed |= self.awaits
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
                self._start_over()
            case Hasten():
                self._hastens = True
                self._hasten()
            case Leave():
                self._be_absent()

    def work(self, seconds: float = SLICE_SECONDS) -> None:
        """What it has its turns for: it is built, measured where it holds still for that, or trained for about so long:
        for the number of steps that comes closest, at least one."""
        if self.phase is State.LOADING:
            self.build()
        elif self.holds_still:
            self.look(HELD_OUT)
        else:
            self.train(seconds - self.arms.step_time.seconds / 2)

    def build(self) -> None:
        """Build the flows for about a time slice; when all are there begin, or continue from the checkpoint. A bad
        experiment ends in the phase FAILED."""
        start = self._clock()
        try:
            while not self.arms.build():
                if self._clock() - start >= SLICE_SECONDS:
                    return
        except ValueError as error:
            self.fail(str(error))
            return
        if self._saved is None:
            self.arms.configure()
            self._save()
        else:
            self._restore()
        self._views.begin(self.arms.have_weights)
        self.phase = State.PAUSED
        self._changed = True
        self._hasten()

    def train(self, seconds: float) -> None:
        """One arm after the other to the same step, for so long or until the steps asked for are done. A round
        that takes longer goes on in the next slice, which ends with it, so that there is time for pictures."""
        start, goes_on, has_begun = self._clock(), self.arms.differ, False
        self._pace.begin(start, self.step)
        while self.moving and not (has_begun and self._clock() - start >= seconds * (1 + self.arms.differ)):
            has_begun = True
            self._hasten()
            if self._records and not self.arms.differ:
                self._records = False
                for job in self.arms.jobs:
                    job.record_next_step(self._views.request or ViewRequest())
            try:
                if not self.arms.advance():
                    continue
            except Diverged as error:
                self._rewind(str(error))
                return
            if self._steps_left:
                self._steps_left -= 1
                self._changed |= self._steps_left == 0
            if goes_on:
                break
        self._pace.note(self._clock(), self.step)

    def next_view(self, crowd: float = 1.0) -> tuple[float, View] | None:
        """When its next picture is due, and which; none for a page that is gone."""
        return self._views.next_due(self.step, self.under_way, crowd) if self._is_shown else None

    @property
    def _is_shown(self) -> bool:
        """Whether a page is there that can be shown its flows."""
        return bool(self.present and self.arms.jobs and not self.arms.differ)

    def look(self, view: View) -> None:
        self._views.make(view, self.arms.jobs, self._clock(), self.under_way)

    def weights_are_due(self, now: float, between: float) -> bool:
        """Whether its page waits for its weights, which come so many seconds apart while it moves, and at once as soon
        as it stands still."""
        if not self._is_shown:
            return False
        return self._views.weights_are_due(self.step, now, between if self.under_way else 0.0)

    def hand_out(self, between: float) -> None:
        """Its weights, with what it says next."""
        self._handed_out = self._views.hand_out(self.arms.jobs, self._clock(), between)

    def export(self, arm_index: int) -> bytes | None:
        """An arm's flow as a file; None if it is not built."""
        jobs = self.arms.jobs
        return jobs[arm_index].export() if 0 <= arm_index < len(jobs) else None

    def unsaid(self) -> Checkpoint | None:
        """How far it is, if that was not told yet and is not the beginning. What would be too large to be stored is
        not saved for it."""
        if self._is_further and self._origin and self._saved and len(self._saved.data) <= MOST_ENTRY_BYTES:
            self._save()
        return self._saved if self._save_is_news and self.step else None

    def miss(self) -> None:
        """Its page was not heard of for too long."""
        self._be_absent()
        self._changed = True

    def queue(self, place: int, why: str = "") -> bool:
        """Let it wait: at this place (0: none), for this reason. Whether that is new."""
        is_new = (place, why) != (self.queue_place, self._waits)
        self._changed |= is_new
        self.queue_place, self._waits = place, why
        return is_new

    def admit(self) -> None:
        self.queue(0)
        self.phase = State.LOADING
        self._changed = True

    def step_aside(self, why: str) -> None:
        """Wait, saved, until it is admitted again. Steps since its newest checkpoint are then taken once more."""
        if self._is_further:
            self._save()
        self.arms.drop()
        self._views.start_over()  # what was begun holds the flows
        self.phase = State.QUEUED
        self._pace.rest()
        self.queue(0, why)

    def fail(self, message: str) -> None:
        self.phase, self._message = State.FAILED, message
        self.arms.drop()
        self._playing, self._steps_left, self._more = False, 0, False
        self._changed = True

    def news(self, now: float, frame_share: float, between: float = REPORT_SECONDS) -> list[Said]:
        """What the page does not know yet, and a checkpoint when one is due; nothing while arms differ in a step. That
        it has moved on is said so many seconds apart."""
        if self.arms.differ:
            return []
        messages: list[Said] = []
        if self._save_is_due(now):
            self._save()
        if self._save_is_news:
            self._save_is_news = False
            messages.append(self._saved)
        elif self._passing_is_due(now):
            messages.append(self._checkpoint(is_passing=True))
        if self._changed or self._views.news or (self.moving and now - self._reported >= between):
            messages.append(self._report(now, frame_share))
        if self._handed_out:  # after the report, which says that the run began anew
            messages.append(HandedOut(self.id, self.step, self._handed_out))
            self._handed_out = ()
        return messages

    def _report(self, now: float, frame_share: float) -> Report:
        jobs, news, self._views.news = self.arms.jobs, self._views.news, News()
        if not self.under_way:
            self._pace.rest()
        with_curves = bool(news.blocks) or not self.under_way or now - self._curves_reported >= CURVES_SECONDS
        arms = tuple(
            ArmReport(
                step=job.step_count,
                steps_per_second=self._pace.per_second,
                seconds=job.seconds,
                loss=job.curves() if with_curves else None,
                parts=job.hand_over_parts(),
                train=schedule.at(job.step_count),
                fingerprint=job.fingerprint,
                why_torch=job.why_torch,
                hastens=job.hastens,
                changes=schedule.changes(job.step_count),
                **news.of(index),
            )
            for index, (job, schedule) in enumerate(zip(jobs, self.arms.schedules, strict=False))
        )
        self._changed, self._reported, self._told_why_torch = False, now, self._why_torch
        self._curves_reported = now if with_curves and jobs else self._curves_reported
        return Report(
            self.id,
            self.state,
            arms,
            message=self._waits or self._message,
            queue_place=self.queue_place,
            device=jobs[0].device if jobs else "",
            device_reason=jobs[0].device_reason if jobs else "",
            frame_share=frame_share,
            steps_left=self._steps_left,
            step_seconds=self.arms.step_time.seconds,
            handled=self._handled,
            awaits=self.awaits,
            has_weights=all(self._views.have_weights),
        )

    @property
    def _why_torch(self) -> tuple[str, ...]:
        return tuple(job.why_torch for job in self.arms.jobs)

    def _hasten(self) -> None:
        """Let kernels go on, once no arm is ahead of the others."""
        if not self._hastens or not self.arms.jobs or self.arms.differ:
            return
        self._hastens = False
        for job in self.arms.jobs:
            job.hasten()
        self._save()  # so that going back never forgets it
        self._changed = True

    def _be_absent(self) -> None:
        if self.present:
            self.present, self.away_since = False, self._clocks.attendance()

    def _attend(self, poll: Poll) -> None:
        if not self.present:
            self._views.start_over()
            self._changed = True
        self.present, self.seen = True, self._clocks.attendance()
        self._changed |= self._why_torch != self._told_why_torch  # kernels were made meanwhile
        is_new = poll.request != self._views.wanted
        self._views.want(poll.request)
        self._changed |= is_new and self.awaits

    def _resume(self, *, playing: bool, steps: int) -> None:
        if self.phase is State.FAILED:
            return
        if self.phase is State.DIVERGED:
            self.phase = State.PAUSED
        self._message = ""
        if not self.asked:
            self.asked_at = self._clock()
        self._playing, self._steps_left, self._records, self._more = playing, steps, False, False

    def _change(self, change: Change) -> None:
        try:
            before, now = self.arms.change(change.arm_index, change.train_config, self.step)
        except ValueError as error:
            self._message = str(error)
            return
        if self.phase is State.PAUSED:
            self._message = ""  # of an earlier refusal; what stopped a run is said until it moves again
        if now == before or not self.arms.jobs:
            return
        if now.log_det != before.log_det:
            self._views.estimator_changed()
        # So that going back never forgets it.
        if self.arms.differ:
            self._saved_at = -math.inf
        else:
            self._save()

    def _start_over(self) -> None:
        self.arms.start_over(self.step)
        self._saved, self._save_is_news, self._message = None, False, ""
        self._playing, self._steps_left, self._more, self._hastens = False, 0, False, False
        if self.phase is not State.QUEUED:
            self.phase = State.LOADING

    def _rewind(self, reason: str) -> None:
        self._restore()
        self._views.start_over()
        self._pace.rest()
        self._playing, self._steps_left, self._more = False, 0, False
        self.phase, self._message = State.DIVERGED, f"{reason} Back at step {self.step}."
        self._changed = True

    @property
    def _is_further(self) -> bool:
        """Whether it has taken steps since it was saved, and can be saved."""
        return bool(self.arms.jobs) and self.step != self._saved.step and not self.arms.differ

    def _save_is_due(self, now: float) -> bool:
        return self._is_further and (not self.under_way or now - self._saved_at >= CHECKPOINT_SECONDS)

    def _passing_is_due(self, now: float) -> bool:
        worked = self.used - self._passed_used
        waited = now - self._passed_at >= PASSING_SECONDS and PASSING_SHARE * worked >= self._save_seconds
        return waited and self.moving and self._is_further

    def _save(self) -> None:
        self._saved = self._checkpoint()
        self._saved_at, self._save_is_news = self._passed_at, True

    def _checkpoint(self, is_passing: bool = False) -> Checkpoint:
        began = self._clock()
        made_by, data = tuple(job.fingerprint for job in self.arms.jobs), self.arms.save()
        self._passed_at, self._passed_used = self._clock(), self.used
        self._save_seconds = self._passed_at - began
        schedules = self.arms.schedules
        return Checkpoint(self.id, self.step, data, schedules, self._handled, self._origin, made_by, is_passing)

    def _restore(self) -> None:
        self.arms.restore(self._saved.data)
        self._saved_at = self._clock() - CHECKPOINT_SECONDS + FIRST_CHECKPOINT_SECONDS
