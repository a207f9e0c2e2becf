"""What Compare opens with, before anything is chosen: its best answer, and all that can be asked."""

import streamlit as st

from app import session
from app.features.compare import gallery, live, results, stored
from app.features.compare.presets import PRESETS
from app.features.compare.settings import Compare
from app.ui import opening

FIRST = "believes"


def is_due() -> bool:
    """Whether nothing was chosen here, by a link or by hand, and nothing trained."""
    chosen = session.is_chosen(Compare) or session.focused()
    return opening.is_due() and not chosen and not session.is_compared(results.NAME)


def show() -> None:
    stored.show(FIRST, key="compare.opening")
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Train these flows here",
            type="primary",
            icon=":material/play_arrow:",
            on_click=_train,
            key="compare.train",
        )
        st.button("Choose your own", on_click=_own, icon=":material/tune:", key="compare.own")
    gallery.show()


def _train() -> None:
    live.train(PRESETS[FIRST])


def _own() -> None:
    session.choose(Compare)
    results.begin(session.setup(), session.bench(Compare))
