"""Open a room for a class: of a lesson, in one of its languages."""

import streamlit as st

from app.features.teach.addresses import here
from app.features.teach.language import in_language
from app.lessons.lesson import Lesson
from app.lessons.shelf import shelf

ABOUT = (
    "Your class answers together, on phones or in the lesson. You put a question on the wall and show the answers. The "
    "class talks and votes again, and you reveal the truth. All draws come together in one chart. Nobody needs a name. "
    "To rehearse alone, open the room, and then its address in another tab."
)


def of_any() -> None:
    """With the choice of a lesson."""
    with st.container(border=True, key="teach_room"):
        st.markdown(f"**A room for your class.** {ABOUT}")
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            lessons = shelf().originals
            chosen = st.selectbox(
                "Lesson",
                list(lessons),
                format_func=lambda name: f"{lessons[name].number}\u2002{lessons[name].title}",
                key="teach.room.lesson",
                filter_mode=None,
            )
            if chosen:
                _open(lessons[chosen])


def of(lesson: Lesson) -> None:
    """Of this lesson."""
    with st.container(border=True, key="teach_room"):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            _open(lesson)
        st.caption(ABOUT)


def _open(lesson: Lesson) -> None:
    lesson = in_language(lesson, "room")
    address = here(st.context.url or "").room(lesson)
    st.link_button("Open a room", address, icon=":material/groups:", type="primary", key=f"teach.room.{lesson.id}")
