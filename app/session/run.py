"""The runs of a page: their reports, their buttons, and those that take their places."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from app import engine
from app.engine.commands import ViewRequest
from app.engine.experiment import Experiment
from app.engine.reports import MOVING, Report, State, adds_nothing
from app.engine.training.measurements.jacobians import Jacobians
from app.link import prefix_of
from app.session.address import write_address
from app.session.benches import benches, show_bench
from app.session.brought import bring_along, let_go
from app.session.focus import offered
from app.session.left import LEFT
from app.session.page import Page, Training, current, settle, show, training_of
from app.setup import Edits, Setup, edited_by, in_force
from app.turns import TURNS
from resflow_core.measure import Edited

VIEW_REQUEST = ViewRequest(measured={"masses": True})
NO_PICTURES = replace(VIEW_REQUEST, frames=False, measured={})
FIRST_PICTURE_SECONDS = 2.0
ANSWER_SECONDS = 0.8
EDITING = ("scale", "weights")
"""Settings of a bench that edit a block."""
CALM_POLLS = 5  # what is asked of the engine after a click is there by then, also on a slow machine
HEARD_SECONDS = 120.0
"""The engine drops a run of which it has not heard for ten minutes. One that the page has and does not show just now
is spoken of this often."""


@dataclass
class Presence:
    """Somebody looks at the page. Streamlit lets go of it when the connection ends, and its runs rest."""

    page: Page

    def leave(self) -> None:
        LEFT.leave(self.page)
        for training in self.page.trainings:
            engine.get_engine().leave(training.run)


@st.cache_resource(scope="session", on_release=Presence.leave, show_spinner=False)
def presence() -> Presence:
    # After a broken connection the session comes back with its state, but with an empty cache: the same runs go on.
    LEFT.come(current())
    return Presence(current())


def poll(until: Callable[[Report], bool] = bool, **wanted: Any) -> Report:
    """The newest report; the first one, and one that is what is waited for, are waited for, for a moment, so that a
    page opens with a picture and shows at once what was chosen in it.

    `wanted` are fields of the `ViewRequest` that differ from `VIEW_REQUEST`. A block that a bench edits is so
    on all screens. Runs the script anew where widgets must show something else.
    """
    page, report = current(), newest(current(), until, edited=edited(), **wanted)
    page.jacobians = report.arms[0].found(Jacobians) if report.arms else None
    _follow(report)
    bring_along(report)
    write_address()
    settle()
    return report


def edited() -> Edited | None:
    """What is made of a block in all that is looked at."""
    return edited_by(benches(), current().setup.flow)


def editing_is_offered() -> bool:
    """Whether the controls of what edits a block are drawn."""
    names = [f"{prefix_of(bench)}{name}" for bench in benches() if isinstance(bench, Edits) for name in EDITING]
    return all([offered(name) for name in names])


def bring_back() -> None:
    """No block is edited any more."""
    for bench in benches():
        if isinstance(bench, Edits):
            show_bench(bench.whole())


def drop_edits(why: str) -> None:
    """The weights that are changed are as trained again, and the page says why."""
    for bench in benches():
        if isinstance(bench, Edits) and bench.with_trained_weights() != bench:
            show_bench(bench.with_trained_weights())
            tell(f"{why} So your changes of weights are dropped. The trained weights are not affected.")


def tell(notice: str) -> None:
    """Say something on the page that is not seen in what was pressed."""
    page = current()
    page.notice, page.stale = notice, True


def drop_misfits() -> None:
    """Of changes of weights that the flow does not have."""
    for bench in benches():
        if isinstance(bench, Edits) and (why := bench.misfit(current().setup.flow)):
            drop_edits(why)


def newest(training: Training, until: Callable[[Report], bool] = bool, **wanted: Any) -> Report:
    """As `poll`, for any run of the page. The one that was looked at before rests from now on."""
    request = replace(VIEW_REQUEST, **wanted)
    _watch(training)
    report = engine.get_engine().poll(training.run, request)
    deadline = time.monotonic() + FIRST_PICTURE_SECONDS
    wanted_at = time.monotonic() + ANSWER_SECONDS
    while (report.state is State.LOADING and not report.arms and time.monotonic() < deadline) or (
        report.arms and not until(report) and time.monotonic() < wanted_at
    ):
        TURNS.rest(0.02)
        report = engine.get_engine().poll(training.run, request)
    if report.state not in (State.QUEUED, State.LOADING):
        training.plays = report.state is State.PLAYING
    training.calm = training.calm + 1 if not training.plays and adds_nothing(report, training.report) else 0
    training.report = report
    return report


def at_rest() -> bool:
    """Whether the run that the page looks at has stood still for some polls without anything new."""
    page = current()
    return any(training.run == page.watched and training.calm >= CALM_POLLS for training in page.trainings)


def stir() -> None:
    """Somebody has done something: what rested may have news."""
    if "page" in st.session_state:
        for training in current().trainings:
            training.calm = 0


def _watch(training: Training) -> None:
    page, now = current(), time.monotonic()
    presence()
    if page.watched != training.run:
        engine.get_engine().leave(page.watched)
        page.watched = training.run
    training.heard = now
    keep()


def attend() -> None:
    """Let the engine hear that the page is there, while its script waits for its turn."""
    if "page" in st.session_state:
        engine.get_engine().attend(current().watched)


def keep() -> None:
    """Let the engine hear of the page's runs that it has not heard of for long: of all of them, where a screen shows
    none."""
    now = time.monotonic()
    for training in current().trainings:
        if now - training.heard > HEARD_SECONDS:
            training.heard = now
            engine.get_engine().attend(training.run)


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


def last_report(of: str | None = None) -> Report:
    return training_of(of).report


def play(of: str | None = None) -> None:
    """Train the page's flow, or the comparison `of` this name; so with all buttons. One that is lost begins anew."""
    training = training_of(of)
    _have(of)
    if of is None:
        let_go()
    training.plays = True
    engine.get_engine().play(training.run)


def pause(of: str | None = None) -> None:
    training = training_of(of)
    training.plays = False
    engine.get_engine().pause(training.run)


def play_or_pause(of: str | None = None, until: int | None = None) -> None:
    """Pause what moves; else play, to the step `until` where that is still ahead."""
    report = last_report(of)
    # A flow that is being built, or built anew, begins at 0, whatever the last picture shows.
    done = report.arms[0].step if report.arms and report.state is not State.LOADING else report.resumes_at or 0
    left = until - done if until else 0
    if report.state in MOVING:
        pause(of)
    elif left > 0:
        step(left, of)
    else:
        play(of)


def draw_by_server(of: str | None = None) -> None:
    """Note that the browser cannot draw the flows of this run in panes."""
    training_of(of).plain = True


def draws_plainly(of: str | None = None) -> bool:
    """Whether the server draws the flows of this run in panes."""
    return training_of(of).plain


def hasten(of: str | None = None) -> None:
    """Let compiled kernels go on with what torch began before they were there."""
    engine.get_engine().hasten(training_of(of).run)


def step(n: int, of: str | None = None) -> None:
    training = training_of(of)
    _have(of)
    if of is None:
        let_go()
    training.plays = False
    engine.get_engine().step(training.run, n)


def step_slowly() -> None:
    """One step of the page's run, recorded in its parts; what plays pauses first."""
    page = current()
    _have(None)
    let_go()
    page.plays = False
    engine.get_engine().step(page.run, 1, in_parts=True)


def come_to_rest() -> Report:
    """The report of the page's run once it stands still and has done all that was asked of it; the newest where that
    takes too long."""
    page, training = current(), engine.get_engine()
    if page.plays or page.report.state in MOVING:
        training.pause(page.run)
    deadline = time.monotonic() + ANSWER_SECONDS
    page.report = training.poll(page.run, NO_PICTURES)
    while not page.report.confirmed and time.monotonic() < deadline:
        TURNS.rest(0.02)
        page.report = training.poll(page.run, NO_PICTURES)
    return page.report


def start_over(of: str | None = None) -> None:
    """Back to step 0: with the settings as they are, or to follow the plan again. A run that was dropped is created
    anew."""
    page, training = current(), training_of(of)
    if of is None:
        let_go()
    training.plays = False
    arms = (page.link.setup,) if of is None else training.experiment.arms
    planned = any(arm.changes for arm in arms)
    if not planned and training.report.state is not State.EXPIRED:
        engine.get_engine().reset(training.run)
    elif of is None:
        start(page.link.setup if planned else page.setup)
    else:
        launch(training, training.experiment)


def _have(of: str | None) -> None:
    """A run in the place of one of which nothing is left."""
    report = last_report(of)
    if report.state is State.EXPIRED and report.resumes_at is None:
        start_over(of)


def launch(training: Training, experiment: Experiment, step: int = 0, fingerprints: tuple[str, ...] = ()) -> None:
    """A run of `experiment`, paused, in the place of the one before; from the largest step up to `step` that the engine
    has stored (`Engine.stored`). It rests until it is looked at."""
    page, before = current(), training.run
    if before:
        engine.get_engine().close(before)
    training.run, training.heard = engine.get_engine().create(experiment, step, fingerprints), time.monotonic()
    training.report = Report(training.run, State.LOADING, resumes_at=step or None)
    training.plain = False  # the browser may well draw these
    presence()
    if page.watched == before:
        page.watched = training.run
    else:
        engine.get_engine().leave(training.run)


def flow_saver() -> Callable[[], bytes]:
    """What fetches the flow of the page's run as the contents of a file; it may be called outside the script."""
    # Later in this script a change of the settings may give the page another run.
    training, page = engine.get_engine(), current()

    def contents() -> bytes:
        if (data := training.export(page.run, 0)) is None:
            raise RuntimeError("There is no flow to save: it is not built yet, or its run was dropped.")
        return data

    return contents


def start(began: Setup, step: int = 0, fingerprints: tuple[str, ...] = ()) -> int:
    """A run that begins with `began`, and plays if the one before it does. It goes on from the largest step up to
    `step` that is stored, which is returned, and is brought to `step`, where it rests. `fingerprints` is as in
    `Engine.stored`."""
    page, experiment = current(), began.experiment()
    at = engine.get_engine().stored(experiment, step, fingerprints) if step else 0
    now = replace(began, train=in_force(began, at), changes=())
    # Else the widgets would send what they showed before, as somebody's own change.
    for new, shown in ((now.flow, page.setup.flow), (now.train, page.setup.train)):
        if new != shown:
            show(new)
    launch(page, experiment, at, fingerprints)
    page.continues = None
    page.link, page.setup = replace(page.link, setup=began), now
    page.wanted, page.brings = step if at < step else 0, False
    if step:
        page.plays = False
    elif page.plays:
        play()
    return at
