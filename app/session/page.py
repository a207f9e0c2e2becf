"""What a page has set, the files it was given, and the run that it looks at: one record in `st.session_state`."""

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from app.bench.settings import Bench
from app.bench.tally import Tally
from app.csv_file import CsvFile
from app.engine.messages import Jacobians, Report, State
from app.link import Link
from app.setup import Setup, widget_values


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


def current() -> Page:
    return st.session_state.page


def show(*configs: Any) -> None:
    """Let the widgets of these configurations show them, from the next run of the script on."""
    for config in configs:
        current().widgets |= widget_values(config)


def settle() -> None:
    """Runs the whole script anew where widgets must show something else; in a part of it that is run alone."""
    if current().widgets:
        st.rerun()
