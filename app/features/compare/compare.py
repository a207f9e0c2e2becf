"""Compare: which flow fits better, and which one only believes so."""

from dataclasses import replace

import streamlit as st

from app import session
from app.features.compare import editor, results
from app.features.compare.settings import COMPARE, PICTURES, Compare
from app.ui import controls, heading, notices

heading.title("Which flow fits better, and which one only believes so?")
with st.container():
    notices.show()
session.apply_bench(editor.edit(session.setup()))
view = controls.view(Compare, PICTURES, COMPARE)
session.apply_bench(replace(session.bench(Compare), view=view))
results.show()
