"""What a page has to say: of its link what was refused, what ended and which files are missing; and the way back to
the flow before."""

import streamlit as st

from app import session
from app.session.page import Past
from app.text import escaped, quoted
from app.ui import uploads
from resflow_core.measure import Edited

MOST_REFUSALS = 5


def show(edited: bool = True) -> None:
    """All of it; that a block is edited not where that is in sight anyway."""
    session.drop_misfits()
    if session.past():
        _undo(session.past())
    elif session.setup().start and not session.focused():
        _began_trained()
    if session.fixed() is not None:
        _fixed(bool(session.fixed()))
    if edited and (block := session.edited()):
        _edited(block)
    refused = session.refused()
    if refused:
        more = len(refused) - MOST_REFUSALS
        rest = f" And {more} more." if more > 0 else ""
        st.warning(
            f"Parts of the link could not be used. {' '.join(refused[:MOST_REFUSALS])}{rest}",
            icon=":material/link_off:",
        )
    if session.notice():
        st.info(session.notice(), icon=":material/info:")
    csv, flow = session.needed()
    if csv:
        _ask(csv.name, csv.digest, f"Until then you see {escaped(session.setup().dataset.title)}.")
        uploads.csv(f"The file {quoted(csv.name)}", "needed_csv", session.give_csv, "collapsed")
    if flow:
        _ask(flow.name, flow.digest, "Until then you see a new flow.")
        uploads.flow(f"The file {quoted(flow.name)}", "needed_flow", session.give_flow, "collapsed")


def _edited(edited: Edited) -> None:
    """What of a flow is changed on the Lipschitz bench is so on all screens, until it is brought back."""
    with st.container(horizontal=True, vertical_alignment="center", key="edited"):
        st.info(
            f"Block {edited.block + 1} {_told(edited)} on the screen *Can it be undone?* Pictures, mass and samples "
            "are those of the changed flow. Training goes on with the unchanged one.",
            icon=":material/build:",
        )
        if session.editing_is_offered():
            st.button("Bring it back", on_click=session.bring_back, icon=":material/undo:", key="bring_back")


def _told(edited: Edited) -> str:
    """What was done to a block, as words that follow its name."""
    count = len(edited.changes)
    changed = f"has {count} changed weight{'s' * (count > 1)}" if count else ""
    scaled = f"is scaled by {edited.scale:g}" if edited.scale != 1 else ""
    return " and ".join(filter(None, (scaled, changed)))


def fixed_told(some_left: bool) -> str:
    """What a page says that was opened by a link for a class."""
    return f"Your teacher has fixed the {'other ' * some_left}settings."


def _fixed(some_left: bool) -> None:
    """That a teacher's link hides controls, and the way to them, so that nobody is locked in."""
    with st.container(horizontal=True, vertical_alignment="center", key="fixed"):
        st.caption(fixed_told(some_left), width="content")
        st.button(
            "Show all controls", on_click=session.show_all, icon=":material/tune:", type="tertiary", key="show_all"
        )


def _undo(past: Past) -> None:
    if past.steps:
        had = f"Before, you had a flow of {past.steps:,} step{'s' * (past.steps > 1)}"
        had += "." if past.whole else "; only its settings are kept."
    else:
        had = f"Before, you had the flow {quoted(past.setup.start.file.name)}."
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="right", key="past"):
        st.caption(had, width="content")
        st.button(
            "Undo",
            on_click=session.undo,
            icon=":material/undo:",
            type="tertiary",
            help="Brings back that flow, its data and its settings. The flow that you see now is lost.",
            key="undo",
        )


def _began_trained() -> None:
    """That the flow is a saved one, and the way to one that trains from the beginning."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="right", key="past"):
        st.caption("This flow was trained before.", width="content")
        st.button(
            "Begin untrained",
            on_click=session.begin_untrained,
            icon=":material/restart_alt:",
            type="tertiary",
            help="The same settings with new weights, which you train from step 0.",
            key="begin_untrained",
        )


def _ask(name: str, digest: str, meanwhile: str) -> None:
    st.warning(f"This link needs {quoted(name)} ({digest}). Upload it here. {meanwhile}", icon=":material/upload_file:")
