"""Which runs have something to be done. A run changes by a command, by work or by the scheduler, which touches it then;
all others are as they were, so that hundreds of open pages cost those that train no time."""

from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple

from app.engine.run import Run
from app.engine.views import View

UNCROWDED = 2  # runs that work, whose measurements leave pictures half of their time


class Due(NamedTuple):
    """When a picture is due, which, and of which run."""

    time: float
    view: View
    run: Run


_when = itemgetter(0, 1)


class Roster:
    """`settle` brings what stands here up to date with the runs that were touched."""

    def __init__(self) -> None:
        self.unheard: dict[str, Run] = {}  # touched, and not asked since what there is to say
        self.working: dict[str, Run] = {}  # those that are to have their turns
        self.asked: dict[str, Run] = {}  # those that somebody has asked for steps
        self.in_line: dict[str, Run] = {}  # those that wait for a place, or are to be told that they need not
        self.long: dict[str, Run] = {}  # those with long steps
        self.asks_changed = False  # since somebody last set this to False
        self._touched: dict[str, Run] = {}
        self._moving: dict[str, Due] = {}  # the next picture of each run that works,
        self._resting: dict[str, Due] = {}  # and of each that does not
        self._crowd = 1.0

    def __bool__(self) -> bool:
        """Whether there is work, or something to say."""
        return bool(self.unheard or self.working or self._moving or self._resting)

    def touch(self, run: Run) -> None:
        self._touched[run.id] = self.unheard[run.id] = run

    def forget(self, id: str) -> None:
        """It has ended."""
        self.asks_changed |= id in self.asked
        for kept in (self._touched, self.unheard, self.working, self.asked, self.in_line, self.long):
            kept.pop(id, None)
        self._moving.pop(id, None)
        self._resting.pop(id, None)

    def settle(self) -> None:
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        for run in touched.values():
            self.asks_changed |= run.asked != (run.id in self.asked)
            _keep(self.working, run, run.works)
            _keep(self.asked, run, run.asked)
            _keep(self.in_line, run, run.is_in_line)
            _keep(self.long, run, run.arms.step_time.too_long)
        crowd = max(1.0, len(self.working) / UNCROWDED)
        if crowd != self._crowd:
            self._crowd = crowd
            touched |= {id: due.run for id, due in (self._moving | self._resting).items() if due.run.under_way}
        for run in touched.values():
            self._see(run)

    def first_due(self) -> tuple[Due | None, Due | None]:
        """The next picture of runs that work, and of all others."""
        return _first(self._moving.values()), _first(self._resting.values())

    def _see(self, run: Run) -> None:
        """Note its next picture."""
        self._moving.pop(run.id, None)
        self._resting.pop(run.id, None)
        if view := run.next_view(self._crowd):
            (self._moving if run.works else self._resting)[run.id] = Due(*view, run)


def _keep(kept: dict[str, Run], run: Run, belongs: bool) -> None:
    if belongs:
        kept[run.id] = run
    else:
        kept.pop(run.id, None)


def _first(some: Iterable[Due]) -> Due | None:
    return min(some, key=_when, default=None)
