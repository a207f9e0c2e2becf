"""Earlier moments of the page's run: the one that the picture shows, and the way on from it, as another run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from app import engine
from app.engine.reports import MOVING, Report
from app.session.kept import remember
from app.session.page import Continues, current
from app.session.plan import shareable
from app.session.run import last_report, pause, play, start
from app.setup import Setup, changed
from resflow_core.training.trainer import TrainConfig


@dataclass(frozen=True)
class Moment:
    """A step of the page's run before its newest."""

    step: int


def moment(said: Any) -> Moment | None:
    """The moment that the picture shows, by what the browser says of it; None where it shows the newest, and where
    what is said is of another run or makes no sense."""
    report = last_report()
    if not isinstance(said, Mapping) or said.get("run") != report.timeline or not report.arms:
        return None
    step = said.get("step")
    if type(step) is not int or not 0 <= step < report.arms[0].step:
        return None
    return Moment(step)


def rest(said: Any) -> None:
    """Pause the page's run once its picture shows an earlier moment."""
    if moment(said) and last_report().state in MOVING:
        pause()


def checkpoints() -> tuple[int, ...]:
    """The steps of the page's run from which the server can go on, ascending; the first is the beginning."""
    report = current().report
    if not report.arms:
        return (0,)
    return (0, *engine.get_engine().checkpoints(shareable().experiment(), report.arms[0].step, _fingerprints(report)))


def _as_it_was(step: int) -> Setup:
    """What repeats the page's run up to `step`, with all that is planned by its link and without what somebody changed
    later."""
    planned = current().link.setup.changes
    setup = shareable()
    return replace(setup, changes=tuple(change for change in setup.changes if change[0] <= step or change in planned))


def branch(at: Moment, steps: int = 0) -> None:
    """Go on from an earlier moment of the page's run, as another run: by so many steps, or playing (0). The run of now
    is kept, and `undo` goes back to it.

    It begins at the newest checkpoint up to that moment and takes the steps in between again: with the settings of
    then, and so with the digits of then if the same computes them. A change of the settings with which no step was
    taken yet is meant for the steps from that moment on.
    """
    page = current()
    remember()
    timeline, began, fingerprints = page.report.timeline, _as_it_was(at.step), _fingerprints(page.report)
    if (change := _untried(page.report)) is not None:
        began = changed(began, at.step, change)
    page.plays = False
    since = start(began, at.step, fingerprints)
    page.wanted, page.brings, page.notice = 0, False, ""
    page.continues = Continues(timeline, since)
    if steps:
        engine.get_engine().step(page.run, at.step - since + steps)
    else:
        play()
    page.stale = True


def _untried(report: Report) -> TrainConfig | None:
    """The settings that took over at the newest step, if they did."""
    arm = report.arms[0] if report.arms else None
    return arm.changes[-1][1] if arm and arm.changes and arm.changes[-1][0] == arm.step else None


def continues() -> Continues | None:
    """What the page's run is the continuation of."""
    return current().continues


def _fingerprints(report: Report) -> tuple[str, ...]:
    return tuple(arm.fingerprint for arm in report.arms)
