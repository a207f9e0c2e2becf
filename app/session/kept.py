"""What a person had before another flow took its place, and the way back to it."""

from dataclasses import replace

from app import engine
from app.csv_file import digest_of
from app.engine.reports import State
from app.link import Link
from app.session.address import new_entry
from app.session.page import Continues, Past, current
from app.session.plan import shareable
from app.session.run import come_to_rest, start, start_over
from app.setup import FlowFile, SavedFlow

MOST_LEVELS = 10
MOST_BYTES = 64 * 2**20
FILE_NAME = "before.safetensors"


def past() -> Past | None:
    """What `undo` goes back to."""
    return current().past[-1] if current().past else None


def remember() -> None:
    """Keep the page's flow as it is, before another one takes its place; unless nobody has made anything of it."""
    steps = _steps()
    if steps or current().setup.start:
        _keep(steps)


def make_way() -> None:
    """Keep the page's flow before a loaded one takes its place, which is an entry of its own in the history."""
    remember()
    new_entry()


def reset(of: str | None = None) -> None:
    """Back to step 0 (`start_over`). The page's flow is kept, unless it was there."""
    if of is None and (steps := _steps()):
        _keep(steps)
        current().stale = True
    start_over(of)


def undo() -> None:
    """Back to the newest flow that is kept, at its step, with its data and all settings. The one in its place is not
    kept."""
    page = current()
    then = page.past.pop()
    new_entry()
    setup = then.setup
    page.notice, page.link = "", Link(setup, csv=then.needed, controls=page.link.controls)
    page.draws = False
    page.mark(setup)
    page.widgets |= {"seed": setup.seed, "device": setup.device}
    if not then.goes_on:
        start(setup)
        return
    at = start(setup, then.steps, then.fingerprints)
    page.continues = Continues(then.timeline, at)
    if at == then.steps:
        page.link = replace(page.link, setup=replace(setup, changes=then.planned))
    else:
        page.notice = (
            f"The server kept this flow only up to step {at:,}, because other pages needed the memory. It is trained "
            f"to step {then.steps:,} again."
        )


def _steps() -> int:
    """The step at which the page's flow came to rest."""
    report = come_to_rest()
    # One that is built anew begins at 0, whatever the last picture shows.
    return report.arms[0].step if report.arms and report.state is not State.LOADING else 0


def _keep(steps: int) -> None:
    page = current()
    page.past.append(_stored(steps) or _exported(steps))
    while len(page.past) > MOST_LEVELS or _bytes(page.past) > MOST_BYTES:
        del page.past[0]


def _stored(steps: int) -> Past | None:
    """The page's run as it is, where a checkpoint of this very step can be stored."""
    page = current()
    if not steps or engine.get_engine().preserve(page.run) != steps:
        return None
    fingerprints = tuple(arm.fingerprint for arm in page.report.arms)
    planned = page.link.setup.changes
    return Past(
        shareable(),
        steps,
        True,
        page.link.csv,
        goes_on=True,
        planned=planned,
        fingerprints=fingerprints,
        timeline=page.report.timeline,
    )


def _exported(steps: int) -> Past:
    """The settings of the page's flow, and its weights if they can be had, which may take a few seconds."""
    page = current()
    weights = engine.get_engine().export(page.run, 0) if steps else None
    setup = page.setup
    if weights is not None:
        setup = replace(setup, start=SavedFlow(FlowFile(FILE_NAME, digest_of(weights)), weights))
    return Past(setup, steps, whole=not steps or weights is not None, needed=page.link.csv)


def _bytes(kept: list[Past]) -> int:
    """The size of all weights; several may begin with the same file."""
    starts = [past.setup.start for past in kept if past.setup.start]
    return sum({start.file.digest: len(start.weights) for start in starts}.values())
