"""What a page and its browser tell each other beside pictures and widgets: addresses, progress in lessons that the
browser keeps, and which page it was when somebody presses reload. One Streamlit component that shows nothing.

Streamlit would make an entry of the browser's history of each setting. The script (`history.js`) lets it make one where
the server's `ENTRY` changes, and else replaces the address in place; it leaves what is of the view alone as it is
(`canvas/address.js`), and takes `ENTRY` out of what is seen.
"""

import json
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from app.components.canvas import scripts
from app.link import VIEW

__all__ = ["COOKIE", "ENTRY", "keep", "mount"]

ENTRY = f"{VIEW}.entry"
"""The name under which an address that the server writes says which entry of the history it is."""

COOKIE = "resflow_page"
"""The name of the cookie that is there for `COOKIE_SECONDS` after a page was left, with the page's token."""

COOKIE_SECONDS = 15
STORED = "resflow.progress"
"""The name under which the browser keeps what somebody did in lessons."""

KEY = "browser"

_constants = {"VIEW": VIEW, "ENTRY": ENTRY, "COOKIE": COOKIE, "COOKIE_SECONDS": COOKIE_SECONDS, "STORED": STORED}
_browser = st.components.v2.component(
    "resflow_browser",
    js=f"const {{{', '.join(_constants)}}} = {json.dumps(_constants)};\n"
    + scripts(Path(__file__).parent, "history", "storage", "leaving", "browser_component"),
    isolate_styles=False,
)
_keeper = st.components.v2.component("resflow_keeper", js=scripts(Path(__file__).parent, "keeper_component"))


def mount(token: str, *, on_arrive: Callable[[str | None], None], on_return: Callable[[str, str], None]) -> None:
    """Call once per script run. `token` names the page.

    `on_arrive(text)` is called when the browser has our script, with what it has kept ("" for nothing yet, None where
    it keeps nothing), and again where another page has kept more. `on_return(query, entry)` is called when somebody
    went back or forward to an address of this page.
    """

    def arrived() -> None:
        if isinstance(told := st.session_state[KEY].arrived, dict):
            text = told.get("text")
            on_arrive(text if isinstance(text, str) else None)

    def returned() -> None:
        if isinstance(told := st.session_state[KEY].returned, dict):
            on_return(str(told.get("query", "")), str(told.get("entry", "")))

    _browser(data={"token": token}, key=KEY, on_arrived_change=arrived, on_returned_change=returned)


def keep(progress: str, *, key: str) -> None:
    """Let the browser keep what somebody did in lessons."""
    _keeper(data={"progress": progress}, key=key)
