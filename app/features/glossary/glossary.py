"""Glossary: the words of the field, each with a place of its own in the page's address."""

import streamlit as st

from app.ui import heading
from app.ui.glossary import entries
from app.ui.glossary.place import keep_place

heading.title("What do the words mean?")
with st.container(key="glossary", gap="small"):
    typed = st.text_input(
        "Filter", placeholder="Filter the words", label_visibility="collapsed", key="glossary.filter", max_chars=100
    )
    wanted = typed.strip().lower()
    shown = [entry for entry in entries() if any(wanted in form.lower() for form in entry.forms)]
    for entry in shown:
        st.header(entry.word, anchor=entry.slug)
        st.markdown(entry.text)
    keep_place()
    if not shown:
        st.info("No word has these letters in it. Try fewer of them.")
