"""How long a run holds up all others: the time of a step, or of a piece of a long one, estimated before the first and
measured afterwards."""

import statistics
from collections import deque
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from app.engine.experiment import Arm
from resflow_core.data import Table
from resflow_core.training.step_cost import piece_seconds

if TYPE_CHECKING:
    from resflow_core.training.trainer import TrainConfig

LONGEST_STEP_SECONDS = 0.5
"""Nothing interrupts a piece of a step, so while other pages are there a longer one is not begun."""
LEAST_MEASURED, MOST_MEASURED = 3, 7


class StepTime:
    """CPU `seconds` of one piece of a step of the dearest arm of a run: the median of the last pieces, or an estimate
    until there are `LEAST_MEASURED`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._measured: dict[int, deque[float]] = {}

    def expect(self, arms: Iterable[tuple[Arm, "TrainConfig"]]) -> None:
        """Estimate it for arms with these settings, and forget what was measured with others."""
        self.seconds = max((_estimated(arm, train) for arm, train in arms), default=0.0)
        self._measured.clear()

    def add(self, arm_index: int, seconds: float) -> None:
        """Note what a piece of a step of an arm took."""
        self._measured.setdefault(arm_index, deque(maxlen=MOST_MEASURED)).append(seconds)
        if any(len(steps) >= LEAST_MEASURED for steps in self._measured.values()):
            self.seconds = max(map(statistics.median, self._measured.values()))

    @property
    def too_long(self) -> bool:
        return self.seconds > LONGEST_STEP_SECONDS

    @property
    def message(self) -> str:
        """Why the run waits, and what to do about it."""
        return (
            f"With these settings a step blocks the server for {self.seconds:.2g} s. While other pages are open, at "
            f"most {LONGEST_STEP_SECONDS:g} s are allowed, because all other runs have to wait. Lower the width, the "
            "hidden layers or the blocks. Or wait: this run goes on when the other pages are closed."
        )


def _estimated(arm: Arm, train: "TrainConfig") -> float:
    if not isinstance(arm.data, str | Table):  # a measurement, whose pieces are short
        return 0.0
    try:
        return _seconds(arm.flow, train)
    except (ValueError, TypeError, KeyError):  # settings that cannot be built: building says what is wrong
        return 0.0


_seconds = lru_cache(maxsize=256)(piece_seconds)
