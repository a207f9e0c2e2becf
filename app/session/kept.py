"""What a person had before another flow took its place, and the way back to it."""

from dataclasses import replace

from app import engine
from app.csv_file import digest_of
from app.link import OWN_DATA, Link
from app.session.page import Past, current
from app.session.run import start
from app.setup import FlowFile, SavedFlow

MOST_LEVELS = 10
MOST_BYTES = 64 * 2**20
FILE_NAME = "before.safetensors"


def past() -> Past | None:
    """What `undo` goes back to."""
    return current().past[-1] if current().past else None


def remember() -> None:
    """Keep the page's flow as it is, before another one takes its place; unless nobody has made anything of it."""
    page = current()
    setup, arms = page.setup, page.report.arms
    steps = arms[0].step if arms else 0
    if not steps and not setup.start:
        return
    weights = engine.get_engine().export(page.run, 0) if steps else None
    if weights is not None:
        setup = replace(setup, start=SavedFlow(FlowFile(FILE_NAME, digest_of(weights)), weights))
    page.past.append(Past(setup, steps, whole=not steps or weights is not None, needed=page.link.csv))
    while len(page.past) > MOST_LEVELS or _bytes(page.past) > MOST_BYTES:
        del page.past[0]


def undo() -> None:
    """Back to the newest flow that is kept, with its data and all settings. The one in its place is not kept."""
    page = current()
    then = page.past.pop()
    setup = then.setup
    page.notice, page.link = "", Link(setup, csv=then.needed, controls=page.link.controls)
    page.picked = OWN_DATA if setup.own else setup.data
    page.widgets |= {"seed": setup.seed, "device": setup.device}
    if setup.own:
        page.show_columns(setup.own.choice)
    start(setup)


def _bytes(kept: list[Past]) -> int:
    """The size of all weights; several may begin with the same file."""
    starts = [past.setup.start for past in kept if past.setup.start]
    return sum({start.file.digest: len(start.weights) for start in starts}.values())
