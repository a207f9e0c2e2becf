"""Which controls a page offers: all, or those that a teacher's link or a step of a lesson leaves. What is not offered
keeps its value, and is not drawn."""

from collections.abc import Iterable
from dataclasses import replace

import streamlit as st

from app.session.address import write_address
from app.session.page import current


def focused() -> bool:
    """Whether some controls are hidden."""
    return current().offered is not None


def offered(*names: str) -> bool:
    """Whether the page offers the controls of all these settings, by their names in links. Who offers a choice offers
    what belongs to it. Every control asks, so that `choosable` knows them all."""
    page = current()
    page.asked |= dict.fromkeys(names)
    chosen = page.offered
    return chosen is None or all(any(f"{name}.".startswith(f"{one}.") for one in chosen) for name in names)


def choosable(widget: str) -> list[str]:
    """The settings that what is drawn has controls of, hidden ones too; and those chosen elsewhere in this widget."""
    page = current()
    return list(page.asked_before | page.asked | dict.fromkeys(st.session_state.get(widget, ())))


def fixed() -> tuple[str, ...] | None:
    """What the link leaves to be set, where it fixes the rest."""
    return current().link.controls


def focus(names: Iterable[str] | None) -> None:
    """Offer these settings alone, until it is called again; None: all."""
    current().offered = None if names is None else frozenset(names)


def show_all() -> None:
    """Offer everything, whatever the link fixes."""
    page = current()
    page.link = replace(page.link, controls=None)
    write_address()
