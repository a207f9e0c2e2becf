"""The ways on from the home page, as cards that are links."""

from dataclasses import dataclass

import streamlit as st


@dataclass(frozen=True)
class Door:
    """A way on: `page` is its file as `st.navigation` knows it."""

    title: str
    text: str
    page: str


DOORS = {
    "explore": Door("Explore", "Press Play and watch a flow learn. Turn any knob while it does.", "screens/explore.py"),
    "learn": Door("Learn", "Lessons in small steps: predict, try it, and see why.", "screens/learn.py"),
    "check": Door(
        "Check by hand",
        "Type a 2 × 2 matrix and see every term of the unbiased estimate, beside the truth.",
        "screens/estimator.py",
    ),
}


def show(doors: dict[str, Door] = DOORS) -> None:
    """The doors in a row; the whole of each card is its link (style.css)."""
    with st.container(horizontal=True, gap="small", key="doors"):
        for name, door in doors.items():
            with st.container(border=True, key=f"door_{name}", width="stretch", gap=None):
                st.page_link(door.page, label=f"**{door.title}**", width="stretch")
                st.markdown(door.text)
