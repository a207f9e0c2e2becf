"""A row of panes that stand still while what they show changes: parts of the plane, and charts.

`planes(...)` may be called again at any pace, in a fragment too: only panes
that have changed are drawn anew, and zooms stay. Panes of one part of the plane zoom together; another window starts
with a new zoom; a double click resets it.
"""

from collections.abc import Sequence
from pathlib import Path as File

import streamlit as st

from app.components import take
from app.components.component import component
from app.components.planes.panes import Area, Chart, Dots, Heat, Level, Pane, Path, encode

__all__ = ["Area", "Chart", "Dots", "Heat", "Level", "Pane", "Path", "clicked", "planes"]

_HERE = File(__file__).parent


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


_planes = component(
    "resflow_planes",
    "planes/planes.js",
    html='<div class="planes"></div>',
    css=_read("planes.css"),
    isolate_styles=False,
)


def planes(panes: Sequence[Pane | Chart], *, key: str, columns: int, files: Sequence[take.File] = ()) -> None:
    """Mount the panes, or hand those that are mounted what they show now; at most so many in a row. Their menu has
    these `files` beside pictures and numbers."""
    drawn = {"columns": columns, "panes": [encode(pane) for pane in panes], "take": take.encode(files, key)}
    _planes(data=drawn, key=key, on_clicked_change=lambda: None, on_asks_change=take.heard)


def clicked(key: str) -> tuple[int, float, float] | None:
    """Pane, x and y of the newest click, or move by arrow keys, in the panes mounted as `key`."""
    latest = st.session_state.get(key, {}).get("clicked")
    if not isinstance(latest, list) or len(latest) != 3:
        return None
    pane, x, y = latest
    return int(pane), float(x), float(y)
