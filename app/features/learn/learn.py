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
        "Each lesson uses a screen of this explorer. You predict, you try it on the screen, and then you see the truth "
        "and why. Take the lessons in order, or start with any of them."
    )
    lessons(rows("features/learn/learn.py"), aims=True)
    for problem in shelf().problems:
        st.error(problem)
    heading.section("What you did")
    st.markdown(
        "This browser keeps your predictions, answers and explanations. To use another browser, take them as a file."
    )
    files.both("learn")
    files.keep("learn")
    st.page_link("features/teach/teach.py", label="For teachers", icon=":material/school:")
