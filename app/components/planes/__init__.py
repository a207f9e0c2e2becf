"""A row of panes that stand still while what they show changes: parts of the plane, and charts, drawn by Plotly.

`mount_plotly()` must have been called in the run of the script; until Plotly has come the panes wait. `planes(...)` may
be called again at any pace, in a fragment too: only panes that have changed are drawn anew, and zooms stay. Another
window starts with a new zoom; a double click resets it.
"""

from collections.abc import Sequence
from pathlib import Path as File

import plotly
import streamlit as st

from app.components.canvas import shared
from app.components.planes.panes import Chart, Dots, Heat, Level, Pane, Path, encode

__all__ = ["Chart", "Dots", "Heat", "Level", "Pane", "Path", "clicked", "mount_plotly", "planes"]

_HERE = File(__file__).parent
_SCRIPTS = ("axes", "traces", "chosen", "planes")


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


# A component's script is sent again with each of its messages, so the 4.8 MB library rides in one whose message never
# changes.
_PLOTLY = File(plotly.__file__).parent / "package_data" / "plotly.min.js"
_plotly = st.components.v2.component(
    "resflow_plotly", js=_PLOTLY.read_text(encoding="utf-8") + "\nexport default () => {};"
)

# Without a shadow root: Plotly finds the plot under the wheel through the document.
_planes = st.components.v2.component(
    "resflow_planes",
    html='<div class="planes"></div>',
    css=_read("planes.css"),
    js="\n".join([shared("colours", "unpack", "numbers"), *(_read(f"{name}.js") for name in _SCRIPTS)]),
    isolate_styles=False,
)


def mount_plotly() -> None:
    """Load plotly.min.js from the installed wheel. Call once per script run, on the pages that have panes."""
    _plotly(key="resflow_plotly")


def planes(panes: Sequence[Pane | Chart], *, key: str, columns: int) -> None:
    """Mount the panes, or hand those that are mounted what they show now; at most so many in a row."""
    drawn = {"columns": columns, "panes": [encode(pane) for pane in panes]}
    _planes(data=drawn, key=key, on_clicked_change=lambda: None)


def clicked(key: str) -> tuple[int, float, float] | None:
    """Pane, x and y of the newest click, or move by arrow keys, in the panes mounted as `key`."""
    latest = st.session_state.get(key, {}).get("clicked")
    if not isinstance(latest, list) or len(latest) != 3:
        return None
    pane, x, y = latest
    return int(pane), float(x), float(y)
