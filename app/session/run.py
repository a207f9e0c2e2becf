"""The run that the page looks at: its reports, its buttons, and the one that takes its place."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from app import engine
from app.engine.messages import MOVING, Demand, Report, State
from app.session.page import current, settle, show
from app.setup import Setup

DEMAND = Demand()
FIRST_PICTURE_SECONDS = 2.0


@dataclass
class Presence:
    """The run that somebody looks at. Streamlit lets go of it when the connection ends, and the run rests."""

    run: str

    def leave(self) -> None:
        engine.get_engine().leave(self.run)


@st.cache_resource(scope="session", on_release=Presence.leave, show_spinner=False)
def presence() -> Presence:
    # After a broken connection the session comes back with its state, but with an empty cache: the same run goes on.
    return Presence(current().run)


def poll(**wanted: Any) -> Report:
    """The newest report; the first one is waited for, for a moment, so that a page opens with a picture.

    `wanted` are fields of the `Demand` that differ from `DEMAND`. Runs the script anew where widgets must show
    something else.
    """
    page, demand = current(), replace(DEMAND, **wanted)
    report = engine.get_engine().poll(presence().run, demand)
    deadline = time.monotonic() + FIRST_PICTURE_SECONDS
    while report.state is State.LOADING and not report.arms and time.monotonic() < deadline:
        time.sleep(0.05)
        report = engine.get_engine().poll(presence().run, demand)
    page.report = report
    page.jacobians = report.arms[0].jacobians if report.arms else None
    if report.state not in (State.QUEUED, State.LOADING):
        page.plays = report.state is State.PLAYING
    _follow(report)
    settle()
    return report


def _follow(report: Report) -> None:
    """Let the settings shown follow a planned change that took over."""
    if not report.arms or report.arms[0].train is None:
        return
    page, arm = current(), report.arms[0]
    if not arm.changes:  # whatever was set before the first step holds from step 0
        page.link = replace(page.link, setup=replace(page.link.setup, train=arm.train))
    elif arm.changes[-1] in page.link.setup.changes and arm.train != page.setup.train:
        page.setup = replace(page.setup, train=arm.train)
        show(arm.train)


def last_report() -> Report:
    return current().report


def play() -> None:
    current().plays = True
    engine.get_engine().play(current().run)


def pause() -> None:
    current().plays = False
    engine.get_engine().pause(current().run)


def play_or_pause() -> None:
    pause() if last_report().state in MOVING else play()


def step(n: int) -> None:
    current().plays = False
    engine.get_engine().step(current().run, n)


def reset() -> None:
    """Back to step 0: with the settings as they are, or to follow the link's plan again. A run that was dropped is
    created anew."""
    page = current()
    page.plays = False
    if page.link.setup.changes:
        start(page.link.setup)
    elif page.report.state is State.EXPIRED:
        start(page.setup)
    else:
        engine.get_engine().reset(page.run)


def flow_saver() -> Callable[[], bytes]:
    """What fetches the flow of the page's run as the contents of a file; it may be called outside the script."""
    # Later in this script a change of the settings may give the page another run.
    training, page = engine.get_engine(), current()

    def contents() -> bytes:
        if (data := training.export(page.run, 0)) is None:
            raise RuntimeError("There is no flow to save: its run is not built yet, or was dropped.")
        return data

    return contents


def start(began: Setup) -> None:
    """A run that begins with `began`, and plays if the one before it does."""
    page, training = current(), engine.get_engine()
    # Else the widgets would send what they showed before, as somebody's own change.
    for new, shown in ((began.flow, page.setup.flow), (began.train, page.setup.train)):
        if new != shown:
            show(new)
    if page.run:
        training.close(page.run)
    page.run = training.create(began.experiment())
    presence().run = page.run
    page.link, page.setup = replace(page.link, setup=began), replace(began, changes=())
    page.report = Report(page.run, State.LOADING)
    if page.plays:
        play()
