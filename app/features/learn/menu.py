"""The line above a step: which lesson, how far, and what one can do with it."""

import streamlit as st

from app import session
from app.features.learn import files
from app.features.learn.verdicts import standing
from app.lessons.lesson import Lesson, Step
from app.lessons.shelf import shelf
from app.lessons.words import wording
from app.ui import share


def head(lesson: Lesson, step: Step) -> None:
    """Draw it."""
    at, say = session.note(standing(lesson, step)), lesson.words.say
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="lesson_head"):
        st.title(f":gray[{say('lesson_number', number=at.lesson)}] &nbsp;{lesson.title}", anchor=False)
        st.checkbox(say("fold"), key="lesson_fold")  # seen where the lesson lies over the screen
        with st.popover("", icon=":material/more_horiz:", key="lesson_menu"):
            _menu(lesson, step)
    where = [say("step_of", step=at.step, steps=at.steps)]
    where += [say("minutes", minutes=step.minutes)] if step.minutes else []
    st.progress(at.step / at.steps, f":gray[{' · '.join(where)}]")


def _menu(lesson: Lesson, step: Step) -> None:
    say = lesson.words.say
    there = session.place()
    languages = shelf().languages(lesson.id)
    if len(languages) > 1:
        st.selectbox(
            say("choose_language"),
            languages,
            languages.index(there.language) if there.language in languages else 0,
            format_func=lambda language: wording(language).say("language"),
            key="lesson.language",
            on_change=_speak,
            filter_mode=None,
        )
    st.caption(say("link_to_step"))
    language = {"lang": there.language} if there.language else {}
    share.link_alone({"lesson": lesson.id, "step": step.id} | language, key="lesson_link")
    files.both("menu", lesson.words)
    st.button(
        say("again"),
        on_click=session.open_step,
        args=(lesson.id, step.id),
        kwargs={"anew": True},
        icon=":material/restart_alt:",
        help=say("again_help"),
        key="lesson.again",
        width="stretch",
    )
    st.button(
        say("leave"), on_click=session.leave_lesson, icon=":material/logout:", key="lesson.leave", width="stretch"
    )


def _speak() -> None:
    session.speak(session.typed("lesson.language"))
