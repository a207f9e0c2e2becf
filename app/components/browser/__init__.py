"""What a page and its browser tell each other beside pictures and widgets: addresses, progress in lessons that the
browser keeps, and which page it was when somebody presses reload. One Streamlit component that shows nothing.

Streamlit would make an entry of the browser's history of each setting. The module (`app/web/browser/history.js`) lets
it make one where the server's `ENTRY` changes, and else replaces the address in place; it leaves what is of the view
alone as it is (`app/web/canvas/address.js`), and takes `ENTRY` out of what is seen. It also lets the keyboard reach
what stands in a popover (`popovers.js`). `names.js` has `ENTRY` and `COOKIE` once more.
"""

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.components.component import component
from app.link import VIEW

__all__ = ["COOKIE", "ENTRY", "keep", "mount"]

ENTRY = f"{VIEW}.entry"
"""The name under which an address that the server writes says which entry of the history it is, and of which screen:
"entry@screen"."""

COOKIE = "resflow_page"
"""The name of the cookie that is there for some seconds after a page was left, with the page's token."""

MOST_OF_A_NAME = 64
KEY = "browser"

_browser = component("resflow_browser", "browser/browser.js", isolate_styles=False)
_keeper = component("resflow_keeper", "browser/keeper.js")


def mount(
    token: str,
    entry: str,
    heard: bool,
    *,
    on_arrive: Callable[[str | None, bool], None],
    on_return: Callable[[str, str], None],
    on_room: Callable[[str, str], None],
) -> None:
    """Call once per script run. `token` names the page, and `entry` the one of the browser's history that it is at.
    `heard`: whether `on_arrive` was called for it; until then the browser says again what it has kept.

    `on_arrive(text, again)` is called when the browser has our script, with what it has kept ("" for nothing yet, None
    where it keeps nothing), and once more where another page has kept more. `again`: this very page of the browser was
    another page of the server's before. `on_return(query, entry)` is called when somebody
    went back or forward to an address of this page. `on_room(code, token)` is called when it is in another room than
    before, both "" for none.
    """

    def told(name: str) -> dict[str, Any] | None:
        # What a page tells as it goes may come when the component is not there any more.
        found = (st.session_state.get(KEY) or {}).get(name)
        return found if isinstance(found, dict) else None

    def arrived() -> None:
        if found := told("arrived"):
            text = found.get("text")
            on_arrive(text if isinstance(text, str) else None, found.get("again") is True)

    def returned() -> None:
        if found := told("returned"):
            on_return(str(found.get("query", "")), str(found.get("entry", "")))

    def joined() -> None:
        if found := told("room"):
            on_room(str(found.get("code", ""))[:MOST_OF_A_NAME], str(found.get("token", ""))[:MOST_OF_A_NAME])

    _browser(
        data={"token": token, "entry": entry, "heard": heard},
        key=KEY,
        on_arrived_change=arrived,
        on_returned_change=returned,
        on_room_change=joined,
    )


def keep(progress: str, *, key: str) -> None:
    """Let the browser keep what somebody did in lessons."""
    _keeper(data={"progress": progress}, key=key)
