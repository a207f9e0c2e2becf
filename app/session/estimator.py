"""The throws of the estimator's bench, what a class has thrown with coins, and the Jacobians that it looks at."""

from app.engine.training.measurements.jacobians import Jacobians
from app.estimates.sample import Sample, thrown_settings
from app.session.benches import bench
from app.session.page import current


def sample() -> Sample:
    """The throws of the bench as it stands."""
    page = current()
    if page.sample.bench != (of := thrown_settings(bench())):
        page.sample = Sample(of)
    return page.sample


def draw(more: int) -> None:
    """Let there be more draws (`go_on_drawing`). A seed that was typed just before the button was pressed may arrive
    together with the press, so the bench to draw from is not known yet."""
    current().draws_wanted += more


def go_on_drawing() -> Sample:
    """A part of the draws that are wanted, from the bench as it stands now."""
    page, now = current(), sample()
    now.want(page.draws_wanted)
    page.draws_wanted = 0
    now.go_on()
    return now


def coins() -> str:
    """What a class has thrown, as it was typed."""
    return current().coins


def type_coins(text: str) -> None:
    """Let this be what a class has thrown."""
    current().coins = text


def jacobians() -> Jacobians | None:
    """The newest Jacobians of the run, to be drawn, if it was asked for them (`poll`) and has sent some."""
    page = current()
    page.drawn = page.jacobians
    return page.drawn


def jacobians_are_new() -> bool:
    """Whether there are newer ones than what is drawn, or the first."""
    page = current()
    return page.jacobians is not page.drawn and (bench().uses_flow or page.drawn is None)
