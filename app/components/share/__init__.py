"""A text to copy, such as a link to this page: one Streamlit component, which works over plain http too. It tells what
of the page's address the browser alone has written, so that links can hold it (`app.link.VIEW`)."""

from pathlib import Path
from urllib.parse import parse_qsl

import streamlit as st

from app.components.component import declared
from app.link import VIEW

__all__ = ["copy_field", "view", "view_in"]

MOST_IN_VIEW = 2_000
"""Characters of what is looked at, in an address."""

_share = declared(Path(__file__).parent)


def copy_field(text: str, name: str, *, rows: int = 1, key: str) -> None:
    """Show a text, called by its name, with a button that copies it."""
    data = {"text": text, "name": name, "rows": rows, "prefix": VIEW, "view": _told(key)}
    _share(data=data, key=key, on_view_change=lambda: None)


def view(key: str) -> dict[str, str]:
    """What is looked at, by its names in links, as the browser has told the field that is mounted as `key`."""
    return view_in(_told(key))


def view_in(text: str) -> dict[str, str]:
    """The names of an address that say what is looked at; none of a text that is too long."""
    if len(text) > MOST_IN_VIEW:
        return {}
    return {name: value for name, value in parse_qsl(text, keep_blank_values=True) if name.startswith(VIEW)}


def _told(key: str) -> str:
    return str(st.session_state.get(key, {}).get("view") or "")
