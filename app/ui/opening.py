"""What a bench opens with: its answer, as one sentence and one picture, from what is stored."""

from collections.abc import Sequence

import streamlit as st

from app import session
from app.components.planes import Chart, Pane, planes
from app.components.take import File
from app.evidence import Stored

WANTED, DRAWN = "opening.wanted", "opening.drawn"
HEIGHT = 400
"""Pixels of the plot of a chart that opens a bench."""


def is_due() -> bool:
    """Whether a bench may open with its answer: beside a lesson it is what is asked."""
    return not session.lies_under_lesson()


def lend() -> None:
    """Where nobody has trained a flow or chosen one, begin with the one that was trained before: an untrained flow
    shows the opposite of what most screens are about. Draws the page anew then."""
    if is_due() and session.lend_example():
        st.rerun()


def wants_settings() -> bool:
    """Whether the settings of the page's own flow were asked for beside what is stored."""
    return bool(st.session_state.get(WANTED))


def settings_button(key: str) -> None:
    """Show them: with what is stored they are hidden, because its data and flow are others."""
    st.button("Choose data and settings", on_click=want_settings, icon=":material/tune:", key=key)


def want_settings() -> None:
    """Show them from now on: `session.use` is heard by their widgets alone."""
    st.session_state[WANTED] = True


def begin(settings_stand_beside: bool | None) -> None:
    """Of a whole page: whether its settings are drawn; None beside a lesson, which has some of them elsewhere."""
    st.session_state[DRAWN] = settings_stand_beside


def follow(hides_settings: bool) -> None:
    """Of a part of a page: draw the page anew where its settings have to come or to go."""
    if st.session_state.get(DRAWN) is hides_settings:
        st.rerun()


def sentence(text: str) -> None:
    """The answer in words, larger than what stands below."""
    with st.container(key="answer"):
        st.markdown(text)


def picture(
    panes: Sequence[Pane | Chart], stored: Stored, *, key: str, columns: int = 1, files: Sequence[File] = ()
) -> None:
    """The answer as a picture, and what made it; its menu has these `files` too."""
    planes(panes, key=key, columns=columns, files=files)
    st.caption(f":material/inventory_2: {stored.source}")
