"""The place on the page that the address names, kept in sight while the page is built."""

from pathlib import Path

from app.components.component import component

_place = component("resflow_place", js=(Path(__file__).parent / "place.js").read_text(encoding="utf-8"))


def keep_place() -> None:
    """Scroll to the heading that the end of the address names, until somebody scrolls. Call it once, on a page whose
    headings have anchors."""
    _place(key="resflow_place")
