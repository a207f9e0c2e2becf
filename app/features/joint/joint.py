"""Joint: a density and a classifier in one flow, and what each costs the other."""

from dataclasses import replace

import streamlit as st

from app import session
from app.features.joint import arrival, labels, one, paper
from app.features.joint.settings import JOINT, VIEWS, Joint
from app.ui import controls, heading, notices

SHOWN = {"one": one, "paper": paper}

opens = arrival.is_due()
with st.container(horizontal=True, vertical_alignment="center", key="head"):
    heading.title("Can one flow generate and classify?", width="content")
    view = session.bench(Joint).view if opens else controls.view(Joint, VIEWS, JOINT)
with st.container():
    notices.show()
session.apply_bench(replace(session.bench(Joint), view=view))
if opens:
    arrival.show()
elif labels.ready(session.setup()):
    SHOWN[view].show()
