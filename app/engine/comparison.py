"""Several arms that train side by side, each a run of its own, held in step by a barrier."""

import heapq
import math
import statistics
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from app.engine.commands import Change, Close, Command, Look, Pause, Play, Poll, Reset, Step, ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.records.experiment_record import Where
from app.engine.records.watchers import Heard
from app.engine.reports import MOVING, STOPPED, UNKNOWN, Checkpoint, HandedOut, Report, State
from resflow_core.training.step_work import step_work

if TYPE_CHECKING:
    from resflow_core.training.trainer import AnyConfig, TrainConfig

# No arm is further ahead of the slowest than about this time of a worker's training. It is longer than what passes
# between the reports of a run, so that none waits for the page server.
AHEAD_SECONDS = 1.0
LEAST_AHEAD = 2

# Of several arms the whole is in the first of these states that one of them is in.
FIRST = (*STOPPED, State.QUEUED, State.LOADING)


class Link(Protocol):
    """The way to the runs of one worker: `remote.WorkerClient`, or those of this process (`local.Here`)."""

    def create(self, id: str, experiment: Experiment, checkpoint: Checkpoint | None) -> None:
        """Have a run, paused, from its beginning or from a checkpoint."""
        ...

    def poll(self, poll: Poll) -> Report | None:
        """The newest that is known of a run; None if there is none of this id."""
        ...

    def send(self, command: Command) -> None: ...

    def attend(self, id: str) -> None: ...

    def look(self, look: Look) -> None: ...

    def watch(self, id: str, heard: Heard) -> Callable[[], None]:
        """As of the `Engine`, also of a run that is yet to be created."""
        ...

    def where(self, id: str) -> Where:
        """How far a run is, and what it is to do, as far as is known here."""
        ...

    def newest(self, id: str) -> Checkpoint | None:
        """The newest checkpoint of a run."""
        ...

    def export(self, id: str, arm_index: int) -> bytes | None: ...


def name_of(id: str, index: int) -> str:
    """The id of the run of one arm."""
    return f"{id}.{index}"


class Comparison:
    """What a `Link` is for one run, for all arms together, of which each has its own id (`name_of`).

    All arms are told to go to the same step, a few steps at a time while the whole plays, so that the fast ones wait
    for the slow. A pause has its effect at once, and those behind then go to the step of the furthest. An arm that was
    lost goes on from its own checkpoint, and the others wait for it.
    """

    def __init__(self, id: str, links: Sequence[Link], goal: int = 0, *, plays_on: bool = True) -> None:
        """`links`: of each arm. `goal` is the step that all go to at first. Without `plays_on` the whole moves only by
        `go_on` while it plays."""
        self.id, self._plays_on = id, plays_on
        self.runs = tuple((name_of(id, k), link) for k, link in enumerate(links))
        self._lock = threading.RLock()
        self._playing, self._stepping, self._goal = False, False, goal
        self._reports: dict[int, Report] = {}  # the newest of each arm, without what was told, for those who watch
        self._handed_out: dict[int, HandedOut] = {}  # the newest weights of each arm
        self._untold: set[int] = set()  # arms whose weights are to be told, under the timeline of now
        self._watching: list[Heard] = []
        self._ends = [link.watch(name, self._heard_of(k)) for k, (name, link) in enumerate(self.runs)]

    def poll(self, poll: Poll) -> Report:
        reports = [
            link.poll(Poll(name, request_of(poll.request, k))) or Report(name, State.EXPIRED, message=UNKNOWN)
            for k, (name, link) in enumerate(self.runs)
        ]
        with self._lock:
            return self._whole(reports)

    def attend(self, id: str) -> None:
        for name, link in self.runs:
            link.attend(name)

    def look(self, look: Look) -> None:
        for name, link in self.runs:
            link.look(replace(look, id=name))

    def watch(self, id: str, heard: Heard) -> Callable[[], None]:
        with self._lock:
            self._watching.append(heard)

        def end() -> None:
            with self._lock:
                if heard in self._watching:
                    self._watching.remove(heard)

        return end

    def export(self, id: str, arm_index: int) -> bytes | None:
        if not 0 <= arm_index < len(self.runs):
            return None
        name, link = self.runs[arm_index]
        return link.export(name, 0)

    def send(self, command: Command) -> None:
        with self._lock:
            match command:
                case Play():
                    self._playing, self._stepping, self._goal = True, False, 0
                    if self._plays_on:
                        self._go_on(self._allowance(), beyond=1)
                case Step(in_parts=False, n=n):
                    begins_at = max(self._goal, *(arm.goal for arm in self._where()))
                    self._playing, self._stepping, self._goal = False, True, begins_at + n
                    self._ask(self._goal)
                case Change(arm_index=index):
                    if 0 <= index < len(self.runs):
                        name, link = self.runs[index]
                        link.send(replace(command, id=name, arm_index=0))
                case _:
                    if isinstance(command, Pause | Reset | Step):
                        self._playing, self._stepping, self._goal = False, isinstance(command, Step), 0
                    if isinstance(command, Close):
                        for end in self._ends:
                            end()
                    if isinstance(command, Reset):  # which they will say themselves
                        self._reports = {k: replace(r, state=State.LOADING) for k, r in self._reports.items()}
                    for name, link in self.runs:
                        link.send(replace(command, id=name))

    def go_on(self, steps: int) -> None:
        """Let all take so many steps from where the slowest is, if the whole plays."""
        with self._lock:
            if self._playing:
                self._go_on(steps, beyond=1)

    def _where(self) -> list[Where]:
        return [link.where(name) for name, link in self.runs]

    def _heard_of(self, index: int) -> Heard:
        def heard(news: Report | HandedOut) -> None:
            with self._lock:
                told: list[Report | HandedOut] = []
                if isinstance(news, HandedOut):
                    self._handed_out[index] = news
                    self._untold.add(index)
                else:
                    told += self._note(index, news)
                told += self._weights()
                watching = tuple(self._watching)
            for one in told:
                for hears in watching:
                    hears(one)

        return heard

    def _note(self, index: int, report: Report) -> list[Report]:
        """Take note of a report, and return that of the whole, once each arm has reported."""
        rewinds = self._rewinds
        self._reports[index] = report
        if self._rewinds != rewinds:  # all weights belong to a timeline that has now another name
            self._untold.update(self._handed_out)
        self._keep_in_step()
        has_all = self._watching and len(self._reports) == len(self.runs)
        whole = [self._whole([self._reports[k] for k in range(len(self.runs))])] if has_all else []
        known = [replace(arm, frame=None, loss=None, blocks=None, parts=None, measured={}) for arm in report.arms]
        self._reports[index] = replace(report, arms=tuple(known))
        return whole

    def _weights(self) -> list[HandedOut]:
        """Those to be told now: none until all arms are built, for each arm that begins anew begins a timeline."""
        states = [report.state for report in self._reports.values()]
        if len(states) < len(self.runs) or not {State.QUEUED, State.LOADING}.isdisjoint(states):
            return []
        rewinds, arms, untold, self._untold = self._rewinds, len(self.runs), sorted(self._untold), set()
        return [
            handed_out(self.id, k, self._handed_out[k], arms, rewinds)
            for k in untold
            if self._handed_out[k].rewinds == self._reports[k].rewinds
        ]

    @property
    def _rewinds(self) -> int:
        """As in the report of the whole (`merged`)."""
        return sum(report.rewinds for report in self._reports.values())

    def _whole(self, reports: Sequence[Report]) -> Report:
        state = state_of([report.state for report in reports], self._playing, self._stepping)
        return merged(self.id, reports, state, self._goal)

    def _keep_in_step(self) -> None:
        arms = self._where()
        if any(arm.state in STOPPED for arm in arms):
            if self._playing or self._stepping:
                self._playing, self._stepping, self._goal = False, False, 0
                for (name, link), arm in zip(self.runs, arms, strict=True):
                    if arm.state not in FIRST:
                        link.send(Pause(name))
        elif self._playing:
            # Each is told and answers, whenever they go on: not for every step of the slowest.
            ahead = self._allowance()
            if self._plays_on and min(arm.goal for arm in arms) - min(arm.step for arm in arms) <= ahead // 2:
                self._go_on(ahead)
        elif all(arm.state is State.PAUSED and arm.confirmed for arm in arms):
            furthest = max(self._goal, *(arm.step for arm in arms))
            if any(arm.step < furthest for arm in arms):
                self._ask(furthest)
            else:
                self._stepping, self._goal = False, 0

    def _allowance(self) -> int:
        """How many steps ahead of the slowest an arm may be. The arms of a worker take theirs in turn."""
        seconds: dict[Link, float] = defaultdict(float)
        for (_, link), arm in zip(self.runs, self._where(), strict=True):
            if not arm.step_seconds:  # it may be the slowest by far
                return LEAST_AHEAD
            seconds[link] += arm.step_seconds
        return max(LEAST_AHEAD, math.ceil(AHEAD_SECONDS / max(seconds.values())))

    def _go_on(self, ahead: int, beyond: int = 0) -> None:
        """Let all take so many steps more than the slowest has taken; and those that stopped at least the step after
        the last that an arm goes to, if `beyond` is 1, so that each has something to do."""
        arms = self._where()
        furthest = max(arm.goal for arm in arms)
        self._ask(max(min(arm.step for arm in arms) + ahead, furthest + beyond), more=True)

    def _ask(self, goal: int, more: bool = False) -> None:
        """Have each arm go to this step."""
        for name, link in self.runs:
            if (n := goal - link.where(name).goal) > 0:
                link.send(Step(name, n, more=more))


def places(arms: Sequence[Arm], loads: Sequence[tuple[int, int]]) -> list[int]:
    """The worker for each arm. A step of all should be about equally much work for each worker: the dearest arms first,
    each to the one that has the least (Graham 1969, longest processing time first). `loads`: how many arms train in
    each worker, each as dear as the mean of these; and how many runs it has, where all else is equal."""
    work = [_work(arm.flow, arm.train) for arm in arms] if len(arms) > 1 else [1.0]
    mean = statistics.fmean(work) or 1.0
    heap = [(moving * mean, runs, worker) for worker, (moving, runs) in enumerate(loads)]
    heapq.heapify(heap)
    found = [0] * len(arms)
    for k in sorted(range(len(arms)), key=lambda k: -work[k]):
        load, runs, worker = heap[0]
        found[k] = worker
        heapq.heapreplace(heap, (load + work[k], runs + 1, worker))
    return found


def request_of(request: ViewRequest, index: int) -> ViewRequest:
    """What a page wants to see of one arm, which is the first of its run."""
    if request.pictured is None:
        return request
    return replace(request, pictured=(0,) if index in request.pictured else ())


def state_of(states: Sequence[State], playing: bool, stepping: bool) -> State:
    """The state of the whole. Arms that play or step wait for one another, and after a pause go to the same step."""
    if found := next((state for state in FIRST if state in states), None):
        return found
    if playing:
        return State.PLAYING
    return State.STEPPING if stepping and any(state in MOVING for state in states) else State.PAUSED


def merged(id: str, reports: Sequence[Report], state: State, goal: int) -> Report:
    """One report of all arms. It has arms once each run has; `goal` is the step that all go to, 0: none."""
    is_whole = all(report.arms for report in reports)
    steps = {arm.step for report in reports for arm in report.arms}
    dropped = [report for report in reports if report.state is State.EXPIRED]
    resumes = [report.resumes_at for report in dropped if report.resumes_at is not None]
    return replace(
        reports[0],
        id=id,
        state=state,
        arms=tuple(arm for report in reports for arm in report.arms) if is_whole else (),
        message=_message(reports, state),
        queue_place=max(report.queue_place for report in reports),
        frame_share=max(report.frame_share for report in reports),
        steps_left=max(0, goal - min(steps)) if steps and state is State.STEPPING else 0,
        step_seconds=max(report.step_seconds for report in reports),
        resumes_at=max(resumes, default=None) if len(resumes) == len(dropped) else None,
        handled=min(report.handled for report in reports),
        awaits=any(report.awaits for report in reports),
        has_weights=all(report.has_weights for report in reports),
        confirmed=all(report.confirmed for report in reports) and (state is not State.PAUSED or len(steps) < 2),
        restarts=max(report.restarts for report in reports),
        rewinds=sum(report.rewinds for report in reports),
    )


def handed_out(id: str, index: int, of_arm: HandedOut, arms: int, rewinds: int) -> HandedOut:
    """What an arm has handed out, of a comparison with so many."""
    weights: list[bytes | None] = [None] * arms
    (weights[index],) = of_arm.arms
    return HandedOut(id, of_arm.step, tuple(weights), rewinds)


def _message(reports: Sequence[Report], state: State) -> str:
    """That of one arm: many would say the same of other steps or places. It is the one that stops the whole, or that
    waits the longest."""
    said = [report for report in reports if report.message]
    if not said:
        return ""
    return max(said, key=lambda report: (report.state is state, report.queue_place)).message


def _work(flow: "AnyConfig", train: "TrainConfig") -> float:
    try:
        return _step_work(flow, train)
    except (ValueError, TypeError, KeyError):  # settings that cannot be built: building says what is wrong
        return 0.0


@lru_cache(maxsize=256)
def _step_work(flow: "AnyConfig", train: "TrainConfig") -> float:
    return step_work(flow, train).total
