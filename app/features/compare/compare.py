"""Compare: which flow fits better, and which one only believes so."""

import streamlit as st

from app import session
from app.features.compare import arrival, editor, gallery, results
from app.ui import heading, notices

heading.title("Which flow fits better, and which one only believes that it does?")
with st.container():
    notices.show()
if arrival.is_due():
    arrival.show()
else:
    session.apply_bench(editor.edit(session.setup()))
    results.show()
    gallery.show()
