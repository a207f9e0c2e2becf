"""What a bench opens with: its answer, as one sentence and one picture, from what is stored."""

from collections.abc import Sequence

import streamlit as st

from app import session
from app.components.planes import Chart, Pane, planes
from app.evidence import Stored

HEIGHT = 400
"""Pixels of the plot of a chart that opens a bench."""


def is_due() -> bool:
    """Whether a bench may open with its answer: beside a lesson it is what is asked."""
    return not session.lies_under_lesson()


def sentence(text: str) -> None:
    """The answer in words, larger than what stands below."""
    with st.container(key="answer"):
        st.markdown(text)


def picture(panes: Sequence[Pane | Chart], stored: Stored, *, key: str, columns: int = 1) -> None:
    """The answer as a picture, and what made it."""
    planes(panes, key=key, columns=columns)
    st.caption(f":material/inventory_2: {stored.source}")
