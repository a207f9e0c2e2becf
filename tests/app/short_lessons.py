"""Lessons that train no flow, acted out once for all tests."""

from functools import cache

from app.lessons.acted import Acted, act_out
from app.lessons.shelf import shelf


@cache
def acted(id: str) -> Acted:
    """A lesson acted out."""
    return act_out(shelf().lesson(id))
