"""A part of the page that waits for a lesson to be acted out."""

from collections.abc import Callable
from concurrent.futures import Future

import streamlit as st

from app.lessons.acted import Acted
from app.lessons.lesson import Lesson
from app.lessons.made import acted
from app.ui.fragments import polled

TICK_SECONDS = 1.0


def when_made(lesson: Lesson, draw: Callable[["Future[Acted]"], None]) -> None:
    """Draw with what is known, and anew as soon as all is."""
    found = acted(lesson)
    if found.done():
        draw(found)
        return

    def look() -> None:
        if found.done():
            st.rerun()  # the whole page, without the clock
        draw(found)

    polled(TICK_SECONDS)(look)()
