"""The settings of the benches: what is looked at of a flow, and how."""

from collections.abc import Collection
from typing import Any, Protocol, TypeVar, runtime_checkable

import streamlit as st

from app import link
from app.estimates.settings import Bench
from app.link import prefix_of
from app.session.address import write_address
from app.session.page import current
from app.setup import differences, entries, widget_values


@runtime_checkable
class HasTexts(Protocol):
    """A bench with widgets that do not hold its settings as they are."""

    def widget_texts(self, prefix: str) -> dict[str, Any]:
        """What such widgets hold, by their keys."""
        ...


Kind = TypeVar("Kind")


def bench(kind: type[Kind] = Bench) -> Kind:
    """The settings of a bench as they stand."""
    return current().benches[kind]


def view(kind: type) -> str:
    """The view of a bench that is looked at: its widget knows of a change before the bench does."""
    found: Any = bench(kind)
    return st.session_state.get(f"{prefix_of(found)}view") or found.view


def benches() -> Collection[Any]:
    """Those of all benches."""
    return list(current().benches.values())


def is_chosen(kind: type) -> bool:
    """Whether anything was chosen of a bench, by a link or by hand."""
    return link.is_chosen(bench(kind), current().chosen)


def choose(*kinds: type) -> None:
    """Let benches count as chosen as they are."""
    for kind in kinds:
        found: Any = bench(kind)
        current().chosen |= {name for name, *_ in entries(found, prefix_of(found))}
    write_address()


def apply_bench(new: Any) -> None:
    """Make `new` the settings of its bench."""
    _hold(new)
    write_address()


def show_bench(new: Any) -> None:
    """Let a bench and its widgets be so, from the next run of the script on."""
    page, prefix = current(), prefix_of(new)
    _hold(new)
    page.widgets |= widget_values(new, prefix) | (new.widget_texts(prefix) if isinstance(new, HasTexts) else {})


def _hold(new: Any) -> None:
    page = current()
    page.chosen |= {name for name, *_ in differences(page.benches[type(new)], new, prefix_of(new))}
    page.benches[type(new)] = new
