"""The only owner of `st.session_state`: what a page has set, the files it was given, and the run that it looks at."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from app import engine, examples
from app.bench.settings import Bench, matrix_texts
from app.bench.tally import Tally, thrown_settings
from app.csv_file import CsvFile, digest_of, read_csv, table
from app.engine.job import checked
from app.engine.messages import MOVING, Demand, Jacobians, Report, State
from app.link import BENCH, OWN_DATA, Link, query_of, read_link
from app.setup import Changes, CsvChoice, FlowFile, OwnData, SavedFlow, Setup, widget_values
from app.text import plain
from resflow_core import flow_file

DEMAND = Demand()
FIRST_PICTURE_SECONDS = 2.0
KEPT = {"coins.results"}
"""Widgets of the bench whose values are in no setting."""


@dataclass
class Page:
    """`setup` is what the widgets show. `link.setup` is what the run began with and what is planned for it."""

    link: Link
    setup: Setup
    bench: Bench
    picked: str  # the data set that is marked: `OWN_DATA` even before there is a file
    run: str = ""
    report: Report = field(default_factory=lambda: Report("", State.LOADING))
    plays: bool = False  # or shall, once it is built
    csv: CsvFile | None = None
    problems: dict[str, str] = field(default_factory=dict)  # of the files that widgets were given
    notice: str = ""
    tally: Tally = field(default_factory=Tally)
    jacobians: Jacobians | None = None
    drawn: Jacobians | None = None  # those that were drawn last
    widgets: dict[str, Any] = field(default_factory=dict)  # what they must show from the next run of the script on


def _page() -> Page:
    return st.session_state.page


@dataclass
class Presence:
    """The run that somebody looks at. Streamlit lets go of it when the connection ends, and the run rests."""

    run: str

    def leave(self) -> None:
        engine.get_engine().leave(self.run)


@st.cache_resource(scope="session", on_release=Presence.leave, show_spinner=False)
def _presence() -> Presence:
    # After a broken connection the session comes back with its state, but with an empty cache: the same run goes on.
    return Presence(_page().run)


# --- settings -------------------------------------------------------------------------------------------------------


def begin() -> Setup:
    """The settings as the widgets shall show them; those of the link when the page opens, and a run of them exists from
    then on. Once in each run of the script, before any widget."""
    state = st.session_state
    if "page" not in state:
        link = read_link(st.query_params.to_dict())
        state.page = Page(link, link.setup, link.bench, link.setup.data)
        _start(link.setup)
        if _is(examples.flow(), link.flow):
            give_flow(examples.NAME, examples.flow())
    page = _page()
    for key in KEPT & state.keys():
        state[key] = state[key]  # else Streamlit forgets it while another view is shown
    state.update(page.widgets)
    page.widgets = {}
    return page.setup


def setup() -> Setup:
    """The settings as they stand."""
    return _page().setup


def bench() -> Bench:
    """The settings of the estimator's bench as they stand."""
    return _page().bench


def changed_bench() -> Bench | None:
    """What a link says of the bench: nothing as long as it is as it comes."""
    return _page().bench if _page().bench != Bench() else None


def refused() -> tuple[str, ...]:
    """What the link asked for and did not get."""
    return _page().link.refused


def notice() -> str:
    """What the latest change brought about besides, or why it was not made, or ""."""
    return _page().notice


def needed() -> tuple[CsvChoice | None, FlowFile | None]:
    """The files that the link needs and has not been given."""
    return _page().link.csv, _page().link.flow


def apply(new: Setup) -> None:
    """Make `new` the settings: at once where the flow can stay, else with another run that plays if this one does.
    Somebody's own change ends the link's plan, unless the engine would refuse it."""
    page = _page()
    if new != page.setup:
        _change(new)
    _write_address()


def tally() -> Tally:
    """The throws of the bench as it stands."""
    page = _page()
    if page.tally.bench != (of := thrown_settings(page.bench)):
        page.tally = Tally(of)
    return page.tally


def jacobians() -> Jacobians | None:
    """The newest Jacobians of the run, to be drawn, if it was asked for them (`poll`) and has sent some."""
    page = _page()
    page.drawn = page.jacobians
    return page.drawn


def jacobians_are_new() -> bool:
    """Whether there are newer ones than what is drawn, or the first."""
    page = _page()
    return page.jacobians is not page.drawn and (page.bench.uses_flow or page.drawn is None)


def age(step: int) -> str:
    """How long the flow was trained when it had taken `step` steps here."""
    start = _page().setup.start
    if start is None:
        return f"step {step:,}"
    return f"{step:,} steps after it was opened" if step else "as it was opened"


def apply_bench(new: Bench) -> None:
    """Make `new` the settings of the estimator's bench."""
    _page().bench = new
    _write_address()


def show_bench(new: Bench) -> None:
    """Let the bench and its widgets be so, from the next run of the script on."""
    page = _page()
    page.bench = new
    page.widgets |= widget_values(new, BENCH) | matrix_texts(new, BENCH)


def settle() -> None:
    """Runs the whole script anew where widgets must show something else; in a part of it that is run alone."""
    if _page().widgets:
        st.rerun()


def _write_address() -> None:
    page = _page()
    setup = page.link.setup if page.link.setup.changes else page.setup
    address = query_of(setup, page.link.csv, page.link.flow, changed_bench())
    if st.query_params.to_dict() != address:
        st.query_params.from_dict(address)


def _change(new: Setup) -> None:
    page, old = _page(), _page().setup
    builds = not new.same_run(old) or page.report.state in (State.FAILED, State.EXPIRED)
    if not builds and (refusal := _refusal(new)):
        page.notice = f"{refusal} The settings stay as they were."
        show(old.train)
        return
    _note_change(old, new)
    page.setup = new
    if builds:
        _start(replace(new, start=new.start if new.flow == old.flow else None))
    else:
        engine.get_engine().change(page.run, 0, new.train)


def _refusal(new: Setup) -> str:
    """Why the engine would not train like this, or ""."""
    try:
        checked(new.flow, new.train)
    except ValueError as error:
        return str(error)
    return ""


def _note_change(old: Setup, new: Setup) -> None:
    """Of the link nothing is left but what the change does not touch."""
    page, ahead = _page(), _ahead()
    page.notice = (
        f"Your change ends the link's plan: the change at step {ahead[0][0]:,} will not come." if ahead else ""
    )
    page.link = Link(
        replace(page.link.setup, changes=()),
        csv=page.link.csv if (new.data, new.own) == (old.data, old.own) else None,
        flow=page.link.flow if (new.flow, new.start) == (old.flow, old.start) else None,
    )


def show(*configs: Any) -> None:
    """Let the widgets of these configurations show them, from the next run of the script on."""
    for config in configs:
        _page().widgets |= widget_values(config)


def shareable() -> Setup:
    """The setup that repeats this run: how it began, all that changed since, and what is still planned."""
    arms = _page().report.arms
    return replace(_page().link.setup, changes=(*(arms[0].changes if arms else ()), *_ahead()))


def _ahead() -> Changes:
    """What is planned and has not come."""
    arms = _page().report.arms
    return tuple(change for change in _page().link.setup.changes if not arms or change[0] > arms[0].step)


# --- data and files -------------------------------------------------------------------------------------------------


def picked() -> str:
    """The data set that is marked; `OWN_DATA` even before there is a file."""
    return _page().picked


def pick(widget: str) -> None:
    """Mark the data set that was just chosen."""
    if name := st.session_state[widget].picked:
        _page().picked = name


def csv() -> CsvFile | None:
    """The newest CSV file that could be read."""
    return _page().csv


def problem(widget: str) -> str:
    """What is wrong with the file that a widget was given, or ""."""
    return _page().problems.get(widget, "")


def take(widget: str, read: Callable[[str, bytes], None]) -> None:
    """Let `read` have name and contents of the file that a widget was given. If it raises ValueError, all stays as it
    is."""
    problems, upload = _page().problems, st.session_state[widget]
    problems.pop(widget, None)
    if upload is not None:
        try:
            read(upload.name, upload.getvalue())
        except ValueError as error:
            problems[widget] = f"`{plain(upload.name)}`: {error}"


def take_csv(name: str, data: bytes) -> None:
    """Let columns of this file be chosen; of the one that the link needs they are. Raises ValueError."""
    if _is(data, _page().link.csv):
        give_csv(name, data)
    else:
        _page().csv = read_csv(name, data)


def give_csv(name: str, data: bytes) -> None:
    """The CSV file that the link needs. Raises ValueError."""
    page, need = _page(), _page().link.csv
    _check_digest(data, need)
    file = read_csv(name, data)
    own = OwnData(need, table(file, need.x, need.y, need.label or None))
    page.csv, page.picked = replace(file, name=need.name), OWN_DATA
    page.widgets |= {"csv.x": need.x, "csv.y": need.y, "csv.label": need.label}
    page.link = replace(page.link, csv=None)
    _start(replace(page.link.setup, own=own))


def open_flow(name: str, data: bytes) -> None:
    """Begin with a saved flow, with the other settings as they are. Raises ValueError."""
    if _is(data, _page().link.flow):
        give_flow(name, data)
        return
    old = _page().setup
    new = _with_flow(old, name, data)
    _note_change(old, new)
    _start(new)


def open_example() -> None:
    """Begin with the flow that was trained before, on its data."""
    page, old = _page(), _page().setup
    new = replace(_with_flow(old, examples.NAME, examples.flow()), data=examples.DATA, own=None)
    _note_change(old, new)
    page.picked = examples.DATA
    _start(new)


def give_flow(name: str, data: bytes) -> None:
    """The flow that the link needs. Raises ValueError."""
    page = _page()
    _check_digest(data, page.link.flow)
    began = _with_flow(page.link.setup, name, data)
    page.link = replace(page.link, flow=None)
    _start(began)


def flow_saver() -> Callable[[], bytes]:
    """What fetches the flow of the page's run as the contents of a file; it may be called outside the script."""
    # Later in this script a change of the settings may give the page another run.
    training, page = engine.get_engine(), _page()

    def contents() -> bytes:
        if (data := training.export(page.run, 0)) is None:
            raise RuntimeError("There is no flow to save: its run is not built yet, or was dropped.")
        return data

    return contents


def _with_flow(setup: Setup, name: str, data: bytes) -> Setup:
    """`setup` with a saved flow to begin with. Raises ValueError."""
    flow = flow_file.from_bytes(data).config
    return replace(setup, flow=flow, start=SavedFlow(FlowFile(name, digest_of(data)), data))


def _is(data: bytes, need: CsvChoice | FlowFile | None) -> bool:
    return need is not None and digest_of(data) == need.digest


def _check_digest(data: bytes, need: CsvChoice | FlowFile) -> None:
    if not _is(data, need):
        found = digest_of(data)
        raise ValueError(f"this is another file ({found}). The link needs `{plain(need.name)}` ({need.digest}).")


# --- the run --------------------------------------------------------------------------------------------------------


def poll(**wanted: Any) -> Report:
    """The newest report; the first one is waited for, for a moment, so that a page opens with a picture.

    `wanted` are fields of the `Demand` that differ from `DEMAND`. Runs the script anew where widgets must show
    something else.
    """
    page, demand = _page(), replace(DEMAND, **wanted)
    report = engine.get_engine().poll(_presence().run, demand)
    deadline = time.monotonic() + FIRST_PICTURE_SECONDS
    while report.state is State.LOADING and not report.arms and time.monotonic() < deadline:
        time.sleep(0.05)
        report = engine.get_engine().poll(_presence().run, demand)
    page.report = report
    page.jacobians = report.arms[0].jacobians if report.arms else None
    if report.state not in (State.QUEUED, State.LOADING):
        page.plays = report.state is State.PLAYING
    _follow(report)
    if page.widgets:
        st.rerun()
    return report


def _follow(report: Report) -> None:
    """Let the settings shown follow a planned change that took over."""
    if not report.arms or report.arms[0].train is None:
        return
    page, arm = _page(), report.arms[0]
    if not arm.changes:  # whatever was set before the first step holds from step 0
        page.link = replace(page.link, setup=replace(page.link.setup, train=arm.train))
    elif arm.changes[-1] in page.link.setup.changes and arm.train != page.setup.train:
        page.setup = replace(page.setup, train=arm.train)
        show(arm.train)


def last_report() -> Report:
    return _page().report


def play() -> None:
    _page().plays = True
    engine.get_engine().play(_page().run)


def pause() -> None:
    _page().plays = False
    engine.get_engine().pause(_page().run)


def play_or_pause() -> None:
    pause() if last_report().state in MOVING else play()


def step(n: int) -> None:
    _page().plays = False
    engine.get_engine().step(_page().run, n)


def reset() -> None:
    """Back to step 0: with the settings as they are, or to follow the link's plan again. A run that was dropped is
    created anew."""
    page = _page()
    page.plays = False
    if page.link.setup.changes:
        _start(page.link.setup)
    elif page.report.state is State.EXPIRED:
        _start(page.setup)
    else:
        engine.get_engine().reset(page.run)


def _start(began: Setup) -> None:
    """A run that begins with `began`, and plays if the one before it does."""
    page, training = _page(), engine.get_engine()
    # Else the widgets would send what they showed before, as somebody's own change.
    for new, shown in ((began.flow, page.setup.flow), (began.train, page.setup.train)):
        if new != shown:
            show(new)
    if page.run:
        training.close(page.run)
    page.run = training.create(began.experiment())
    _presence().run = page.run
    page.link, page.setup = replace(page.link, setup=began), replace(began, changes=())
    page.report = Report(page.run, State.LOADING)
    if page.plays:
        play()
