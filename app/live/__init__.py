"""The live picture: one Streamlit component that draws data space, latent space and loss, and owns their clock.

`mount_library()` brings Plotly to the page once; `live_panes(scene, key=...)` mounts the picture. `scene` is JSON:

    run            str; a new value is a new run: the queue, the picture and the zoom start afresh
    playing        bool; when it turns false the newest picture is shown at once
    poll_ms        int; the frames of one scene are spread evenly over this time
    window         [[x0, x1], [y0, y1]] of the data space in the flow's units; `latent_window` is [lo, hi] for both axes
    axes           two of {"name", "unit", "centre", "scale"}: shown value = centre + scale * flow value
    points         `encode_points(data, window)`, constant for a run
    frames         `encode_frame(...)` each, in ascending step; those already seen are skipped
    still          the sharp frame of a paused flow, or null
    loss           `encode_curves(...)`, or null
    floor          entropy of the data in nats where it is known, or null
    alt            {"data", "latent", "loss"}: what each pane shows, in words
"""

from pathlib import Path
from typing import Any

import plotly
import streamlit as st

__all__ = ["live_panes", "mount_library"]

_HERE = Path(__file__).parent
_PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"

# A component's script is sent again with each of its messages, so the 4.8 MB library rides in a component of its own
# whose message never changes.
_library = st.components.v2.component(
    "resflow_plotly", js=_PLOTLY.read_text(encoding="utf-8") + "\nexport default function () {}"
)

# Without a shadow root: Plotly finds the plot under the wheel through the document.
_panes = st.components.v2.component(
    "resflow_live_panes",
    html=(_HERE / "plot.html").read_text(encoding="utf-8"),
    css=(_HERE / "plot.css").read_text(encoding="utf-8"),
    js=(_HERE / "plot.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def mount_library() -> None:
    """Load plotly.min.js from the installed wheel into the page. Call once per script run, on every page."""
    _library(key="resflow_plotly")


def live_panes(scene: dict[str, Any], *, key: str) -> None:
    """Mount the three panes, or hand an already mounted picture its next scene (see the module's docstring)."""
    _panes(data=scene, key=key)
