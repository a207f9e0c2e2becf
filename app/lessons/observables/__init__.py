"""What a lesson may ask. Each screen defines its observables in its folder of `app/features/`, and `app.screens` adds
them here.

Settings are asked for by their names in links.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from app.engine.messages import ArmReport, Report
from app.lessons.expression import Unknown
from app.lessons.observables.observable import Observable, known
from app.lessons.settings import Benches, changed, setting_values
from app.setup import Setup


@dataclass(frozen=True, eq=False)
class Situation:
    """What is known on a page: settings, what was thrown, the newest report of the flow, and a learner's answers."""

    setup: Setup = field(default_factory=Setup)
    benches: Benches = field(default_factory=dict)
    thrown: np.ndarray = field(default_factory=lambda: np.empty(0))  # estimates, in nats
    coins: str = ""  # what a class has thrown
    report: Report | None = None
    answers: Mapping[str, Any] = field(default_factory=dict)
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, int))  # of throws with N = 0, 1, ...

    def bench(self, kind: type) -> Any:
        return self.benches[kind]

    @property
    def arm(self) -> ArmReport:
        if self.report is None or not self.report.arms:
            raise Unknown
        return self.report.arms[0]

    def value(self, name: str, arguments: tuple[Any, ...] = ()) -> Any:
        """Of an observable or a setting. Raises `Unknown` where it is not known yet, and ValueError."""
        if name in OBSERVABLES:
            return OBSERVABLES[name].read(self, *arguments)
        settings = setting_values(self.setup, self.benches)
        if name not in settings:
            raise ValueError(f"`{name}` is no setting of what is chosen now.")
        return settings[name]

    def changed(self, settings: Mapping[str, str]) -> "Situation":
        """The same with other settings; what was thrown and measured belongs to those before."""
        setup, benches = changed(self.setup, self.benches, settings)
        return replace(
            self, setup=setup, benches=benches, thrown=np.empty(0), counts=np.zeros(0, int), coins="", report=None
        )


OBSERVABLES: dict[str, Observable] = {
    "answer": Observable("the answer to a question", lambda at, block: known(at.answers.get(block)), arguments=1)
}
"""By their names in expressions. `app.screens` adds those of each screen."""

SCREENS: set[str] = set()
"""The screens that a step may lie over, by their addresses. `app.screens` fills it."""
