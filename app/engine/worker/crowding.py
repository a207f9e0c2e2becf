"""How many runs train at once: as many as leave each a useful pace, which is measured.

What a step costs depends on who else is there: caches, pictures, pages on the same cores. So nothing is counted
beforehand. Every `LOOK_SECONDS` it is asked what share of a processor each run that trains has had. If that is too
little, those that were begun last wait; when it is more than enough, those that wait the longest go on.
"""

from collections.abc import Sequence
from typing import Protocol

LOOK_SECONDS = 2.0
USEFUL_SHARE = 0.01
"""Of a processor: three or four steps a second of the flow that a page begins with."""
ENOUGH = 1.25
"""So many times that, and another may go on."""


class Training(Protocol):
    crowded_out: bool
    """Whether it waits until others pause."""
    wants_steps_since: float
    """When it was asked to train."""


class Crowding:
    def __init__(self, now: float) -> None:
        self._since, self._trained = now, 0.0

    def note(self, seconds: float) -> None:
        """So many seconds of a processor went into runs."""
        self._trained += seconds

    def is_due(self, now: float) -> bool:
        """Whether it is to be looked again, whoever has asked meanwhile."""
        return now - self._since >= LOOK_SECONDS

    def look(self, now: float, eager: Sequence[Training]) -> None:
        """Say of all runs that are asked to train which of them wait."""
        going, waiting = [run for run in eager if not run.crowded_out], [run for run in eager if run.crowded_out]
        if waiting and not going:
            min(waiting, key=_since).crowded_out = False
        if not self.is_due(now):
            return
        affords = self._trained / ((now - self._since) * USEFUL_SHARE)
        self._since, self._trained = now, 0.0
        if affords < len(going):
            for run in sorted(going, key=_since)[max(1, int(affords)) :]:
                run.crowded_out = True
        elif affords > ENOUGH * len(going):
            for run in sorted(waiting, key=_since)[: int(affords / ENOUGH) - len(going)]:
                run.crowded_out = False


def _since(run: Training) -> float:
    return run.wants_steps_since
