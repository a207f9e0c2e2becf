"""A row of panes that stand still while what they show changes: parts of the plane, and charts.

`planes(...)` may be called again at any pace, in a fragment too: only panes
that have changed are drawn anew, and zooms stay. Panes of one part of the plane zoom together; another window starts
with a new zoom; a double click resets it.

Flows are sent as weights, and the browser draws them as far as somebody sees them. One that cannot, because it is too
slow or does not know a formula, says so.
"""

from collections.abc import Callable, Sequence
from pathlib import Path as File

import streamlit as st

from app.components import take
from app.components.component import component
from app.components.planes.panes import (
    Area,
    Chart,
    Density,
    Dots,
    Heat,
    Level,
    Pane,
    Path,
    Samples,
    encode,
    weights_in,
)

__all__ = [
    "Area",
    "Chart",
    "Density",
    "Dots",
    "Heat",
    "Level",
    "Pane",
    "Path",
    "Samples",
    "clicked",
    "planes",
]

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


def _ignored() -> None:
    pass


def planes(
    panes: Sequence[Pane | Chart],
    *,
    key: str,
    columns: int,
    files: Sequence[take.File] = (),
    moving: bool = False,
    refused: Callable[[], None] = _ignored,
) -> None:
    """Mount the panes, or hand those that are mounted what they show now; at most so many in a row. Their menu has
    these `files` beside pictures and numbers. While flows train they are `moving`, and drawn coarsely. `refused` is
    called before the next run of the script if the browser cannot draw flows: send it numbers in their place."""
    drawn = {
        "columns": columns,
        "panes": [encode(pane) for pane in panes],
        "flows": weights_in(panes),
        "moving": moving,
        "take": take.encode(files, key),
    }
    _planes(data=drawn, key=key, on_clicked_change=_ignored, on_asks_change=take.heard, on_refused_change=refused)


def clicked(key: str) -> tuple[int, float, float] | None:
    """Pane, x and y of the newest click, or move by arrow keys, in the panes mounted as `key`."""
    latest = st.session_state.get(key, {}).get("clicked")
    if not isinstance(latest, list) or len(latest) != 3:
        return None
    pane, x, y = latest
    return int(pane), float(x), float(y)
