"""What this screen opens with, before anything is chosen: its answer, and what can be trained here."""

import streamlit as st

from app import session
from app.features.joint import one, paper, stored
from app.features.joint.evidence import FAR_SETUP
from app.features.joint.settings import Joint
from app.ui import opening


def is_due() -> bool:
    """Whether nothing was chosen here, by a link or by hand, and nothing trained."""
    trained = session.is_compared(one.NAME) or session.is_compared(paper.NAME)
    return opening.is_due() and not (session.is_chosen(Joint) or session.focused() or trained)


def show() -> None:
    stored.show_far("joint.opening")
    st.caption("On the noisy moons, because their two classes overlap and most of the plane is far from both.")
    with st.container(horizontal=True, gap="small"):
        st.button("Train both here", type="primary", icon=":material/play_arrow:", on_click=_train, key="joint.train")
        st.button("Use your own data and flow", on_click=_own, icon=":material/tune:", key="joint.own")
    stored.show_depth()


def _own() -> None:
    session.choose(Joint)


def _train() -> None:
    session.use(FAR_SETUP.data, FAR_SETUP.flow, FAR_SETUP.train)
    _own()
    one.play_soon()
