"""The way of the page's run to the step that its link names."""

from dataclasses import dataclass

from app import engine
from app.engine.reports import Report, State
from app.session.address import step
from app.session.page import current
from resflow_core.training.step_work import USUAL_SECONDS, step_work

STEPS_BY_ITSELF, SECONDS_BY_ITSELF = 2_000, 20.0
"""The run is brought there at once where it is no further off, by either; else somebody is asked."""


@dataclass(frozen=True)
class Bringing:
    """A run that is on its way, or waits for somebody to say so."""

    step: int
    seconds: float  # about, from where it is


def bringing() -> Bringing | None:
    page = current()
    return Bringing(page.wanted, _seconds_left()) if page.wanted else None


def bring() -> None:
    """Train to the step that the link names."""
    page = current()
    if (left := page.wanted - step()) > 0:
        page.brings = True
        engine.get_engine().step(page.run, left)


def let_go() -> None:
    """Somebody trains as they wish: the run is brought nowhere any more."""
    current().wanted = 0


def bring_along(report: Report) -> None:
    """Begin once the run is there, and end where it has arrived."""
    page = current()
    if not page.wanted or not report.arms:
        return
    left = page.wanted - report.arms[0].step
    if left <= 0 or report.state in (State.DIVERGED, State.FAILED):
        page.wanted, page.brings = 0, False
        return
    near = left <= STEPS_BY_ITSELF or _seconds_left() <= SECONDS_BY_ITSELF
    if near and report.state is State.PAUSED and not page.brings:  # once: for whoever pauses it, it waits
        bring()


def _seconds_left() -> float:
    """By the last step's time; before the first, by what one takes on a usual machine."""
    page = current()
    seconds = page.report.step_seconds or USUAL_SECONDS * step_work(page.setup.flow, page.setup.train).total
    return max(0, page.wanted - step()) * seconds
