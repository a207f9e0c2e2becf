"""The lesson beside a screen: one step, its blocks as far as they may be seen, and the way to the next."""

import streamlit as st

from app import session
from app.features.learn import blocks, files, menu
from app.features.learn.verdicts import standing
from app.lessons import looking
from app.lessons.lesson import Lesson, Predict, Step, Teacher
from app.ui import heading
from app.ui.fragments import button, polled

TICK_SECONDS = 1.0


def panel(lesson: Lesson, step: Step) -> None:
    """Draw it. While something is still to be done or to be known, it looks at the page every second."""
    done, at = session.progress(), session.situation()
    looking.look(step, done, at)
    waits = any(looking.is_open(block, done, at) for block in looking.shown(step, done, False))
    polled(TICK_SECONDS if waits else None)(_panel)(lesson, step, waits)


def _panel(lesson: Lesson, step: Step, waited: bool) -> None:
    session.settle()
    done, at = session.progress(), session.situation()
    looking.look(step, done, at)
    teaches = menu.head(lesson, step)
    shown = looking.shown(step, done, teaches)
    words = blocks.Words(at)
    st.header(words(step.title), anchor=False)
    for block in shown:
        with st.container(key=f"lesson-{block.id}"):
            blocks.draw(block, words, done, at)
    ended = step is lesson.steps[-1] and not looking.is_asked(step, done)
    if ended:
        _end(lesson)
    _turn(lesson, step, ended)
    files.keep("panel")
    waits = any(looking.is_open(block, done, at) for block in shown if not isinstance(block, Teacher))
    if waits != waited or looking.shown(step, done, teaches) != shown:
        st.rerun()  # with another rhythm, or with what waited for a check


def way_back(lesson: Lesson, step: Step) -> None:
    """On another screen, while a lesson is open: where it stands, and the way back to it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="lesson_away"):
        at = session.note(standing(lesson, step))
        st.caption(f"Lesson {at.lesson}, {lesson.title}: step {at.step} of {at.steps}", width="content")
        button("Back to the lesson", on_click=session.go_back, icon=":material/arrow_back:", type="tertiary")


def covered(step: Step) -> bool:
    """Whether a prediction is to be made before the screen, which shows the truth, is seen."""
    last = looking.shown(step, session.progress(), False)[-1:]
    return any(
        isinstance(block, Predict) and block.cover and block.id not in session.progress().answers for block in last
    )


def cover() -> None:
    """What stands in the place of the screen."""
    st.info(
        "The screen would show the answer. You see it as soon as you commit your prediction.",
        icon=":material/visibility_off:",
    )


def _end(lesson: Lesson) -> None:
    heading.section("What to keep")
    st.markdown("\n".join(f"- {point}" for point in lesson.key_points))


def _turn(lesson: Lesson, step: Step, ended: bool) -> None:
    """Back and on."""
    index = lesson.steps.index(step)
    turns = (("Back", index - 1, "arrow_back", "back"), ("Next", index + 1, "arrow_forward", "next"))
    with st.container(horizontal=True, horizontal_alignment="distribute", key="lesson_turn"):
        for label, to, icon, key in turns:
            there = 0 <= to < len(lesson.steps)
            button(
                label,
                on_click=session.open_step,
                args=(lesson.id, lesson.steps[to].id if there else ""),
                icon=f":material/{icon}:",
                disabled=not there,
                key=f"lesson.{key}",
            )
        if index + 1 == len(lesson.steps):
            button(
                "All lessons", on_click=session.leave_lesson, key="lesson.end", type="primary" if ended else "secondary"
            )
