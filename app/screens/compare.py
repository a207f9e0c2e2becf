"""Compare: which flow fits better, and which one only believes so."""

from dataclasses import replace

import streamlit as st

from app import controls, notices, session
from app.compare import editor, results
from app.compare.settings import PICTURES, Compare
from app.link import COMPARE

st.header("Which flow fits better, and which one only believes so?", anchor=False)
with st.container():
    notices.show()
session.apply_bench(editor.edit(session.setup()))
view = controls.view(Compare, PICTURES, COMPARE)
session.apply_bench(replace(session.bench(Compare), view=view))
results.show()
