"""The list of lessons on the home page, with how far somebody is in each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import streamlit as st

from app.lessons.words import Wording, wording
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
    aims: Sequence[str] = ()  # what one can do after it
    words: Wording = field(default_factory=wording)
    left: Sequence[str] = ()  # the titles of the steps in which something is still to be done, once it is begun

    def __post_init__(self):
        if not 0 <= self.done <= 1:
            raise ValueError(f"Lesson {self.number} is done to {self.done}: give a share from 0 to 1.")

    @property
    def percent(self) -> int:
        """How much of it is done: 100 only if all is, and at least 1 if anything is."""
        return int(100 * self.done) if self.done in (0, 1) else min(99, max(1, round(100 * self.done)))


def said(row: Row) -> str:
    """For whom a lesson is, how long it takes, and whether it is begun or done."""
    say = row.words.say
    words = [say("of_level", level=row.level), say("minutes", minutes=row.minutes)]
    if row.percent:
        words.append(say("list_done" if row.percent == 100 else "list_begun"))
    return ", ".join(words)


def still_open(row: Row) -> str:
    """What is to be done yet in a lesson that is begun, by its steps; "" for another."""
    if not row.percent or row.percent == 100 or not row.left:
        return ""
    return row.words.say("list_open", titles=", ".join(f"*{title}*" for title in row.left))


def lessons(rows: Sequence[Row], *, aims: bool = False, words: Wording | None = None) -> None:
    """A link for each lesson: for whom it is, how long it takes, what is done of it and what is still open; with its
    `aims`, if they are wanted. Nothing without rows."""
    if not rows:
        return
    say = (words or wording()).say
    minutes = say("minutes_in_all", minutes=sum(row.minutes for row in rows))
    heading.section(f"{say('lessons')} &nbsp;:gray[:small[{minutes}]]")
    with st.container(key="lessons", gap=None):
        for row in rows:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.page_link(row.page, label=f"{row.number}\u2002{row.title}", query_params=row.query, width="stretch")
                st.markdown(f":gray[:small[{said(row)}]]", width="content")
                st.progress(row.done, said(row), width=96)
            if aims and row.aims:
                st.markdown("\n".join(f"- :gray[{aim}]" for aim in row.aims))
            if left := still_open(row):
                st.markdown(f":gray[:small[{left}]]", width="stretch")
