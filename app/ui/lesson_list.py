"""The list of lessons on the home page, with how far somebody is in each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import streamlit as st

from app.ui import heading


@dataclass(frozen=True)
class Row:
    """A lesson in the list. `done` is the share of it that is done, in [0, 1]; `page` and `query` say where it is.
    Raises ValueError for another share."""

    number: int
    title: str
    level: str
    minutes: int
    done: float
    page: str
    query: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        if not 0 <= self.done <= 1:
            raise ValueError(f"Lesson {self.number} is done to {self.done}: give a share from 0 to 1.")

    @property
    def percent(self) -> int:
        """How much of it is done: 100 only if all is, and at least 1 if anything is."""
        return int(100 * self.done) if self.done in (0, 1) else min(99, max(1, round(100 * self.done)))


def said(row: Row) -> str:
    """A lesson's level, its minutes and how much of it is done."""
    words = [row.level, f"{row.minutes} min"]
    if row.percent:
        words.append("done" if row.percent == 100 else f"{row.percent} % done")
    return ", ".join(words)


def lessons(rows: Sequence[Row]) -> None:
    """A link for each lesson, with its level, its minutes and how much of it is done; nothing without rows."""
    if not rows:
        return
    minutes = sum(row.minutes for row in rows)
    heading.section(f"Lessons &nbsp;:gray[:small[{minutes} minutes in all]]")
    with st.container(key="lessons", gap=None):
        for row in rows:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.page_link(row.page, label=f"{row.number}\u2002{row.title}", query_params=row.query, width="stretch")
                st.markdown(f":gray[:small[{said(row)}]]", width="content")
                st.progress(row.done, said(row), width=96)
