"""Dimensions: where the exact log det is too dear, and what the estimate is worth there."""

from dataclasses import replace

import streamlit as st

from app import session
from app.features.dimensions import digits, scaling
from app.features.dimensions.settings import DIMENSIONS, VIEWS, Dimensions
from app.ui import controls, notices

SHOW = {"digits": digits.show, "scaling": scaling.show}

st.header("Why estimate at all?", anchor=False)
with st.container():
    notices.show()
view = controls.view(Dimensions, VIEWS, DIMENSIONS)
session.apply_bench(replace(session.bench(Dimensions), view=view))
SHOW[view]()
