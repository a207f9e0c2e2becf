"""For teachers: of each lesson a plan, what to say to wrong answers, notes, papers, slides and a link for the class."""

import streamlit as st

from app.features.teach import demonstration, notes, one, opening, plans
from app.lessons.lesson import Lesson
from app.lessons.shelf import shelf
from app.text import plain
from app.ui import heading

SECTIONS = {
    "Plan": plans.show,
    "Wrong answers": notes.wrong_answers,
    "Notes": notes.notes,
    "Papers and slides": one.papers,
    "For a class": one.for_class,
}


def _open(lesson_id: str) -> None:
    """Go to the page of a lesson, or to the list. By the address: a link from a page to itself would lose it."""
    st.query_params.from_dict({"lesson": lesson_id} if lesson_id else {})


def _all() -> None:
    heading.title("How can these lessons be taught?")
    opening.of_any()
    st.markdown(
        "Each lesson has a page here. It has plans for 15, 45 and 90 minutes, the usual wrong answers with replies to "
        "them, notes, papers to print, slides, and a link for your class. All of it is made from the file of the "
        "lesson, and every number is computed."
    )
    st.markdown(
        ":gray[The answers are here and not in the lessons, so students predict before they can read them. No lesson "
        "has a link to this page.]"
    )
    heading.section("Lessons")
    with st.container(key="teach_lessons", gap=None):
        for lesson in shelf().originals.values():
            st.button(
                f"{lesson.number}\u2002{lesson.title} &nbsp;:gray[:small[{lesson.level}, {lesson.minutes} min]]",
                on_click=_open,
                args=(lesson.id,),
                type="tertiary",
                key=f"teach.{lesson.id}",
            )
    demonstration.show()


def _one(lesson: Lesson) -> None:
    heading.title(f"Teach lesson {lesson.number}: {lesson.title}")
    st.button("All lessons", on_click=_open, args=("",), icon=":material/arrow_back:", type="tertiary", key="teach.all")
    opening.of(lesson)
    tabs = st.tabs(list(SECTIONS), on_change="rerun", key=f"teach.section.{lesson.id}")
    for tab, draw in zip(tabs, SECTIONS.values(), strict=True):
        if tab.open:
            with tab:
                draw(lesson)


with st.container(key="teach"):
    asked = st.query_params.get("lesson", "")
    found = shelf().lesson(asked)
    if asked and found is None:
        st.warning(f"There is no lesson `{plain(asked)}`. Choose one from the list.", icon=":material/search_off:")
    if found:
        _one(found)
    else:
        _all()
