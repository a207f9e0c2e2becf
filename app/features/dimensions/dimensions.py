"""Dimensions: where the exact log det is too dear, what the estimate is worth there, and what its gradient costs."""

from dataclasses import replace

import streamlit as st

from app import session
from app.features.dimensions import arrival, digits, scaling
from app.features.dimensions.memory import memory
from app.features.dimensions.settings import DIMENSIONS, VIEWS, Dimensions
from app.ui import controls, heading, notices

SHOW = {"digits": digits.show, "scaling": scaling.show, "memory": memory.show}

opens = arrival.is_due()
with st.container(horizontal=True, vertical_alignment="center", key="head"):
    heading.title("What does the log det cost beyond two dimensions?", width="content")
    if not opens:
        view = controls.view(Dimensions, VIEWS, DIMENSIONS)
with st.container():
    notices.show()
if opens:
    arrival.show()
    view = controls.view(Dimensions, VIEWS, DIMENSIONS)
session.apply_bench(replace(session.bench(Dimensions), view=view))
if opens:
    digits.show(primary=False)
else:
    SHOW[view]()
