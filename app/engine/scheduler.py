"""Who is trained next, who is drawn next, who may come in and who is dropped. No input or output; time is passed in."""

import logging
import math
import statistics
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from app.engine.arm_job import ArmJob
from app.engine.budget import BURST_SECONDS, LookBudget
from app.engine.clocks import AWAY_SECONDS, Clock, Clocks
from app.engine.commands import Attend, Close, Command, Create, Export, Look, Poll, Reset
from app.engine.crowding import Crowding
from app.engine.job_kinds import job_of
from app.engine.memory import resident_bytes
from app.engine.reports import Checkpoint, Exported, Report, Said, State
from app.engine.roster import Due, Roster
from app.engine.run import SLICE_SECONDS, Run, report_seconds, slice_seconds
from app.engine.step_time import LONGEST_STEP_SECONDS
from app.engine.views import FRAME, WEIGHTS_SECONDS
from resflow_core.fast.pieces import Pieces

DROP_SECONDS = 600.0
# The flows of a page that is gone leave the memory so long after it was missed. They are built again if it comes back.
ASIDE_SECONDS = 10.0
# Of these so many are remembered here, the newest. The server remembers more of them, and goes on with one when
# somebody presses Play.
MOST_ASIDE = 64
# Who runs the server is told this often, while pages wait, what would make room.
ADVICE_SECONDS = 600.0
# A run that used more than its share, by a long step or a picture, waits for the others at most so long.
MOST_ARREARS_SECONDS = LONGEST_STEP_SECONDS

# All runs together are handed out so often a second, and less often each where there are many.
MOST_WEIGHTS = 300
CROWDED = (
    "So many flows train on this server that each would crawl. Yours is number {place} of those that wait, and goes on "
    "by itself when others pause."
)

log = logging.getLogger(__name__)


def _earliest(runs: Collection[Run]) -> Run:
    """Of the runs that used no more than the average, the one whose next piece of work would end first: so one with
    short steps has a turn after each long step of another, and does not take several turns at once and then wait
    (Stoica & Abdel-Wahab 1995, earliest eligible virtual deadline first)."""
    used = [run.used for run in runs]
    average = max(statistics.fmean(used), min(used))  # which rounding may put below all
    return min((run for run in runs if run.used <= average), key=lambda run: run.used + run.turn_seconds)


class Scheduler:
    """Gives every experiment that is built or moves the same time, for steps and looks, and all looks a part of it
    (`budget`).

    `tick` does one piece of work: for a slice it builds flows or trains, or it draws a picture or a piece of it. Each
    of several arms is built, trained and measured by itself, so that nobody waits for all of another page's.
    Experiments are held as long as `memory()` stays below `memory_limit` bytes. Others queue, and those whose pages are
    gone make room for them, the longest absent first. Of those that are held so many train as have a useful pace
    (`crowding`). Nothing interrupts a step, so experiments whose steps are too long (`step_time`) wait while others are
    there.

    Pages are missed by the clock `attendance` (default: `clock`). Before each piece of work `note` is told the id and
    the step of the run that it is for.
    """

    def __init__(
        self,
        clock: Clock = time.monotonic,
        *,
        attendance: Clock | None = None,
        cpu: Clock = time.thread_time,
        memory_limit: int = 4 * 2**30,
        memory: Callable[[], int] = resident_bytes,
        new_job: Callable[..., Pieces[ArmJob]] = job_of,
        note: Callable[[str, int], None] = lambda id, step: None,
    ):
        self._clocks = Clocks(clock, attendance or clock, cpu)
        self._clock, self._memory_limit, self._memory = clock, memory_limit, memory
        self._new_job, self._note = new_job, note
        self._runs: dict[str, Run] = {}  # in the order of arrival
        self._roster = Roster()
        self._looked_at = -math.inf  # the time of attendance when pages were last looked for
        self._exported: list[Exported] = []
        self._left_behind: list[Checkpoint] = []
        self._budget, self._crowding = LookBudget(clock()), Crowding(clock())
        self._waited: dict[str, Run] = {}  # for others to pause, at the last look
        self._advised = -math.inf  # when the log last said what would make room
        self._rest_ahead = 0.0  # seconds of pictures of flows at rest more than of those that move, lately
        self._level = 0.0  # the least time used among those that moved; who wakes starts from it, without arrears

    def handle(self, command: Command) -> None:
        """Take note of a command. One about an unknown experiment has come too late and is nobody's."""
        if isinstance(command, Create):
            self._roster.forget(command.id)
            self._runs[command.id] = Run(command, self._clocks, self._new_job)
            self._touch(self._runs[command.id])
        elif isinstance(command, Close):
            if run := self._runs.pop(command.id, None):
                self._leave_behind(run)
                self._roster.forget(run.id)
        elif isinstance(command, Export):
            run = self._runs.get(command.id)
            self._note(command.id, run.step if run else 0)
            data = self._guard(run, lambda: run.export(command.arm_index)) if run else None
            self._exported.append(Exported(command.ticket, data))
        elif run := self._runs.get(command.id):
            if isinstance(command, Reset):
                self._leave_behind(run)
            self._guard(run, lambda: run.obey(command))
            if not isinstance(command, Attend):
                self._touch(run)
            self._roster.asks_changed |= not isinstance(command, Attend | Look | Poll)

    def is_busy(self) -> bool:
        """Whether `tick` has work. If not, nothing but a command or the passing of seconds changes that."""
        self._roster.settle()
        return bool(self._exported or self._left_behind or self._roster)

    def is_pending(self, id: str) -> bool:
        """Whether there is work to do for this experiment at once."""
        return id in self._runs and self._runs[id].pending

    def is_empty(self) -> bool:
        return not self._runs

    def exported(self) -> list[Exported]:
        """The flows that were asked for and not handed over yet."""
        exported, self._exported = self._exported, []
        return exported

    def left_behind(self) -> list[Checkpoint]:
        """What runs were that have ended or begun anew, and was not handed over yet; else the next `tick` does."""
        left_behind, self._left_behind = self._left_behind, []
        return left_behind

    def tick(self) -> list[Said]:
        """Do one piece of work and return what there is to say about all experiments."""
        now = self._clock()
        self._roster.settle()
        self._budget.advance(now)
        messages: list[Said] = [*self.left_behind(), *self._drop_abandoned()]
        self._clear_the_way()
        messages += self._admit()
        self._keep_a_useful_pace(now)
        self._work(now)
        return messages + self._news()

    def _news(self) -> list[Said]:
        """What there is to say about those that were touched, with their weights. If many wait for these, the rest of
        them come with the next pieces of work."""
        unheard, self._roster.unheard = self._roster.unheard, {}
        works = len(self._roster.working)
        between, of_reports = max(WEIGHTS_SECONDS, works / MOST_WEIGHTS), report_seconds(works)
        messages: list[Said] = []
        began = self._clock()
        for run in unheard.values():
            now = self._clock()
            if run.weights_are_due(now, between):
                if now - began < SLICE_SECONDS:
                    self._spend(run, lambda run=run: run.hand_out(between))
                else:
                    self._roster.unheard[run.id] = run
            self._guard(run, lambda run=run: messages.extend(run.news(self._clock(), self._budget.share, of_reports)))
        return messages

    def _leave_behind(self, run: Run) -> None:
        """Before it ends or begins anew: what it tells then must not be taken for the new one's."""
        if checkpoint := self._guard(run, run.unsaid):
            self._left_behind.append(checkpoint)

    def _touch(self, run: Run) -> None:
        """It may be another than it was: unless it has ended."""
        if self._runs.get(run.id) is run:
            self._roster.touch(run)

    def _work(self, now: float) -> None:
        self._roster.settle()
        working = self._roster.working.values()
        first = self._first(now) if not working or self._budget.is_open else None
        if first and (not working or first.time <= now):
            viewed = first.run
            self._spend(viewed, lambda: viewed.look(first.view))
            self._touch(viewed)
            seconds = self._clock() - now
            ahead = self._rest_ahead + (-seconds if viewed.works else seconds)
            self._rest_ahead = max(-BURST_SECONDS, min(ahead, BURST_SECONDS))
            if working:
                self._budget.spend(seconds)
        elif working:
            least, most = self._level, self._level + MOST_ARREARS_SECONDS
            for run in working:
                if not least <= run.used <= most:
                    run.used = min(max(run.used, least), most)
            self._level = min([run.used for run in working])
            next_one = _earliest(working)
            measures, began = next_one.holds_still, self._clocks.cpu()
            self._spend(next_one, lambda: next_one.work(slice_seconds(len(working))))
            self._touch(next_one)
            if not measures:
                self._crowding.note(self._clocks.cpu() - began)
            if measures:
                self._budget.spend(self._clock() - now)

    def _first(self, now: float) -> Due | None:
        """The picture that is due first. But where both are due, flows that move and flows at rest have the same time,
        so that a crowd that opens its pages and is measured does not stop the pictures of others. A page's first
        picture comes at once."""
        moving, rest = self._roster.first_due()
        if not (moving and rest):
            return moving or rest
        if rest.view is not FRAME and max(moving.time, rest.time) <= now:
            return moving if self._rest_ahead > 0 else rest
        return min(rest, moving, key=lambda one: one[:2])

    def _spend(self, run: Run, work: Callable[[], Any]) -> None:
        """Work for a run, at its expense."""
        self._note(run.id, run.step)
        start = self._clock()
        self._guard(run, work)
        run.used += self._clock() - start

    def _clear_the_way(self) -> None:
        """Let runs with long steps wait where they would hold up others that have come."""
        for run in self._roster.long.values():
            if run.holds_place and self._holds_up_others(run):
                self._guard(run, partial(run.step_aside, run.arms.step_time.message))
                self._touch(run)
        self._roster.settle()

    def _holds_up_others(self, run: Run) -> bool:
        """Whether others are there who would wait for its steps. Of two with long steps, who has a place keeps it."""
        return any(
            other.present
            and other.phase is not State.FAILED
            and (not other.arms.step_time.too_long or (other.holds_place and not run.holds_place))
            for other in self._runs.values()
            if other is not run
        )

    def _admit(self) -> list[Report]:
        if not self._roster.in_line:
            return []
        queued = [run for id, run in self._runs.items() if id in self._roster.in_line]
        held = [run for run in self._runs.values() if run.phase is not State.QUEUED]
        absent = sorted((run for run in held if not run.present), key=lambda run: run.seen, reverse=True)
        dropped, place = [], 0
        for run in queued:
            if not run.present:
                self._queue(run, 0)  # a page that is gone waits for nothing
                continue
            if run.arms.step_time.too_long and self._holds_up_others(run):
                self._queue(run, 0, run.arms.step_time.message)
                continue
            if not place and absent and not self._has_memory(len(held)):
                held.remove(gone := absent.pop())
                silent = self._clocks.attendance() - gone.seen
                why = f"others waited for a place, and this page did not answer for {silent:.0f} s"
                dropped.append(self._drop(gone, why))
            if not place and self._has_memory(len(held)):
                run.admit()
                self._touch(run)
                held.append(run)
            else:
                place += 1
                self._queue(run, place, self._queue_message(place))
        return dropped

    def _has_memory(self, held: int) -> bool:
        # Memory that was freed may stay with the process, so the last one out lets the next one in.
        return held == 0 or self._memory() < self._memory_limit

    def _keep_a_useful_pace(self, now: float) -> None:
        """Let some wait where all would crawl."""
        self._roster.settle()
        if not (self._roster.asks_changed or self._crowding.is_due(now)):
            return
        self._roster.asks_changed = False
        asked = list(self._roster.asked.values())
        before = [run.held for run in asked]
        self._crowding.look(now, asked)
        for run, was_held in zip(asked, before, strict=True):
            if run.held is not was_held:
                self._touch(run)
        waiting = sorted((run for run in asked if run.held), key=lambda run: run.asked_at)
        for place, run in enumerate(waiting, 1):
            self._queue(run, place, CROWDED.format(place=place))
        for run in self._waited.values():
            if not (run.asked and run.held):
                run.held = False
                self._touch(run)
                self._queue(run, 0)
        self._waited = {run.id: run for run in waiting}

    def _queue(self, run: Run, place: int, why: str = "") -> None:
        """Let it wait at this place, and be told so."""
        if run.queue(place, why):
            self._touch(run)

    def _queue_message(self, place: int) -> str:
        """For the person who waits. What only the server's owner can do goes to the log."""
        if (now := self._clock()) - self._advised >= ADVICE_SECONDS:
            self._advised = now
            log.warning(
                "Pages wait for a place: this process has %g GiB of memory for experiments. Start the app with more "
                "WORKERS where there are more cores.",
                self._memory_limit / 2**30,
            )
        return (
            f"All places are taken. This page is number {place} in the queue and starts by itself. If you have other "
            "pages of this app open, close one of them."
        )

    def _drop_abandoned(self) -> list[Report]:
        dropped, now = [], self._clocks.attendance()
        if now == self._looked_at:
            return []
        self._looked_at = now
        for run in list(self._runs.values()):
            if run.present and now - run.seen > AWAY_SECONDS:
                run.miss()
                self._touch(run)
            if run.rests_unseen and now - run.away_since > ASIDE_SECONDS:
                self._guard(run, partial(run.step_aside, ""))
                self._touch(run)
            if now - run.seen > DROP_SECONDS:
                dropped.append(self._drop(run, "its page did not answer for ten minutes"))
        aside = sorted((run for run in self._runs.values() if run.is_aside), key=lambda run: run.away_since)
        for run in aside[:-MOST_ASIDE]:
            why = f"its page did not answer for {now - run.seen:.0f} s, and {MOST_ASIDE} others have left since"
            dropped.append(self._drop(run, why))
        return dropped

    def _drop(self, run: Run, why: str) -> Report:
        del self._runs[run.id]
        self._roster.forget(run.id)
        return Report(run.id, State.EXPIRED, message=f"This run was dropped: {why}.")

    def _guard(self, run: Run, work: Callable[[], Any]) -> Any:
        """What `work` returns. An error in one experiment ends that experiment only, and returns None."""
        try:
            return work()
        except Exception as error:
            log.exception("Experiment %s failed", run.id)
            self._touch(run)
            run.fail(
                f"An unexpected error ({type(error).__name__}) ended this run. The log of the server says more. Press "
                "Reset to start it again."
            )
