"""The papers and slides of a lesson, and its link for a class."""

import streamlit as st

from app.features.teach import merging
from app.features.teach.addresses import here, site
from app.features.teach.language import in_language
from app.features.teach.papers import SLIDES, TITLES
from app.lessons.lesson import Lesson
from app.lessons.words import wording
from app.ui import share

ABOUT = {
    "handout": "All texts, the questions with their answers, and what to keep. Give it out at the end.",
    "exercises": "The questions, with room to answer. It contains no answers.",
    "solutions": "The answers, what to say to wrong ones, and the notes for teachers.",
    SLIDES: "One slide for each step, with the live step beside its questions. Answers are folded away. Page Down and "
    "a clicker turn the slides.",
}


def papers(lesson: Lesson) -> None:
    """Each to open and print, and as a file."""
    opened, lesson = here(st.context.url or ""), in_language(lesson, "papers")
    for name, title in TITLES.items():
        with st.container(border=True, key=f"paper-{name}"):
            st.markdown(f"**{wording().say(title)}**\n\n{ABOUT[name]}")
            with st.container(horizontal=True, gap="small"):
                st.link_button("Open", opened.paper(lesson, name), icon=":material/open_in_new:", key=f"open-{name}")
                st.link_button(
                    "Download", opened.paper(lesson, name, True), icon=":material/download:", key=f"download-{name}"
                )
    st.caption(
        "Open a paper and print it with your browser (Ctrl+P). The first time a paper takes up to a minute, because "
        "the app works through the lesson to compute its numbers. A downloaded file of slides still needs this app. "
        "Allow the site that shows it, as *Share*, *Embed* explains. Slides that you open here work at once."
    )


def for_class(lesson: Lesson) -> None:
    """A short link and its code, to the lesson or to a step of it."""
    st.markdown(
        "Give this link to your class. In a lesson every setting is closed except what the step is about. "
        "The link is short enough for a board: it counts the lesson and its step, as 5.2. It stays the same when the "
        "app is started anew."
    )
    lesson = in_language(lesson, "class")
    begin = "The lesson from its beginning"
    titles = {begin: None} | {f"Step {number}: {step.title}": step for number, step in enumerate(lesson.steps, 1)}
    chosen = st.selectbox("Opens", list(titles), key=f"teach.opens.{lesson.id}", filter_mode=None)
    step = titles[chosen]
    at = site(st.context.url or "")
    if step:
        st.markdown(share.closes(step.controls))
    share.for_others(at.board(lesson, step), at.shared, key=f"teach.link.{lesson.id}")
    merging.show(lesson)
    st.markdown(
        "To share another screen, open it and choose its settings. Then choose *Share*, *For a class*, and there the "
        "controls that stay."
    )
