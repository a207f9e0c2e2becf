"""Activations: what derivative saturation does to a residual flow."""

from dataclasses import replace

import streamlit as st

from app import session
from app.features.activations import consequences, curves, inside
from app.features.activations.settings import ACTIVATIONS_BENCH, VIEWS, Activations
from app.ui import controls, heading, notices

SHOW = {"curves": curves.show, "inside": inside.show, "consequences": consequences.show}

with st.container(horizontal=True, vertical_alignment="center", key="activations.head"):
    heading.title("Why must an activation keep its curvature?", width="content")
    view = controls.view(Activations, VIEWS, ACTIVATIONS_BENCH)
with st.container():
    notices.show()
session.apply_bench(replace(session.bench(Activations), view=view))
SHOW[view]()
