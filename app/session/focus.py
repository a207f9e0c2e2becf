"""Which controls a page offers: all, or those that a teacher's link or a step of a lesson leaves. What is not offered
keeps its value, and is not drawn."""

from app.session.page import current


def focused() -> bool:
    """Whether some controls are hidden."""
    return current().offered is not None


def offered(*names: str) -> bool:
    """Whether the page offers the controls of all these settings, by their names in links. Who offers a choice offers
    what belongs to it."""
    chosen = current().offered
    return chosen is None or all(any(f"{name}.".startswith(f"{one}.") for one in chosen) for name in names)
