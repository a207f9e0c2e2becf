"""The menu *Take it with you*: what is on the screen as files.

Pictures (PNG, SVG) and their numbers (CSV) are made in the browser, of what is seen. `File` is any other one: the
server makes it when it is asked for, and hands it over with the component's next message. A component that has a menu
sends `encode(files, key)` and passes `on_asks_change=heard`; `menu` is one that stands alone.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal

import streamlit as st

from app.components.component import component

__all__ = ["File", "encode", "heard", "menu"]

REPEATED_SECONDS = 5.0
"""So long an answer is told again: a message is never seen if the next one comes before the browser draws."""

Group = Literal["Numbers", "Flow", "Comparison", "Program"]


@dataclass(frozen=True)
class File:
    """A file of a menu: `made` returns its contents, or raises ValueError or RuntimeError with a sentence for
    people."""

    title: str
    name: str
    made: Callable[[], bytes | str]
    mime: str = "text/csv"
    group: Group = "Numbers"


_menu = component("resflow_take", "take/take.js", html="<div data-take></div>", isolate_styles=False)


def menu(files: Sequence[File], *, key: str, of: str | None = None, chart: tuple[str, str] | None = None) -> None:
    """A menu of these files and, where a figure of the name `of` is on the page, of its picture and numbers; or of the
    picture of a `chart`, of Vega or of rows of dots: the class of an element around it, and its title."""
    _menu(data=encode(files, key) | {"of": of, "chart": chart}, key=key, on_asks_change=heard, width="content")


def heard() -> None:
    """A component hears of requests by being asked for: this lets Streamlit run its script."""


def encode(files: Sequence[File], key: str) -> dict[str, Any]:
    """What the menu of the component mounted as `key` offers, and the answer to what it has just asked for."""
    listed = [{"name": file.name, "title": file.title, "group": file.group} for file in files]
    return {"files": listed, "answer": _told(files, key)}


def _told(files: Sequence[File], key: str) -> dict[str, Any] | None:
    """The answer to what was just asked, or the last one for a while: the menu takes one that comes twice once."""
    kept = f"{key}.answer"
    if answer := _answer(files, st.session_state.get(key, {}).get("asks")):
        st.session_state[kept] = (monotonic() + REPEATED_SECONDS, answer)
        return answer
    until, answer = st.session_state.get(kept, (0.0, None))
    if answer and monotonic() >= until:
        del st.session_state[kept]
        return None
    return answer


def _answer(files: Sequence[File], asks: Any) -> dict[str, Any] | None:
    """It comes from a browser, so it may be anything."""
    if not (isinstance(asks, list) and len(asks) == 2 and isinstance(asks[0], int | float)):
        return None
    n, name = asks
    for file in files:
        if file.name == name:
            try:
                contents = file.made()
            except (RuntimeError, ValueError) as error:
                return {"n": n, "problem": str(error)}
            data = contents.encode() if isinstance(contents, str) else contents
            return {"n": n, "file": name, "mime": file.mime, "base64": base64.b64encode(data).decode()}
    return {"n": n, "problem": "This file is not offered any more. Open the menu again."}
