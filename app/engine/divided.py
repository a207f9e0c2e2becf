"""A comparison whose arms train in several workers, kept in step."""

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from app.engine.commands import Change, Command, Look, Pause, Play, Poll, Reset, Step
from app.engine.division import FIRST, Numbers, asked_of, handed_out, merged, state_of
from app.engine.reports import STOPPED, UNKNOWN, Checkpoint, HandedOut, Report, State
from app.engine.watchers import Heard

if TYPE_CHECKING:
    from app.engine.remote import WorkerClient

# No part is further ahead of the slowest than about this time of its training. It is longer than what passes between
# the reports of a part, so that none waits for the page server.
AHEAD_SECONDS = 1.0
LEAST_AHEAD = 2


class Where(NamedTuple):
    """Of one part."""

    state: State
    step: int
    goal: int  # the step that it goes to
    confirmed: bool  # whether it has heard all that it was told
    step_seconds: float  # of training, for a step of all its arms; 0 before the first


class Divided:
    """What a `WorkerClient` is for one run, for a run in parts. Each part is a run by the same id in its own worker.

    All parts are asked for the same steps, a few at a time while the whole plays, so the fast ones wait for the slow. A
    pause has its effect at once, and those behind then go to the step of the furthest. A part that was lost goes on
    from its own checkpoint, and the others wait for it.
    """

    def __init__(self, id: str, parts: "Mapping[Numbers, WorkerClient]", goal: int) -> None:
        """`goal` is the step that all go to at first."""
        self.id, self.parts = id, dict(parts)
        self._lock = threading.RLock()
        self._playing, self._stepping, self._goal = False, False, goal
        self._reports: dict[Numbers, Report] = {}  # the newest of each, without frames, for those who watch
        self._handed_out: dict[Numbers, HandedOut] = {}  # the newest weights of each
        self._watching: list[Heard] = []
        self._ends = [link.watch(id, self._heard_of(numbers)) for numbers, link in self.parts.items()]

    def poll(self, poll: Poll) -> Report:
        reports = {
            numbers: link.poll(Poll(poll.id, asked_of(poll.request, numbers)))
            or Report(poll.id, State.EXPIRED, message=UNKNOWN)
            for numbers, link in self.parts.items()
        }
        with self._lock:
            return self._whole(reports)

    def attend(self, id: str) -> None:
        for link in self.parts.values():
            link.attend(id)

    def look(self, look: Look) -> None:
        for link in self.parts.values():
            link.look(look)

    def watch(self, id: str, heard: Heard) -> Callable[[], None]:
        with self._lock:
            self._watching.append(heard)

        def end() -> None:
            with self._lock:
                if heard in self._watching:
                    self._watching.remove(heard)

        return end

    def export(self, id: str, arm_index: int) -> bytes | None:
        for numbers, link in self.parts.items():
            if arm_index in numbers:
                return link.export(id, numbers.index(arm_index))
        return None

    def newest(self) -> list[Checkpoint | None]:
        """The newest checkpoint of each part."""
        return [link.newest(self.id) for link in self.parts.values()]

    def send(self, command: Command) -> None:
        with self._lock:
            match command:
                case Play():
                    self._playing, self._stepping, self._goal = True, False, 0
                    self._go_on()
                case Step(in_parts=False, n=n):
                    begins_at = max(self._goal, *(part.goal for part in self._where()))
                    self._playing, self._stepping, self._goal = False, True, begins_at + n
                    self._ask(self._goal)
                case Change(arm_index=index):
                    for numbers, link in self.parts.items():
                        if index in numbers:
                            link.send(replace(command, arm_index=numbers.index(index)))
                case _:
                    if isinstance(command, Pause | Reset | Step):
                        self._playing, self._stepping, self._goal = False, isinstance(command, Step), 0
                    for link in self.parts.values():
                        link.send(command)

    def close(self) -> None:
        """Hear of it no more."""
        for end in self._ends:
            end()

    def _where(self) -> "list[Where]":
        return [link.where(self.id) for link in self.parts.values()]

    def _heard_of(self, numbers: Numbers) -> Heard:
        def heard(report: Report | HandedOut) -> None:
            if isinstance(report, HandedOut):
                self._pass_on(numbers, report)
                return
            with self._lock:
                rewinds = self._rewinds
                self._reports[numbers] = report
                again = list(self._handed_out.items()) if self._rewinds != rewinds else []
                self._keep_in_step()
                whole = self._whole(self._reports) if len(self._reports) == len(self.parts) else None
                arms = tuple(replace(arm, frame=None) for arm in report.arms)
                self._reports[numbers] = replace(report, arms=arms)
                watching = tuple(self._watching)
            if whole:
                for told in watching:
                    told(whole)
            for part, weights in again:  # they belong to a timeline that has now another name
                now = self._reports.get(part)
                if now and now.rewinds == weights.rewinds:
                    self._pass_on(part, weights)

        return heard

    @property
    def _rewinds(self) -> int:
        """As in the report of the whole (`merged`)."""
        return sum(report.rewinds for report in self._reports.values())

    def _pass_on(self, numbers: Numbers, part: HandedOut) -> None:
        with self._lock:
            self._handed_out[numbers] = part
            whole = handed_out(self.id, numbers, part, sum(map(len, self.parts)), self._rewinds)
            watching = tuple(self._watching)
        for told in watching:
            told(whole)

    def _whole(self, reports: Mapping[Numbers, Report]) -> Report:
        reports = {numbers: reports[numbers] for numbers in self.parts}
        states = [report.state for report in reports.values()]
        state = state_of(states, self._playing, self._stepping)
        return merged(self.id, reports, state, self._goal)

    def _keep_in_step(self) -> None:
        parts = self._where()
        if any(part.state in STOPPED for part in parts):
            if self._playing or self._stepping:
                self._playing = self._stepping = False
                for link, part in zip(self.parts.values(), parts, strict=True):
                    if part.state not in FIRST:
                        link.send(Pause(self.id))
        elif self._playing:
            self._go_on()
        elif all(part.state is State.PAUSED and part.confirmed for part in parts):
            furthest = max(self._goal, *(part.step for part in parts))
            if any(part.step < furthest for part in parts):
                self._ask(furthest)
            else:
                self._stepping, self._goal = False, 0

    def _go_on(self) -> None:
        """Let all take some steps more than the slowest has taken."""
        parts = self._where()
        slowest, seconds = min(part.step for part in parts), max(part.step_seconds for part in parts)
        ahead = max(LEAST_AHEAD, math.ceil(AHEAD_SECONDS / seconds)) if seconds else LEAST_AHEAD
        self._ask(max(slowest + ahead, *(part.goal for part in parts)), more=True)

    def _ask(self, goal: int, more: bool = False) -> None:
        """Have each part go to this step."""
        for link in self.parts.values():
            if (n := goal - link.where(self.id).goal) > 0:
                link.send(Step(self.id, n, more=more))
