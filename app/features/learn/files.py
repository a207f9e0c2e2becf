"""What a learner has done: in the browser, and as a file to keep and to load again."""

import streamlit as st

from app import session
from app.components import browser
from app.lessons.progress import as_file, from_file
from app.ui import uploads


def both(place: str) -> None:
    """Download and upload."""
    st.download_button(
        "Download what I did",
        as_file(session.all_progress()),
        "residual-flows-lessons.json",
        "application/json",
        on_click="ignore",
        icon=":material/download:",
        help="Predictions, answers and explanations of all lessons. Load the file to go on another day.",
        key=f"progress.{place}.download",
        width="stretch",
    )

    def load(name: str, data: bytes) -> None:
        session.add_progress(from_file(data))

    uploads.progress("Load what I did", f"progress.{place}.upload", load)


def keep(place: str) -> None:
    """Let the browser keep it, and say where it cannot."""
    browser.keep(session.to_store(), key=f"progress.{place}.kept")
    if not session.keeps() and session.to_store():
        st.caption(":material/warning: This browser keeps nothing of what you do here. Download it before you leave.")
