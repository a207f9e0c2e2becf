"""Glossary: the words of the field, each with a place of its own in the page's address."""

import streamlit as st

from app.lessons.words import languages, wording
from app.ui import heading
from app.ui.glossary import entries
from app.ui.glossary.place import keep_place

asked = st.query_params.get("lang", "")
language = asked if asked in languages() else ""
say = wording(language).say
heading.title(say("glossary_title"))
with st.container(key="glossary", gap="small"):
    typed = st.text_input(
        say("glossary_filter"),
        placeholder=say("glossary_filter_help"),
        label_visibility="collapsed",
        key="glossary.filter",
        max_chars=100,
    )
    wanted = typed.strip().lower()
    shown = [entry for entry in entries(language) if any(wanted in form.lower() for form in entry.forms)]
    for entry in shown:
        st.header(entry.word, anchor=entry.slug)
        st.markdown(entry.text)
    keep_place()
    if not shown:
        st.info(say("glossary_none"))
