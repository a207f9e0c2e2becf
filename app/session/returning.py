"""What the browser tells of itself: that somebody went back in its history, and what it has kept."""

from contextlib import suppress
from dataclasses import replace
from urllib.parse import parse_qsl

from app import examples
from app.lessons.progress import as_file, from_file, joined
from app.link import OWN_DATA, Link, read_link
from app.session.address import PLACE, run_setup, write_address
from app.session.files import is_file, with_flow
from app.session.kept import remember
from app.session.lesson import leave_step, open_step, resume
from app.session.page import Entry, Place, current
from app.session.run import start, tell
from app.session.settings import show_all_widgets
from app.setup import FlowFile, SavedFlow

MOST_IN_ADDRESS = 100_000


def come_back(query: str, entry: str) -> None:
    """Show again what an address of this page showed: the step of a lesson, or the run. The one that is shown now is
    kept. An address of the same run and step, on whatever screen, changes nothing."""
    page = current()
    of, _, number = entry.partition(".")
    if of != page.entry.page or not number.isdecimal() or int(number) > page.entries or len(query) > MOST_IN_ADDRESS:
        return
    asked = dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))
    place = [asked.pop(name, "") for name in PLACE]
    now = page.lesson or Place("", "")
    if place[0] and place[:2] != [now.lesson, now.step]:
        open_step(place[0], place[1], place[2])
    elif not place[0]:
        leave_step()
        page.lesson = None
    if place[:2] == [now.lesson, now.step]:
        _show(read_link(asked))
    page.entry, page.stale = Entry(of, int(number)), True


def _show(link: Link) -> None:
    page, link = current(), _with_files(link)
    page.benches |= {type(bench): bench for bench in link.benches}
    page.chosen = set(link.named)
    if link.setup != run_setup():
        remember()
        page.notice, page.link = "", link
        page.mark(link.setup)
        page.picked = OWN_DATA if link.csv else page.picked
        start(link.setup, link.step)
    show_all_widgets()


def _with_files(link: Link) -> Link:
    """What a link asks for, with the files that the page has, or had."""
    page, setup = current(), link.setup
    had = [page.setup, *(past.setup for past in reversed(page.past))]
    own = next((one.own for one in had if link.csv and one.own and one.own.file == link.csv), None)
    files = [one.start for one in had if one.start] + [SavedFlow(FlowFile(examples.NAME, ""), examples.flow())]
    saved = next((file.weights for file in files if is_file(file.weights, link.flow)), None)
    if own:
        setup, link = replace(setup, own=own), replace(link, csv=None)
    if saved and link.flow:
        setup, link = with_flow(setup, link.flow.name, saved), replace(link, flow=None)
    return replace(link, setup=setup)


LOST = (
    "The server was restarted, or could not be reached for some minutes. This page is as its address says, and what "
    "was done in lessons is as this browser has kept it."
)
RESTS = " Its run comes back to step {step:,} and rests there. Press Play to go on."


def arrive_in_browser(stored: str | None, again: bool = False) -> None:
    """The browser has our script, and has kept this of what was done in lessons; None: it keeps nothing. `again`: it
    was there before, with another page of ours that is lost."""
    page = current()
    first, page.attached = not page.attached, True
    if first and again:
        tell(LOST + (RESTS.format(step=page.link.step) if page.link.step else ""))
    if page.addressed == page.screen:
        write_address()
    keeps, page.keeps = page.keeps, stored is not None
    known = page.progress
    if stored:
        with suppress(ValueError):  # another version's, or somebody else's: it is replaced
            kept = from_file(stored.encode())
            if first:
                resume(kept)
            page.progress = joined(kept, known)
    page.stale |= keeps != page.keeps or page.progress != known


def to_store() -> str:
    """What the browser shall keep of lessons."""
    progress = current().progress
    return as_file(progress).decode() if progress.lessons else ""
