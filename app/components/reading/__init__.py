"""Where a lesson is scrolled to: its panel and its screen to the top of a step that is opened, and the panel to the
block that was answered or done just now, whose verdict is read next. One Streamlit component that shows nothing."""

from collections.abc import Iterable

from app.components.component import component

__all__ = ["follow"]

_reading = component("resflow_reading", "reading/reading.js")


def follow(panel: str, step: str, done: Iterable[str], *, key: str) -> None:
    """Let the container of the key `panel` follow the reader. `step` names what is open, and `done` the keys of those
    containers in it that have been answered or done."""
    _reading(data={"panel": panel, "step": step, "done": list(done)}, key=key)
