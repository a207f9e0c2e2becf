"""What a page has to say about its link: what was refused, what ended, and which files it still needs."""

import streamlit as st

from app import session, uploads
from app.text import plain

MOST_REFUSALS = 5


def show() -> None:
    refused = session.refused()
    if refused:
        more = len(refused) - MOST_REFUSALS
        rest = f" And {more} more." if more > 0 else ""
        st.warning(
            f"The link could not be followed in all: {' '.join(refused[:MOST_REFUSALS])}{rest}",
            icon=":material/link_off:",
        )
    if session.notice():
        st.info(session.notice(), icon=":material/info:")
    csv, flow = session.needed()
    if csv:
        title = session.setup().dataset.title
        _ask(csv.name, csv.digest, f"Until then you see {title}.")
        uploads.csv(f"The file {plain(csv.name)}", "needed_csv", session.give_csv, "collapsed")
    if flow:
        _ask(flow.name, flow.digest, "Until then you see a new flow.")
        uploads.flow(f"The file {plain(flow.name)}", "needed_flow", session.give_flow, "collapsed")


def _ask(name: str, digest: str, meanwhile: str) -> None:
    st.warning(
        f"This link needs `{plain(name)}` ({digest}). Upload it here. {meanwhile}", icon=":material/upload_file:"
    )
