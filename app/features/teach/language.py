"""In which language a teacher takes a lesson."""

import streamlit as st

from app.lessons.lesson import Lesson
from app.lessons.shelf import shelf
from app.lessons.words import wording


def in_language(lesson: Lesson, of: str) -> Lesson:
    """The lesson in the language that is chosen, where it is there in several; `of` tells several choices of a page
    apart."""
    there = shelf().languages(lesson.id)
    if len(there) < 2:
        return lesson
    chosen = st.segmented_control(
        "Language",
        there,
        default=there[0],
        required=True,
        format_func=lambda language: wording(language).say("language"),
        key=f"teach.language.{of}.{lesson.id}",
    )
    return shelf().lesson(lesson.id, chosen) or lesson
