"""A page with a component alone, whose script is there once `window.loaded()` is called: its data change meanwhile.

It writes down in `window.shown` each of the data that it was called with, and in `window.cleaned` the clean-ups.
"""

import streamlit as st

from app.components.component import component

SCRIPT = """
await new Promise((loaded) => { window.loaded = loaded; });
export default ({ data }) => {
  (window.shown ??= []).push(data);
  return () => (window.cleaned ??= []).push(data);
};
"""
late = component("late", html="<p>late</p>", js=SCRIPT)


@st.fragment(run_every=0.3)
def given() -> None:
    count = st.session_state["count"] = min(st.session_state.get("count", 0) + 1, 4)
    st.text(f"count {count}")
    if not st.query_params.get("gone"):
        late(data=count, key="late")


given()
st.button("away", on_click=lambda: st.query_params.update(gone="1"))
