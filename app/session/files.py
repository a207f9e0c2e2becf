"""The data that are learned, and files: somebody's own table, and saved flows to begin with."""

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from app import examples
from app.csv_file import CsvFile, digest_of, read_csv, table
from app.link import DRAWING, OWN_DATA
from app.session.drawings import pick_drawing
from app.session.focus import focused
from app.session.kept import make_way
from app.session.page import current
from app.session.plan import note_change
from app.session.run import start
from app.setup import CsvChoice, FlowFile, OwnData, SavedFlow, Setup
from app.text import plain
from resflow_core.api import flow_file


def picked() -> str:
    """The data set that is marked; `OWN_DATA` even before there is a file."""
    return current().picked


def pick(widget: str) -> None:
    """Mark the data set that was just chosen."""
    if name := st.session_state[widget].picked:
        if name == DRAWING:
            pick_drawing()
        else:
            current().picked, current().draws = name, False


def csv() -> CsvFile | None:
    """The newest CSV file that could be read."""
    return current().csv


def problem(widget: str) -> str:
    """What is wrong with the file that a widget was given, or ""."""
    return current().problems.get(widget, "")


def take(widget: str, read: Callable[[str, bytes], None]) -> None:
    """Let `read` have name and contents of the file that a widget was given. If it raises ValueError, all stays as it
    is."""
    problems, upload = current().problems, st.session_state[widget]
    problems.pop(widget, None)
    if upload is not None:
        try:
            read(upload.name, upload.getvalue())
        except ValueError as error:
            problems[widget] = f"`{plain(upload.name)}`: {error}"


def take_csv(name: str, data: bytes) -> None:
    """Let columns of this file be chosen; of the one that the link needs they are. Raises ValueError."""
    if is_file(data, current().link.csv):
        give_csv(name, data)
    else:
        current().csv = read_csv(name, data)


def give_csv(name: str, data: bytes) -> None:
    """The CSV file that the link needs. Raises ValueError."""
    page, need = current(), current().link.csv
    _check_digest(data, need)
    assert need is not None
    file = read_csv(name, data)
    own = OwnData(need, table(file, need.x, need.y, need.label or None))
    page.csv, page.picked = replace(file, name=need.name), OWN_DATA
    page.show_columns(need)
    make_way()
    page.link = replace(page.link, csv=None)
    start(replace(page.link.setup, own=own), page.wanted)


def open_flow(name: str, data: bytes) -> None:
    """Begin with a saved flow, with the other settings as they are. Raises ValueError."""
    if is_file(data, current().link.flow):
        give_flow(name, data)
        return
    old = current().setup
    new = with_flow(old, name, data)
    make_way()
    note_change(old, new)
    start(new)


def open_example() -> None:
    """Begin with the flow that was trained before, on its data."""
    page, old = current(), current().setup
    new = replace(with_flow(old, examples.NAME, examples.flow()), data=examples.DATA, own=None)
    make_way()
    note_change(old, new)
    page.picked, page.stale = examples.DATA, True
    start(new)


def lend_example() -> bool:
    """Begin with the flow that was trained before in the place of one that nobody has chosen or trained: all settings
    are as they were. Once, and only where nothing is awaited. Whether it does."""
    page = current()
    awaits = page.link.csv or page.link.flow or page.wanted or page.plays or focused()
    trained = any(arm.step for arm in page.report.arms)
    if page.lent or awaits or trained or page.setup != Setup() or page.picked != examples.DATA:
        return False
    page.lent = page.stale = True
    start(with_flow(page.setup, examples.NAME, examples.flow()))
    return True


def begin_untrained() -> None:
    """The same settings, without the saved flow that the run began with."""
    old = current().setup
    new = replace(old, start=None)
    make_way()
    note_change(old, new)
    current().lent = current().stale = True
    start(new)


def give_flow(name: str, data: bytes) -> None:
    """The flow that the link needs. Raises ValueError."""
    page = current()
    _check_digest(data, page.link.flow)
    began = with_flow(page.link.setup, name, data)
    make_way()
    page.link = replace(page.link, flow=None)
    start(began, page.wanted)


def with_flow(setup: Setup, name: str, data: bytes) -> Setup:
    """`setup` with a saved flow to begin with. Raises ValueError."""
    flow = flow_file.from_bytes(data).config
    return replace(setup, flow=flow, start=SavedFlow(FlowFile(name, digest_of(data)), data))


def is_file(data: bytes, need: CsvChoice | FlowFile | None) -> bool:
    return need is not None and digest_of(data) == need.digest


def _check_digest(data: bytes, need: CsvChoice | FlowFile) -> None:
    if not is_file(data, need):
        found = digest_of(data)
        raise ValueError(f"this is another file ({found}). The link needs `{plain(need.name)}` ({need.digest}).")
