"""Headings of screens: what lies below them on the page follows from whether a lesson has the page's first one."""

from typing import Literal

import streamlit as st

from app import session

Width = Literal["stretch", "content"]


def title(text: str, width: Width = "stretch") -> None:
    """The question that a screen asks: the page's one h1, unless a lesson lies over the screen and has that."""
    draw = st.header if session.lies_under_lesson() else st.title
    draw(text, anchor=False, width=width)


def section(text: str, width: Width = "stretch") -> None:
    """A part of a screen."""
    draw = st.subheader if session.lies_under_lesson() else st.header
    draw(text, anchor=False, width=width)
