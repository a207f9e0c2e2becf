"""The settings of the benches: what is looked at of a flow, and how."""

from collections.abc import Collection
from typing import Any, TypeVar

from app.activations.settings import chosen_names
from app.bench.settings import Bench, matrix_texts
from app.link import prefix_of
from app.session.address import write_address
from app.session.page import current
from app.setup import widget_values

Kind = TypeVar("Kind")


def bench(kind: type[Kind] = Bench) -> Kind:
    """The settings of a bench as they stand."""
    return current().benches[kind]


def benches() -> Collection[Any]:
    """Those of all benches."""
    return current().benches.values()


def apply_bench(new: Any) -> None:
    """Make `new` the settings of its bench."""
    current().benches[type(new)] = new
    write_address()


def show_bench(new: Any) -> None:
    """Let a bench and its widgets be so, from the next run of the script on."""
    page, prefix = current(), prefix_of(new)
    page.benches[type(new)] = new
    page.widgets |= widget_values(new, prefix) | (matrix_texts(new, prefix) if hasattr(new, "matrix") else {})
    page.widgets |= chosen_names(new, prefix) if hasattr(new, "shown") else {}
