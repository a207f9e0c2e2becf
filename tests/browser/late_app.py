"""A page with a component alone, whose module a test puts in place of another one: its data change meanwhile.

"more" gives it other data, and "away" takes it from the page.
"""

import streamlit as st

from app.components.component import component

late = component("late", "share/share.js", html="<p>late</p>")


def more() -> None:
    st.session_state.count += 1


count = st.session_state.setdefault("count", 1)
if not st.query_params.get("gone"):
    late(data=count, key="late")
st.text(f"count {count}")
st.button("more", on_click=more)
st.button("away", on_click=lambda: st.query_params.update(gone="1"))
