"""What a lesson may ask. Each screen defines its observables in its folder of `app/features/`, and `app.screens` adds
them here.

Settings are asked for by their names in links.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from app.engine.reports import ArmReport, Report
from app.estimates.false_alarm import Rate
from app.lessons.expression import Unknown
from app.lessons.settings import Benches, changed, setting_values
from app.setup import Setup


@dataclass(frozen=True)
class Observable:
    """A quantity with its unit. `error` names the observable that is its standard error. `wants` says without which
    measurements of the engine it is not known: what is wanted of each by its name, or a function that finds that in the
    benches; None where no flow is needed. `alarm` is how often a test by so many standard errors tells it from what it
    is, with as many draws as there are: (situation, standard errors, how it is compared) -> rate; without it the normal
    law's tail is taken. `draws` counts the draws that it is computed from, and `deviation` names the observable that is
    the standard deviation of one of them. `is_of_curves`: whether it is read off the course of the loss."""

    title: str
    read: Callable[..., Any]
    unit: str = ""
    arguments: int = 0
    error: str = ""
    wants: Mapping[str, Any] | None = None
    alarm: Callable[["Situation", float, str], Rate] | None = None
    draws: Callable[["Situation"], int] | None = None
    deviation: str = ""
    is_of_curves: bool = False


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


def known(value: Any) -> Any:
    """Raises `Unknown` for None."""
    if value is None:
        raise Unknown
    return value


def blocks(at: Situation) -> Any:
    """Of the flow as it stands: they are measured with the held-out losses."""
    blocks, loss = known(at.arm.blocks), known(at.arm.loss)
    if not len(loss.held_step) or loss.held_step[-1] != at.arm.step:
        raise Unknown
    return blocks


OBSERVABLES: dict[str, Observable] = {
    "answer": Observable("the answer to a question", lambda at, block: known(at.answers.get(block)), arguments=1)
}
"""By their names in expressions. `app.screens` adds those of each screen."""

SCREENS: set[str] = set()
"""The screens that a step may lie over, by their addresses. `app.screens` fills it."""


@dataclass(frozen=True)
class Moved:
    """Where a screen is found that had an address of its own, and the settings that show it there."""

    screen: str
    settings: Mapping[str, str]


MOVED: dict[str, Moved] = {}
"""By their former addresses. `app.screens` fills it."""
