"""The files of a class: what its students answered, counted."""

from itertools import groupby

import streamlit as st

from app.classroom.merge import MOST_FILES, Merged, as_csv, merged
from app.lessons.lesson import Lesson
from app.lessons.progress import MOST_BYTES
from app.lessons.shelf import shelf
from app.text import escaped, plain

LONGEST = 200
"""Characters of a text that somebody's file holds."""
RIGHT = {True: "✓", False: "", None: ""}


@st.fragment
def show(lesson: Lesson) -> None:
    """Take the files that students have sent, and say how many gave which answer."""
    st.markdown(
        "**Files of your class.** Your students can also send you their files: *Download what I did*, in the menu of "
        "each lesson. Give all of them here at once. Nothing of them is kept when you leave this page."
    )
    uploads = st.file_uploader(
        f"Files of your students (up to {MOST_FILES})",
        ["json"],
        accept_multiple_files=True,
        max_upload_size=MOST_BYTES // 2**20,
        key=f"teach.files.{lesson.id}",
    )
    if not uploads:
        return
    lessons = {name: shelf().lesson(name, lesson.language) or one for name, one in shelf().originals.items()}
    found = merged(((upload.name, upload.getvalue()) for upload in uploads), lessons)
    st.markdown(f"**{len(found.sheets)} of {len(uploads)} files count.**")
    if found.left_out:
        st.warning("Left out:\n\n" + "\n".join(f"- `{plain(one.file)}`: {one.reason}" for one in found.left_out))
    if found.sheets:
        _counts(found, lesson)


def _counts(found: Merged, lesson: Lesson) -> None:
    here = [row for row in found.rows if row.lesson == lesson.id]
    if not here:
        st.markdown("None of these files has an answer to this lesson.")
    for question, rows in groupby(here, key=lambda row: row.question):
        answers = list(rows)
        st.markdown(f"**{_shown(question, answers[0].known)}**")
        st.table(
            {
                "Answer": [_shown(row.answer, row.known) for row in answers],
                "People": [row.people for row in answers],
                "Right": [RIGHT[row.right] for row in answers],
            },
            border="horizontal",
            hide_index=True,
        )
    st.download_button(
        "Save the counts of all lessons (CSV)",
        as_csv(found),
        "answers-of-the-class.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        key=f"teach.counts.save.{lesson.id}",
    )
    with st.expander(f"Who has sent a file ({len(found.sheets)})"):
        st.table(
            {
                "File": [escaped(one.file, LONGEST) for one in found.sheets],
                "Name": [escaped(one.name, LONGEST) if one.name else "" for one in found.sheets],
                "Saved (UTC)": [
                    escaped(one.saved.replace("T", " ").rstrip("Z")) if one.saved else "" for one in found.sheets
                ],
                "Answers": [one.answers for one in found.sheets],
            },
            border="horizontal",
            hide_index=True,
        )


def _shown(text: str, known: bool) -> str:
    """Of a lesson, with its formulas; of somebody's file, as it reads."""
    return text if known else escaped(text, LONGEST)
