"""A page with a component alone, whose script is there once `window.loaded()` is called: its data change meanwhile.

It writes down in `window.shown` each of the data that it was called with, and in `window.cleaned` the clean-ups. "more"
gives it other data, and "away" takes it from the page.
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


def more() -> None:
    st.session_state.count += 1


count = st.session_state.setdefault("count", 1)
if not st.query_params.get("gone"):
    late(data=count, key="late")
st.text(f"count {count}")
st.button("more", on_click=more)
st.button("away", on_click=lambda: st.query_params.update(gone="1"))
