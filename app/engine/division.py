"""A comparison divided over workers: each trains some of its arms, with the digits that one worker would give them."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from app.engine.commands import ViewRequest
from app.engine.experiment import Experiment
from app.engine.reports import MOVING, STOPPED, ArmReport, HandedOut, Report, State
from resflow_core.data import Table
from resflow_core.training.step_work import step_work

if TYPE_CHECKING:
    from resflow_core.training.trainer import AnyConfig, TrainConfig

Numbers = tuple[int, ...]
"""Of the arms in a part, ascending, as they stand in the comparison."""

# Of several parts the whole is in the first of these states that one of them is in.
FIRST = (*STOPPED, State.QUEUED, State.LOADING)


def division(experiment: Experiment, workers: int) -> tuple[Numbers, ...]:
    """At most so many parts, whose steps are about equally much work: the dearest arms first, each to the part that has
    the least (Graham 1969, longest processing time first). One part for a measurement, whose times others would
    disturb."""
    count = min(workers, len(experiment.arms))
    if count < 2 or not all(isinstance(arm.data, str | Table) for arm in experiment.arms):
        return (tuple(range(len(experiment.arms))),)
    work = [_work(arm.flow, arm.train) for arm in experiment.arms]
    parts: list[list[int]] = [[] for _ in range(count)]
    loads = [(0.0, k) for k in range(count)]
    for number in sorted(range(len(work)), key=lambda number: -work[number]):
        load, k = heapq.heappop(loads)
        parts[k].append(number)
        heapq.heappush(loads, (load + work[number], k))
    return tuple(sorted(tuple(sorted(part)) for part in parts))


def part_of(experiment: Experiment, numbers: Numbers) -> Experiment:
    """These arms of it; itself, if these are all."""
    if len(numbers) == len(experiment.arms):
        return experiment
    arms = tuple(experiment.arms[number] for number in numbers)
    return replace(experiment, arms=arms, whole=experiment.arms, numbers=numbers)


def asked_of(request: ViewRequest, numbers: Numbers) -> ViewRequest:
    """What a page wants to see of a part, whose arms count from 0 there."""
    if request.pictured is None:
        return request
    return replace(request, pictured=tuple(k for k, number in enumerate(numbers) if number in request.pictured))


def state_of(states: Sequence[State], playing: bool, stepping: bool) -> State:
    """The state of the whole. Parts that play or step wait for one another, and after a pause go to the same step."""
    if found := next((state for state in FIRST if state in states), None):
        return found
    if playing:
        return State.PLAYING
    return State.STEPPING if stepping and any(state in MOVING for state in states) else State.PAUSED


def merged(id: str, reports: Mapping[Numbers, Report], state: State, goal: int) -> Report:
    """One report of all parts. It has arms once each part has; `goal` is the step that all go to, 0: none."""
    parts = list(reports.values())
    arms: dict[int, ArmReport] = {}
    for numbers, report in reports.items():
        arms |= dict(zip(numbers, report.arms, strict=False))
    whole = len(arms) == sum(map(len, reports))
    steps = {arm.step for arm in arms.values()}
    resumes = [report.resumes_at for report in parts if report.resumes_at is not None]
    return replace(
        parts[0],
        id=id,
        state=state,
        arms=tuple(arms[number] for number in sorted(arms)) if whole else (),
        message=" ".join(dict.fromkeys(report.message for report in parts if report.message)),
        queue_place=max(report.queue_place for report in parts),
        frame_share=max(report.frame_share for report in parts),
        steps_left=max(0, goal - min(steps)) if steps and state is State.STEPPING else 0,
        step_seconds=max(report.step_seconds for report in parts),
        resumes_at=max(resumes, default=None),
        handled=min(report.handled for report in parts),
        awaits=any(report.awaits for report in parts),
        has_weights=all(report.has_weights for report in parts),
        confirmed=all(report.confirmed for report in parts) and (state in MOVING or len(steps) < 2),
        restarts=sum(report.restarts for report in parts),
        rewinds=sum(report.rewinds for report in parts),
    )


def handed_out(id: str, numbers: Numbers, part: HandedOut, arms: int, rewinds: int) -> HandedOut:
    """What a part has handed out, of a comparison with so many arms."""
    of = dict(zip(numbers, part.arms, strict=True))
    return HandedOut(id, part.step, tuple(of.get(number) for number in range(arms)), rewinds)


def _work(flow: "AnyConfig", train: "TrainConfig") -> float:
    try:
        return _step_work(flow, train)
    except (ValueError, TypeError, KeyError):  # settings that cannot be built: building says what is wrong
        return 0.0


@lru_cache(maxsize=256)
def _step_work(flow: "AnyConfig", train: "TrainConfig") -> float:
    return step_work(flow, train).total
