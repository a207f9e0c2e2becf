"""What a learner has done: in the browser, and as a file to keep and to load again."""

import streamlit as st

from app import session
from app.components import browser
from app.lessons.progress import as_file, from_file
from app.lessons.words import Wording
from app.ui import uploads


def both(place: str, words: Wording) -> None:
    """Download and upload."""
    st.download_button(
        words.say("download"),
        as_file(session.all_progress()),
        "residual-flows-lessons.json",
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
