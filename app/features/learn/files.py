"""What a learner has done: in the browser, and as a file to keep and to load again."""

from datetime import UTC, datetime

import streamlit as st

from app import session
from app.components import browser
from app.lessons.progress import MOST_OF_A_PERSON, as_file, file_name, from_file
from app.lessons.words import Wording
from app.ui import uploads


def both(place: str, words: Wording) -> None:
    """Download and upload, and a name for the file."""
    name = session.all_progress().name
    widget = session.holding(f"progress.{place}.name", name)
    st.text_input(
        words.say("name_in_file"), name, key=widget, max_chars=MOST_OF_A_PERSON, help=words.say("name_in_file_help"),
        on_change=session.name_progress, args=(widget,),
    )  # fmt: skip
    saved = session.progress_to_save(datetime.now(UTC))
    st.download_button(
        words.say("download"),
        as_file(saved),
        file_name(saved),
        "application/json",
        on_click="ignore",
        icon=":material/download:",
        help=words.say("download_help"),
        key=f"progress.{place}.download",
        width="stretch",
    )

    def load(name: str, data: bytes) -> None:
        session.add_progress(from_file(data))

    uploads.progress(words.say("upload"), f"progress.{place}.upload", load)


def keep(place: str, words: Wording) -> None:
    """Let the browser keep it, and say where it cannot."""
    browser.keep(session.to_store(), key=f"progress.{place}.kept")
    if not session.keeps() and session.to_store():
        st.caption(f":material/warning: {words.say('keeps_nothing')}")
