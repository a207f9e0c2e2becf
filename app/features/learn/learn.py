"""Learn: the lessons, how far somebody is in each, and what was done as a file."""

import streamlit as st

from app.features.learn import files
from app.lessons.shelf import shelf
from app.ui import heading, notices
from app.ui.lesson_list import lessons
from app.ui.lesson_rows import rows

with st.container(key="learn"):
    heading.title("What can be learned here?")
    notices.show()
    st.markdown(
        "Each lesson lies over a screen of the explorer: you predict, you try it there, and you are told the truth. "
        "Take them in order, or begin with any."
    )
    lessons(rows("features/learn/learn.py"))
    with st.expander("What each is for"):
        for lesson in shelf().originals.values():
            aims = "\n".join(f"- {aim}" for aim in lesson.objectives)
            st.markdown(f"**{lesson.number} {lesson.title}**\n\n{aims}")
    for problem in shelf().problems:
        st.error(problem)
    heading.section("What you did")
    st.markdown("Predictions, answers and explanations stay in this browser. Take them to another one as a file.")
    files.both("learn")
    files.keep("learn")
