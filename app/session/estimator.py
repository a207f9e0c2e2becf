"""The settings of the estimator's bench, its throws, and the Jacobians that it looks at."""

from app.bench.settings import Bench, matrix_texts
from app.bench.tally import Tally, thrown_settings
from app.engine.messages import Jacobians
from app.link import BENCH
from app.session.address import write_address
from app.session.page import current
from app.setup import widget_values


def bench() -> Bench:
    """The settings of the estimator's bench as they stand."""
    return current().bench


def apply_bench(new: Bench) -> None:
    """Make `new` the settings of the estimator's bench."""
    current().bench = new
    write_address()


def show_bench(new: Bench) -> None:
    """Let the bench and its widgets be so, from the next run of the script on."""
    page = current()
    page.bench = new
    page.widgets |= widget_values(new, BENCH) | matrix_texts(new, BENCH)


def tally() -> Tally:
    """The throws of the bench as it stands."""
    page = current()
    if page.tally.bench != (of := thrown_settings(page.bench)):
        page.tally = Tally(of)
    return page.tally


def jacobians() -> Jacobians | None:
    """The newest Jacobians of the run, to be drawn, if it was asked for them (`poll`) and has sent some."""
    page = current()
    page.drawn = page.jacobians
    return page.drawn


def jacobians_are_new() -> bool:
    """Whether there are newer ones than what is drawn, or the first."""
    page = current()
    return page.jacobians is not page.drawn and (page.bench.uses_flow or page.drawn is None)
