"""Checkpoints of all runs of this server, within a limit of memory. Equal experiments go on from them, on any page."""

import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from app.engine.experiment import Experiment
from app.engine.records.origin import Origin, origin_of
from app.engine.records.train_schedule import TrainSchedule
from app.engine.reports import Checkpoint

if TYPE_CHECKING:
    from resflow_core.training.trainer import TrainConfig

MOST_BYTES = 128 * 2**20
MOST_ENTRY_BYTES = 8 * 2**20
MOST_STEPS = 24
# Of large ones half as many: one course must not take the place of all others.
MOST_LARGE_STEPS = 12
LARGE_SHARE = 1 / 8

Course = tuple[Origin, tuple[tuple["TrainConfig", tuple[tuple[int, "TrainConfig"], ...]], ...]]
"""Where a run began, and of each arm how it was trained at step 0 and all that changed, whether planned or live."""

# The steps of a course by what computed them. Digits depend on that, and compiled kernels come in while a server runs,
# so both kinds may be there. A run goes on by what began it (`Backends.of_saved_run`), so whichever is found, all its
# digits have one origin, and its reports name it. Who must have the very digits that were there asks for them.
Place = tuple[int, tuple[str, ...]]


class Stored:
    """Of one course at most `MOST_STEPS` steps are kept, or `MOST_LARGE_STEPS` if they take more than `LARGE_SHARE` of
    the memory: the first, the last, the newest, and others that lie apart. Of all, the courses that were used least
    recently go first. For several threads."""

    def __init__(self, most_bytes: int = MOST_BYTES, most_entry_bytes: int = MOST_ENTRY_BYTES) -> None:
        self._most_bytes, self._most_entry_bytes = most_bytes, most_entry_bytes
        self._lock = threading.Lock()
        self._courses: dict[Course, dict[Place, Checkpoint]] = {}  # the one used last, and the newest, at the end
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """The size of all that is kept."""
        return self._bytes

    def put(self, checkpoint: Checkpoint) -> bool:
        """Keep it, and say whether it is kept: not if it is too large, nor at step 0, where anybody can begin."""
        if checkpoint.origin is None or not checkpoint.step or len(checkpoint.data) > self._most_entry_bytes:
            return False
        course = _course(checkpoint.origin, checkpoint.schedules, checkpoint.step)
        with self._lock:
            course_steps = self._courses[course] = self._courses.pop(course, {})
            self._drop(course_steps, (checkpoint.step, checkpoint.fingerprints))
            course_steps[checkpoint.step, checkpoint.fingerprints] = checkpoint
            self._bytes += len(checkpoint.data)
            while len(course_steps) > self._most_steps(course_steps):
                self._drop(course_steps, _dispensable(course_steps))
            while self._bytes > self._most_bytes:
                least_used = next(iter(self._courses))
                self._bytes -= sum(len(one.data) for one in self._courses.pop(least_used).values())
            return course in self._courses

    def find(self, experiment: Experiment, step: int, fingerprints: tuple[str, ...] = ()) -> Checkpoint | None:
        """The one at the largest step up to `step` of which `experiment` is the continuation; of those that were
        computed by `fingerprints`, if that is given."""
        with self._lock:
            for course, fits in self._fitting(experiment, step, fingerprints):
                if fits:
                    course_steps = self._courses[course] = self._courses.pop(course)
                    return course_steps[max(reversed(fits), key=lambda place: place[0])]
        return None

    def steps(self, experiment: Experiment, step: int, fingerprints: tuple[str, ...] = ()) -> tuple[int, ...]:
        """All steps up to `step`, ascending, of which `experiment` is the continuation; as in `find`."""
        with self._lock:
            found = {place[0] for _, fits in self._fitting(experiment, step, fingerprints) for place in fits}
        return tuple(sorted(found))

    def _fitting(
        self, experiment: Experiment, step: int, fingerprints: tuple[str, ...]
    ) -> Iterator[tuple[Course, list[Place]]]:
        """The courses that lead up to `step`, the longest first, and the places of each. Before each change the course
        is another one, that of all who have not made it."""
        if step <= 0 or (origin := origin_of(experiment)) is None:
            return
        schedules = tuple(map(TrainSchedule.of, experiment.arms))
        changed = {since for schedule in schedules for since, _ in schedule.changes(step - 1)}
        for end in (step, *sorted(changed, reverse=True)):
            course = _course(origin, schedules, end)
            places = self._courses.get(course, ())
            yield course, [place for place in places if place[0] <= end and fingerprints in ((), place[1])]

    def _most_steps(self, course_steps: dict[Place, Checkpoint]) -> int:
        is_large = sum(len(one.data) for one in course_steps.values()) > LARGE_SHARE * self._most_bytes
        return MOST_LARGE_STEPS if is_large else MOST_STEPS

    def _drop(self, course_steps: dict[Place, Checkpoint], place: Place) -> None:
        if dropped := course_steps.pop(place, None):
            self._bytes -= len(dropped.data)


def _course(origin: Origin, schedules: Iterable[TrainSchedule], step: int) -> Course:
    """The course of the first `step` steps: a change that takes over at this step acts on those behind it only."""
    return origin, tuple((schedule.at(0), schedule.changes(step - 1)) for schedule in schedules)


def _dispensable(course_steps: dict[Place, Checkpoint]) -> Place:
    """Neither the first, nor the last, nor the newest, but the one that leaves the smallest gap."""
    places, newest = sorted(course_steps), next(reversed(course_steps))
    gaps = {
        place: after[0] - before[0]
        for before, place, after in zip(places, places[1:], places[2:], strict=False)
        if place != newest
    }
    return min(gaps, key=gaps.__getitem__)
