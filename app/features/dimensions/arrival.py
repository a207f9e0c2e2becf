"""What this screen opens with: from which dimension on an estimate pays, and what memory the tricks save."""

from dataclasses import replace

import streamlit as st

from app import session
from app.features.dimensions import scaling, stored
from app.features.dimensions.evidence import HIGH, WIDTH
from app.features.dimensions.memory import memory
from app.features.dimensions.memory.settings import MEMORY, Memory
from app.features.dimensions.settings import Dimensions
from app.ui import heading, opening


def is_due() -> bool:
    """Whether no view was chosen here, by a link or by hand."""
    chosen = session.view(Dimensions) != Dimensions().view or session.is_chosen(Dimensions) or session.is_chosen(Memory)
    return opening.is_due() and not (chosen or session.focused())


def show() -> None:
    """Both answers, each with what measures it here."""
    stored.show_crossing("dimensions.opening")
    st.button("Measure it here", type="primary", icon=":material/timer:", on_click=_time, key="dimensions.time")
    heading.section("How much memory does its gradient take?")
    stored.show_memory("dimensions.memory", st.markdown)
    st.button("Measure the memory here", icon=":material/memory:", on_click=_weigh, key=f"{MEMORY}look")
    heading.section("More: a flow in 64 dimensions, samples, and measurements")


def _time() -> None:
    scaling.start_soon()
    _look("scaling")


def _weigh() -> None:
    """The example of the bars, as far as the page's own flow has its settings."""
    session.show_bench(replace(Memory(), dim=str(HIGH), width=WIDTH))
    memory.start_soon()
    _look("memory")


def _look(view: str) -> None:
    session.show_bench(replace(session.bench(Dimensions), view=view))
