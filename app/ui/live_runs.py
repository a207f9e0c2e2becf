"""From stored evidence to the same flows live: a press anywhere opens the screen that owns them, sets it up as the
evidence was made, and begins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import streamlit as st

from app import session
from app.setup import Setup

Starts = Mapping[str, Callable[[], None]]
"""What a screen does for each of its stored answers, by their names: it takes over the settings, and begins."""

WANTED = "live_runs.wanted"
"""Of the session: which run was asked for and is not yet there."""


@dataclass(frozen=True)
class LiveRun:
    """`start` sets up the screen at `address`, whose file is `page`, and lets it begin."""

    title: str  # what the screen is called
    address: str
    page: str
    start: Callable[[], None]


RUNS: dict[str, LiveRun] = {}
"""By the names of what is stored. `app.screens` fills it."""


def want(name: str) -> None:
    """Ask for the run of this evidence; the page goes there as soon as it is drawn."""
    st.session_state[WANTED] = name


def follow() -> None:
    """Go to the screen of what was asked for, if anything was."""
    if name := st.session_state.get(WANTED):
        st.switch_page(RUNS[name].page)


def begin(address: str) -> bool:
    """Whether a run was asked for that belongs to this screen; it is set up then."""
    name = st.session_state.get(WANTED)
    if name is None or RUNS[name].address != address:
        return False
    del st.session_state[WANTED]
    if session.place():
        session.leave_lesson()
        session.turn_to(address)
    RUNS[name].start()
    return True


def train(setup: Setup) -> None:
    """Take over these settings, and let the page's own flow play."""
    session.use(setup.data, setup.flow, setup.train)
    session.play()
