"""The line above a step: which lesson, how far, and what one can do with it."""

import streamlit as st

from app import session
from app.features.learn import files
from app.features.learn.verdicts import standing
from app.lessons.lesson import Lesson, Step
from app.lessons.shelf import shelf
from app.ui import share
from app.ui.fragments import button

LANGUAGES = {"en": "English", "de": "Deutsch", "fr": "Français", "es": "Español", "it": "Italiano"}


def head(lesson: Lesson, step: Step) -> None:
    """Draw it."""
    at = session.note(standing(lesson, step))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="lesson_head"):
        st.title(f":gray[Lesson {at.lesson}] &nbsp;{lesson.title}", anchor=False)
        with st.popover("", icon=":material/more_horiz:", key="lesson_menu"):
            _menu(lesson, step)
    st.progress(at.step / at.steps, f":gray[Step {at.step} of {at.steps}]")


def _menu(lesson: Lesson, step: Step) -> None:
    there = session.place()
    languages = shelf().languages(lesson.id)
    if len(languages) > 1:
        st.selectbox(
            "Language",
            languages,
            languages.index(there.language) if there.language in languages else 0,
            format_func=lambda language: LANGUAGES.get(language, language),
            key="lesson.language",
            on_change=_speak,
            filter_mode=None,
        )
    st.caption("A link to this step:")
    language = {"lang": there.language} if there.language else {}
    share.link_alone({"lesson": lesson.id, "step": step.id} | language, key="lesson_link")
    files.both("menu")
    button(
        "Set the step up again",
        on_click=session.open_step,
        args=(lesson.id, step.id),
        kwargs={"anew": True},
        icon=":material/restart_alt:",
        help="Its settings as they were when you came, and an untrained flow. Your answers stay.",
        key="lesson.again",
        width="stretch",
    )
    button(
        "Leave the lesson", on_click=session.leave_lesson, icon=":material/logout:", key="lesson.leave", width="stretch"
    )


def _speak() -> None:
    session.speak(session.typed("lesson.language"))
