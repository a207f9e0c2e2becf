"""The scripts that draw all pictures of the canvas library: brought to a page once, used by all components on it.

A component's own script is sent again with each of its messages. So the drawing rides in components whose message
never changes, and the others hand over to them what they are told (`canvas/inbox.js`). The menus *Take it with you*
ride alone: pages that draw their pictures themselves need nothing else.
"""

from app.components import live, painter, planes, take
from app.components.canvas import ALL, scoped, shared, style
from app.components.component import component

__all__ = ["mount", "mount_menus"]

_NOTHING_ITSELF = "export default () => {};"

_menus = component(
    "resflow_menus",
    css=take.STYLE,
    js="\n".join([shared(*take.NEEDS), scoped(take.SCRIPT), _NOTHING_ITSELF]),
    isolate_styles=False,
)
_library = component(
    "resflow_library",
    css="\n".join([style(), live.STYLE]),
    js="\n".join(
        [
            shared(*ALL),
            scoped(live.SCRIPT),
            scoped(planes.SCRIPT),
            scoped(painter.SCRIPT),
            _NOTHING_ITSELF,
        ]
    ),
    isolate_styles=False,
)


def mount() -> None:
    """Bring all of it to the page. Call once per script run, outside fragments."""
    mount_menus()
    _library(key="resflow_library")


def mount_menus() -> None:
    """Bring what the menus alone need. Call once per script run, outside fragments, and not beside `mount`."""
    _menus(key="resflow_menus")
