"""Joint: a density and a classifier in one flow, and what each costs the other."""

from dataclasses import replace

import streamlit as st

from app import session
from app.features.joint import labels, one, paper
from app.features.joint.settings import JOINT, VIEWS, Joint
from app.ui import controls, heading, notices

SHOWN = {"one": one, "paper": paper}

heading.title("Can one flow generate and classify?")
with st.container():
    notices.show()
view = controls.view(Joint, VIEWS, JOINT)
session.apply_bench(SHOWN[view].edit(replace(session.bench(Joint), view=view)))
if labels.ready(session.setup()):
    SHOWN[view].show()
