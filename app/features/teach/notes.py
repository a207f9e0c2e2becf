"""What teachers read of a lesson: the usual wrong answers with what to say to them, and the notes of each step."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import streamlit as st

from app.features.teach.questions import answer, why_right, wrong
from app.features.teach.questions import notes as notes_of
from app.features.teach.waiting import when_made
from app.lessons.acted import Acted
from app.lessons.lesson import Explain, Lesson, Predict, Step
from app.ui import heading


def wrong_answers(lesson: Lesson) -> None:
    """Of each prediction what is right, and what to say to each answer that is not."""
    when_made(lesson, partial(_steps, lesson, _wrong_of))


def notes(lesson: Lesson) -> None:
    """Of each step what to ask, and what is wanted of the questions in words."""
    when_made(lesson, partial(_steps, lesson, _notes_of))


def _steps(lesson: Lesson, draw: Callable[[Acted, Step], None], found: "Future[Acted]") -> None:
    if not found.done():
        wait = "The numbers of this lesson are being computed. This takes up to a minute."
        st.info(wait, icon=":material/hourglass:")
        return
    try:
        for step in lesson.steps:
            draw(found.result(), step)
    except ValueError as error:
        st.error(f"The numbers of this lesson cannot be computed. {error}")


def _wrong_of(done: Acted, step: Step) -> None:
    asked = [block for block in step.blocks if isinstance(block, Predict)]
    if not asked:
        return
    _heading(done, step)
    for block in asked:
        st.markdown(done.read(step, block))
        with st.expander("The answer, and what to say to others", icon=":material/forum:"):
            st.markdown(f":green[:material/check:] **{answer(done, step, block)}**\n\n{why_right(done, step, block)}")
            for given, why in wrong(done, step, block):
                st.markdown(f":material/close: **{given}**\n\n{why}")


def _notes_of(done: Acted, step: Step) -> None:
    told, asked = notes_of(step), [block for block in step.blocks if isinstance(block, Explain)]
    if not told and not asked:
        return
    _heading(done, step)
    for block in asked:
        st.markdown(f":material/edit: {done.read(step, block)}")
    for note in told:
        with st.container(border=True):
            st.markdown(done.after(step, note.text))


def _heading(done: Acted, step: Step) -> None:
    heading.section(f"{done.lesson.steps.index(step) + 1}. {done.before(step, step.title)}")
