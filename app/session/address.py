"""The page's settings in the browser's address."""

import streamlit as st

from app.link import query_of
from app.session.page import current


def write_address() -> None:
    page = current()
    setup = page.link.setup if page.link.setup.changes else page.setup
    address = query_of(setup, page.link.csv, page.link.flow, page.benches.values())
    if st.query_params.to_dict() != address:
        st.query_params.from_dict(address)
