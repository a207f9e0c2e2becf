"""Lipschitz: what makes a flow invertible, what is certified of it, and what that costs."""

from dataclasses import replace

import streamlit as st

from app import session
from app.features.lipschitz import budgets, enforced, inverse, norms, weights
from app.features.lipschitz.settings import LIPSCHITZ, VIEWS, Lipschitz
from app.ui import controls, heading, notices

SHOW = {
    "inverse": inverse.show,
    "weights": weights.show,
    "enforced": enforced.show,
    "budgets": budgets.show,
    "norms": norms.show,
}

# The question of each view.
TITLES = {
    "inverse": "How far can a block be bent and still be undone?",
    "weights": "What happens if I change this weight?",
    "enforced": "Do the layers keep their bound, and how much of it is used?",
    "budgets": "What does a smaller budget cost?",
    "norms": "How large is a linear map, and in which norm?",
}

with st.container(horizontal=True, vertical_alignment="center", key="lipschitz.head"):
    heading.title(TITLES[session.view(Lipschitz)], width="content")
    view = controls.view(Lipschitz, VIEWS, LIPSCHITZ)
above = st.container()
session.apply_bench(replace(session.bench(Lipschitz), view=view))
with above:  # last, because the view is known only now
    # Two views show that a block is edited, and what is compared has none.
    bench = session.bench(Lipschitz)
    notices.show(edited=view == "enforced" or (view == "inverse" and bool(bench.weights)))
SHOW[view]()
