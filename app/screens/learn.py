"""Learn: the lessons, and what was done in each."""

import streamlit as st

from app import notices, session
from app.learn import files
from app.lessons.shelf import shelf

st.header("What can be learned here?", anchor=False)
with st.container():
    notices.show()
for lesson in shelf().originals.values():
    st.button(lesson.title, on_click=session.open_step, args=(lesson.id,), key=f"open.{lesson.id}")
for problem in shelf().problems:
    st.error(problem)
files.both("learn")
