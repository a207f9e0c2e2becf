"""The ways on from the home page, as cards that are links."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import streamlit as st


@dataclass(frozen=True)
class Door:
    """A way on: `page` is its file as `st.navigation` knows it, and `query` what its address asks for."""

    title: str
    text: str
    page: str
    query: Mapping[str, str] = field(default_factory=dict)


DOORS: dict[str, Door] = {}
"""By their names. `app.screens` fills it."""


def show(doors: Mapping[str, Door] = DOORS) -> None:
    """The doors in a row; the whole of each card is its link (style.css)."""
    with st.container(horizontal=True, gap="small", key="doors"):
        for name, door in doors.items():
            with st.container(border=True, key=f"door_{name}", width="stretch", gap=None):
                st.page_link(door.page, label=f"**{door.title}**", width="stretch", query_params=dict(door.query))
                st.markdown(door.text)
