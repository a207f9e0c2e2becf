"""Lipschitz: what makes a flow invertible, what is certified of it, and what that costs."""

from dataclasses import replace

import streamlit as st

from app import session
from app.features.lipschitz import budgets, enforced, inverse, norms
from app.features.lipschitz.settings import LIPSCHITZ, VIEWS, Lipschitz
from app.ui import controls, heading, notices

SHOW = {"inverse": inverse.show, "enforced": enforced.show, "budgets": budgets.show, "norms": norms.show}

heading.title("What makes a residual flow invertible, and what does it cost?")
above = st.container()
view = controls.view(Lipschitz, VIEWS, LIPSCHITZ)
session.apply_bench(replace(session.bench(Lipschitz), view=view))
with above:  # last, because the view is known only now
    # The inverse shows that a block is scaled, and what is compared has none.
    notices.show(scaled=view == "enforced")
SHOW[view]()
