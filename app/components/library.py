"""The script that draws all pictures of the canvas library: brought to a page once, used by all components on it.

A component's own script is sent again with each of its messages. So the drawing rides in a component whose message
never changes, and the others hand over to it what they are told (`canvas/inbox.js`).
"""

import streamlit as st

from app.components import live, painter, planes, take
from app.components.canvas import ALL, scoped, shared, style

__all__ = ["mount"]

_library = st.components.v2.component(
    "resflow_library",
    css="\n".join([style(), live.STYLE, take.STYLE]),
    js="\n".join(
        [
            shared(*ALL),
            scoped(take.SCRIPT),
            scoped(live.SCRIPT),
            scoped(planes.SCRIPT),
            scoped(painter.SCRIPT),
            "export default () => {};",
        ]
    ),
    isolate_styles=False,
)


def mount() -> None:
    """Bring it to the page. Call once per script run, outside fragments."""
    _library(key="resflow_library")
