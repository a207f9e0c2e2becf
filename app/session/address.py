"""The page's settings in the browser's address."""

import streamlit as st

from app.bench.settings import Bench
from app.link import query_of
from app.session.page import current


def changed_bench() -> Bench | None:
    """What a link says of the bench: nothing as long as it is as it comes."""
    return current().bench if current().bench != Bench() else None


def write_address() -> None:
    page = current()
    setup = page.link.setup if page.link.setup.changes else page.setup
    address = query_of(setup, page.link.csv, page.link.flow, changed_bench())
    if st.query_params.to_dict() != address:
        st.query_params.from_dict(address)
