"""The page's run, its settings and its place in a lesson, in the browser's address."""

from collections.abc import Iterable
from dataclasses import replace

import streamlit as st

from app.components.browser import ENTRY
from app.link import query_of
from app.session.page import Entry, current
from app.session.plan import shareable
from app.setup import Setup, changed, in_force

PLACE = ("lesson", "step", "lang")
"""What a link calls a place in a lesson."""


def query(controls: Iterable[str] | None, by: str = "") -> dict[str, str]:
    """What opens the page's run at its step, with the settings of all benches, and these controls (None: all). `by`
    made its digits; "": what the link says of them."""
    page, at = current(), current().wanted or step()
    by = by or made_by()
    address = query_of(run_setup(), page.link.csv, page.link.flow, page.benches.values(), controls, by, at, page.chosen)
    if page.lesson:
        place = zip(PLACE, (page.lesson.lesson, page.lesson.step, page.lesson.language), strict=True)
        address |= {name: value for name, value in place if value}
    return address


def step() -> int:
    """Of the page's run, as far as is known."""
    report = current().report
    return report.arms[0].step if report.arms else report.resumes_at or 0


def run_setup() -> Setup:
    """What repeats the page's run, also where the run has not said yet that it trains as was set just now."""
    page, found = current(), shareable()
    if (page.report.arms and page.report.confirmed) or in_force(found, step()) == page.setup.train:
        return found
    if not step():
        return replace(found, train=page.setup.train)
    return changed(found, step(), page.setup.train)


def made_by() -> str:
    """What the digits of the link's run depend on, as long as the page shows that run; "" where it does not say."""
    page = current()
    return page.link.made_by if page.setup.same_run(page.link.setup) else ""


def write_address() -> None:
    """Let the address say what is shown: on the screen where that is, not on the way to it. Before the browser has our
    script it would make a history of it."""
    page = current()
    if page.turned not in ("", page.screen):
        return
    page.addressed, page.address = page.screen, query(page.link.controls)
    address = page.address | {ENTRY: f"{page.entry}@{page.screen}"}
    if page.attached and st.query_params.to_dict() != address:
        st.query_params.from_dict(address)


def new_entry() -> None:
    """What is shown from now on is an entry of its own in the browser's history, and Back goes to what was before."""
    page = current()
    page.entries += 1
    page.entry = Entry(page.entry.page, page.entries)
