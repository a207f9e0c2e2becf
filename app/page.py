"""The page: what every screen shares. `app/main.py` serves it."""

from pathlib import Path

import streamlit as st

from app import controls, live, session
from app.learn.panel import cover, covered, panel, way_back
from app.polling import clocked
from app.turns import TURNS

HERE = Path(__file__).parent
BESIDE = (1, 2.3)  # the widths of a lesson and of the screen
# Pages to read: nothing of theirs is set, and their address may end in the name of a place.
TO_READ = {"", "glossary"}
WITHOUT_SETTINGS = {*TO_READ, "learn"}


def draw() -> None:
    """Draw the page whose address is open."""
    # An icon of our own: Streamlit would fetch its emoji and symbols for a page from the network.
    st.set_page_config("Residual flows", page_icon=HERE / "icon.svg", layout="wide")
    st.html(HERE / "style.css")

    page = st.navigation(
        [
            st.Page("screens/home.py", title="Residual flows", default=True),
            st.Page("screens/learn.py", title="Learn", url_path="learn"),
            st.Page("screens/explore.py", title="Explore", url_path="explore"),
            st.Page("screens/stretch.py", title="Stretch", url_path="stretch"),
            st.Page("screens/estimator.py", title="Estimator", url_path="estimator"),
            st.Page("screens/lipschitz.py", title="Lipschitz", url_path="lipschitz"),
            st.Page("screens/activations.py", title="Activations", url_path="activations"),
            st.Page("screens/compare.py", title="Compare", url_path="compare"),
            st.Page("screens/memory.py", title="Memory", url_path="memory"),
            st.Page("screens/joint.py", title="Joint", url_path="joint"),
            st.Page("screens/dimensions.py", title="Dimensions", url_path="dimensions"),
            st.Page("screens/glossary.py", title="Glossary", url_path="glossary"),
        ],
        position="top",
    )
    step = None
    if page.url_path in TO_READ:
        session.carry()
    else:
        setup = session.begin()
        session.arrive(page.url_path)
        if to := session.turn(page.url_path):
            st.switch_page(f"screens/{to}.py")
        step = session.step_over(page.url_path)
        session.focus(step.controls if step else session.fixed())
        live.mount_library()
    if session.begun():
        clocked(session.HEARD_SECONDS / 2)(session.keep)()  # not every screen looks at a run
    if step:
        beside, screen = st.columns(BESIDE, gap="medium")
        session.apply(controls.settings(setup, screen.container(key="lesson_settings")))
        with beside.container(key="lesson"):
            panel(session.lesson(), step)
        with screen.container(key="beside_lesson"):
            if covered(step):
                cover()
            else:
                page.run()
    else:
        if page.url_path not in WITHOUT_SETTINGS:
            session.apply(controls.settings(setup, st.sidebar))
            if session.lesson():
                way_back(session.lesson(), session.step_open())
        page.run()
    if session.begun():
        session.end()


with TURNS.turn(session.attend):
    draw()
