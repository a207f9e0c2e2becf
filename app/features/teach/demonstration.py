"""Ten minutes before a class: a few screens, each with its link, and what to ask, show and say."""

from concurrent.futures import Future
from functools import partial

import streamlit as st

from app.features.teach.addresses import here
from app.features.teach.waiting import when_made
from app.lessons.acted import Acted
from app.lessons.lesson import Lesson
from app.lessons.raw import Wrong
from app.lessons.reading import read_demonstration
from app.lessons.shelf import DEMONSTRATION
from app.ui import heading


def show() -> None:
    try:
        told = read_demonstration(DEMONSTRATION)
    except (Wrong, OSError) as error:
        st.error(f"The demonstration cannot be read. {error}")
        return
    heading.section(f"{told.title} &nbsp;:gray[:small[a demonstration, {told.minutes} minutes]]")
    st.caption(
        "By keyboard: the first Tab of a page leads to *Skip to main content*. After Enter there, Space and Page Down "
        "scroll, and Tab goes on to buttons (Enter) and sliders (arrow keys)."
    )
    when_made(told, partial(_parts, told))


def _parts(told: Lesson, found: "Future[Acted]") -> None:
    at = here(st.context.url or "")
    for number, step in enumerate(told.steps, 1):
        with st.container(border=True, key=f"demonstration-{step.id}"):
            st.markdown(f"**{number}. {step.title}** &nbsp;:gray[:small[{step.minutes} min]]")
            st.link_button(
                "Open this screen", at.demonstration(step), icon=":material/open_in_new:", key=f"show-{step.id}"
            )
            if not found.done():
                st.caption("The numbers of this part are being computed.")
                continue
            try:
                st.markdown("\n\n".join(found.result().read(step, block) for block in step.blocks))
            except ValueError as error:
                st.error(f"The numbers of this part cannot be computed. {error}")
