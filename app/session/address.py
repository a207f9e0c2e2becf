"""The page's settings in the browser's address."""

from collections.abc import Iterable

import streamlit as st

from app.link import query_of
from app.session.page import current


def query(controls: Iterable[str] | None) -> dict[str, str]:
    """What opens the page with its settings as they stand, and these controls (None: all)."""
    page = current()
    setup = page.link.setup if page.link.setup.changes else page.setup
    return query_of(setup, page.link.csv, page.link.flow, page.benches.values(), controls)


def write_address() -> None:
    address = query(current().link.controls)
    if st.query_params.to_dict() != address:
        st.query_params.from_dict(address)
