"""The only owner of `st.session_state`: what this page has set, and the run that it looks at."""

import time
from dataclasses import dataclass

import streamlit as st

from app import engine
from app.engine.messages import MOVING, Demand, Report, State
from app.setup import Setup, query_of, setup_from

DEMAND = Demand()
FIRST_PICTURE_SECONDS = 2.0


@dataclass
class Presence:
    """The run that somebody looks at. Streamlit lets go of it when the connection ends, and the run rests."""

    run: str

    def leave(self) -> None:
        engine.get_engine().leave(self.run)


@st.cache_resource(scope="session", on_release=Presence.leave, show_spinner=False)
def _presence() -> Presence:
    # After a broken connection the session comes back with its state, but with an empty cache: the same run goes on.
    return Presence(st.session_state.run)


def setup() -> Setup:
    """The settings of this page; those of the link when it opens. A run of them exists from then on."""
    state = st.session_state
    if "setup" not in state:
        state.setup, state.refused = setup_from(st.query_params.to_dict())
        state.report = Report("", State.LOADING)
        _start()
    return state.setup


def refused() -> list[str]:
    """What the link asked for and did not get."""
    return st.session_state.refused


def apply(new: Setup) -> None:
    """Make `new` the settings: at once where the flow can stay, else with another run that plays if this one does."""
    old = st.session_state.setup
    if new != old:
        st.session_state.setup, st.session_state.refused = new, []
        state = last_report().state
        if not new.same_run(old) or state in (State.FAILED, State.EXPIRED):
            _start()
            if state is State.PLAYING:
                play()
        else:
            engine.get_engine().change(st.session_state.run, 0, new.train)
    link = query_of(new)
    if st.query_params.to_dict() != link:
        st.query_params.from_dict(link)


def poll() -> Report:
    """The newest report; the first one is waited for, for a moment, so that a page opens with a picture."""
    report = engine.get_engine().poll(_presence().run, DEMAND)
    deadline = time.monotonic() + FIRST_PICTURE_SECONDS
    while report.state is State.LOADING and not report.arms and time.monotonic() < deadline:
        time.sleep(0.05)
        report = engine.get_engine().poll(_presence().run, DEMAND)
    st.session_state.report = report
    return report


def last_report() -> Report:
    return st.session_state.report


def play() -> None:
    engine.get_engine().play(st.session_state.run)


def pause() -> None:
    engine.get_engine().pause(st.session_state.run)


def play_or_pause() -> None:
    pause() if last_report().state in MOVING else play()


def step(n: int) -> None:
    engine.get_engine().step(st.session_state.run, n)


def reset() -> None:
    """Back to step 0 with the settings as they are; a run that was dropped is created anew."""
    if last_report().state is State.EXPIRED:
        _start()
    else:
        engine.get_engine().reset(st.session_state.run)


def _start() -> None:
    state, training = st.session_state, engine.get_engine()
    if "run" in state:
        training.close(state.run)
    state.run = training.create(state.setup.experiment())
    _presence().run = state.run
