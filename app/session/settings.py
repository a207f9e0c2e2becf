"""The settings of data, flow and training as they stand, how a link sets them and how somebody changes them."""

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from app import engine, examples
from app.components.browser import COOKIE
from app.engine.reports import State
from app.engine.training.job import checked
from app.link import names, read_link
from app.session.address import PLACE, new_entry, write_address
from app.session.benches import show_bench
from app.session.drawings import start_drawing
from app.session.files import give_flow, is_file
from app.session.kept import remember
from app.session.left import LEFT
from app.session.page import Page, Place, current, show
from app.session.plan import note_change
from app.session.run import drop_edits, start
from app.setup import CsvChoice, FlowFile, Setup
from resflow_core.flow import FlowConfig
from resflow_core.measure import layer_shapes
from resflow_core.training.trainer import TrainConfig

KEPT = {"class.controls"}
"""Widgets whose values are in no setting."""


def begin() -> Setup:
    """The settings as the widgets shall show them; those of the link when the page opens, and a run of them exists from
    then on. Once in each run of the script, before any widget."""
    state = st.session_state
    if "page" not in state:
        query = st.query_params.to_dict()
        if left := LEFT.take(st.context.cookies.get(COOKIE, ""), query):
            state.page = left
            show_all_widgets()
        else:
            _open(query)
    page = current()
    carry()
    state.update(page.widgets)
    page.widgets, page.stale = {}, False
    page.asked, page.asked_before = {}, page.asked_before | page.asked
    return page.setup


def _open(query: Mapping[str, str]) -> None:
    """What a link asks for, or how a page begins."""
    lesson, step, language = (query.get(name, "") for name in PLACE)
    asked = {name: text for name, text in query.items() if name not in PLACE}
    link = read_link(asked)
    benches = {type(bench): bench for bench in link.benches}
    page = Page(link, link.setup, benches, link.setup.data, set(link.named), address=dict(query))
    st.session_state.page = page
    page.attached = not st.context.headers  # without a browser there is no history to wait for
    page.lesson = Place(lesson, step, language, opened=not names().keys().isdisjoint(asked)) if lesson else None
    page.mark(link.setup)
    start(link.setup, link.step)
    if link.draws:
        start_drawing()
    if is_file(examples.flow(), link.flow):
        give_flow(examples.NAME, examples.flow())


def show_all_widgets() -> None:
    """Let all widgets show what the page has set, in a browser that knows nothing of it."""
    page = current()
    show(page.setup.flow, page.setup.train)
    page.widgets |= {"seed": page.setup.seed, "device": page.setup.device} | page.typed
    for bench in page.benches.values():
        show_bench(bench)
    if page.setup.own and not page.setup.own.drawing:
        page.show_columns(page.setup.own.file)


def end() -> None:
    """Once in each run of the script, after everything is drawn."""
    current().asked_before = {}


def begun() -> bool:
    """Whether somebody has settings and a run yet: not before a page that shows some."""
    return "page" in st.session_state


def carry() -> None:
    """Keep what no setting holds; once in each run of the script, before any widget."""
    state = st.session_state
    for key in KEPT & state.keys():
        state[key] = state[key]  # else Streamlit forgets it while another view is shown
    if begun():
        current().typed = {key: state[key] for key in KEPT & state.keys()}


def setup() -> Setup:
    """The settings as they stand."""
    return current().setup


def refused() -> tuple[str, ...]:
    """What the link asked for and did not get."""
    return current().link.refused


def notice() -> str:
    """What the latest change brought about besides, or why it was not made, or ""."""
    return current().notice


def needed() -> tuple[CsvChoice | None, FlowFile | None]:
    """The files that the link needs and has not been given."""
    return current().link.csv, current().link.flow


def apply(new: Setup) -> None:
    """Make `new` the settings: at once where the flow can stay, else with another run that plays if this one does.
    Somebody's own change ends the link's plan, unless the engine would refuse it."""
    page = current()
    if new != page.setup:
        change(new)
    write_address()


def use(data: str, flow: FlowConfig, train: TrainConfig) -> None:
    """Let the widgets show other settings, which then hold as if somebody had chosen them."""
    new_entry()
    current().picked = data
    show(flow, train)


def age(step: int) -> str:
    """How long the flow was trained when it had taken `step` steps here."""
    start = current().setup.start
    if start is None:
        return f"step {step:,}"
    return f"{step:,} steps after it was opened" if step else "as it was opened"


def change(new: Setup) -> None:
    """Make other settings those of the page, with another run where the flow cannot stay."""
    page, old = current(), current().setup
    builds = not new.same_run(old) or page.report.state in (State.FAILED, State.EXPIRED)
    if not builds and (refusal := _refusal(new)):
        page.notice = f"{refusal} The settings stay as they were."
        show(old.train)
        return
    if builds:
        remember()
    note_change(old, new)
    page.setup = new
    if layer_shapes(new.flow) != layer_shapes(old.flow):
        drop_edits("The layers of the flow now have other sizes.")
    if builds:
        start(replace(new, start=new.start if new.flow == old.flow else None))
    else:
        engine.get_engine().change(page.run, 0, new.train)
        page.report = replace(page.report, confirmed=False)


def _refusal(new: Setup) -> str:
    """Why the engine would not train like this, or ""."""
    try:
        checked(new.flow, new.train)
    except ValueError as error:
        return str(error)
    return ""
