"""The page: what every screen shares. `app/main.py` serves it."""

from pathlib import Path

import streamlit as st

from app import session
from app.components import browser, live
from app.features.learn.panel import agree, cover, covered, panel, way_back
from app.lessons.observables import MOVED
from app.screens import SCREENS
from app.turns import TURNS
from app.ui import controls, live_runs, opening
from app.ui.fragments import clocked

HERE = Path(__file__).parent
RAIL = 236  # pixels of width of the settings
BESIDE = (1, 2.3)  # the widths of a lesson and of the screen


def draw() -> None:
    """Draw the page whose address is open."""
    # An icon of our own: Streamlit would fetch its emoji and symbols for a page from the network.
    st.set_page_config("Residual flows", page_icon=HERE / "icon.svg", layout="wide", initial_sidebar_state=RAIL)
    st.html(HERE / "style.css")
    st.html(HERE / "lesson.css")
    groups: dict[str, list] = {}
    for path, one in SCREENS.items():
        page = st.Page(
            one.script, title=one.title, default=not path, url_path=path or None,
            visibility="visible" if one.listed else "hidden",
        )  # fmt: skip
        groups.setdefault(one.group, []).append(page)
        groups[one.group] += [st.Page(one.script, url_path=old, visibility="hidden") for old in one.former]
    page = st.navigation(groups, position="top")
    moved = MOVED.get(page.url_path)
    screen = SCREENS[moved.screen if moved else page.url_path]
    st.set_page_config(" · ".join(filter(None, ("Residual flows", screen.term or screen.title))))
    step = None
    if not screen.has_flow:
        session.carry()
    else:
        setup = session.begin()
        session.arrive(page.url_path)
        session.arrive_to_draw()
        if live_runs.begin(page.url_path):
            st.rerun()
        if moved:
            session.move(moved)
        if to := session.turn(page.url_path):
            st.switch_page(SCREENS[to].script)
        step = session.step_over(page.url_path)
        session.focus(step.controls if step else session.fixed())
        with st.container(key="unseen", gap=None):
            live.listen()
            with_browser()
    if session.begun():
        session.lie_under_lesson(step is not None)
        clocked(session.HEARD_SECONDS / 2)(session.keep)()  # not every screen looks at a run
    stand_beside = None if step else screen.has_settings_beside
    opening.begin(stand_beside)
    if step:
        beside, over = st.columns(BESIDE, gap="medium")
        session.apply(controls.settings(setup, over.container(key="lesson_settings")))
        with beside.container(key="lesson"):
            panel(session.lesson(), step)
        with over.container(key="beside_lesson"):
            if covered(step):
                cover()
            else:
                page.run()
        agree(step)
    else:
        if stand_beside:
            session.apply(controls.settings(setup, st.sidebar))
        if (screen.sidebar or screen.benches) and session.lesson():
            way_back(session.lesson(), session.step_open())
        page.run()
    if session.begun():
        session.end()


@st.fragment
def with_browser() -> None:
    """What the browser tells of itself runs nothing else, unless there is something else to see."""
    browser.mount(
        session.token(),
        session.entry(),
        session.attached(),
        on_arrive=session.arrive_in_browser,
        on_return=session.come_back,
        on_room=session.enter_room,
    )
    session.settle()


with TURNS.turn(session.attend):
    draw()
