"""Estimator: what an unbiased log-density costs, by hand, across settings and on the plane."""

import streamlit as st

from app import notices, session
from app.bench import VIEWS
from app.estimator import by_hand
from app.link import BENCH

SHOW = {"by_hand": by_hand.show}

st.header("What does an unbiased log-density cost?", anchor=False)
with st.container():
    notices.show()

bench = session.bench()
view = st.segmented_control(
    "View",
    list(VIEWS),
    default=bench.view,
    format_func=lambda name: VIEWS[name].title,
    key=f"{BENCH}view",
    label_visibility="collapsed",
    required=True,
)
SHOW["by_hand"](bench)
