"""The place on the page that the address names, kept in sight while the page is built."""

from app.components.component import component

_place = component("resflow_place", "glossary/place.js")


def keep_place() -> None:
    """Scroll to the heading that the end of the address names, until somebody scrolls. Call it once, on a page whose
    headings have anchors."""
    _place(key="resflow_place")
