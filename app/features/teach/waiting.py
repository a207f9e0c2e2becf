"""A part of the page that waits for a lesson to be acted out."""

from collections.abc import Callable
from concurrent.futures import Future

import streamlit as st

from app.features.teach.made import acted
from app.lessons.acted import Acted
from app.lessons.lesson import Lesson

TICK_SECONDS = 1.0


def when_made(lesson: Lesson, draw: Callable[["Future[Acted]"], None]) -> None:
    """Draw with what is known, and anew as soon as all is. These pages have no run and no buttons, which the parts of
    `app.ui.fragments` are made for."""
    found = acted(lesson)
    if found.done():
        draw(found)
        return

    def look() -> None:
        if found.done():
            st.rerun()  # the whole page, without the clock
        draw(found)

    st.fragment(look, run_every=TICK_SECONDS)()
