"""Learn: the lessons, how far somebody is in each, and what was done as a file."""

import streamlit as st

from app import session
from app.features.learn import files
from app.lessons.shelf import shelf
from app.lessons.words import wording
from app.ui import heading, notices
from app.ui.lesson_list import lessons
from app.ui.lesson_rows import rows

with st.container(key="learn"):
    spoken, offered = session.spoken(), shelf().spoken
    words = wording(spoken if spoken in offered else "")
    heading.title(words.say("list_title"))
    notices.show()
    st.markdown(words.say("list_about"))
    if len(offered) > 1:
        choice = session.holding("learn.language", words.language)
        st.selectbox(
            words.say("choose_language"),
            offered,
            offered.index(words.language),
            format_func=lambda language: wording(language).say("language"),
            key=choice,
            on_change=lambda: session.speak(session.typed(choice)),
            filter_mode=None,
            width=220,
        )
    lessons(rows("features/learn/learn.py", spoken), aims=True, words=words)
    for problem in shelf().problems:
        st.error(problem)
    heading.section(words.say("list_kept"))
    st.markdown(words.say("list_kept_about"))
    files.both("learn", words)
    files.keep("learn", words)
    st.page_link("features/teach/teach.py", label=words.say("for_teachers"), icon=":material/school:")
