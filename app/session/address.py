"""The page's settings in the browser's address."""

from collections.abc import Iterable

import streamlit as st

from app.link import query_of
from app.session.page import current

PLACE = ("lesson", "step", "lang")
"""What a link calls a place in a lesson."""


def query(controls: Iterable[str] | None) -> dict[str, str]:
    """What opens the page with its settings as they stand, and these controls (None: all)."""
    page = current()
    setup = page.link.setup if page.link.setup.changes else page.setup
    address = query_of(setup, page.link.csv, page.link.flow, page.benches.values(), controls, made_by())
    if page.lesson:
        place = zip(PLACE, (page.lesson.lesson, page.lesson.step, page.lesson.language), strict=True)
        address |= {name: value for name, value in place if value}
    return address


def made_by() -> str:
    """What the digits of the link's run depend on, as long as the page shows that run; "" where it does not say."""
    page = current()
    return page.link.made_by if page.setup.same_run(page.link.setup) else ""


def write_address() -> None:
    address = query(current().link.controls)
    if st.query_params.to_dict() != address:
        st.query_params.from_dict(address)
