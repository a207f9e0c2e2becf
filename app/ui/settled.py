"""Settled figures, which Altair describes and Vega draws, with their menu."""

from collections.abc import Iterator
from typing import Any

import streamlit as st

from app.components import take
from app.components.take import File
from app.text import csv_of
from app.ui.takeaway import member


def show(chart: Any, title: str, *, key: str, files: tuple[File, ...] = ()) -> None:
    """Draw a chart of Altair; `title` is what its files are called."""
    place = f"settled-{key.replace('.', '-')}"
    with st.container(key=place, gap="small"):
        st.altair_chart(chart)
        csv = File("CSV", f"{member(title)}.csv", lambda: numbers(chart))
        take.menu((csv, *files), key=f"{key}.take", chart=(f"st-key-{place}", title))


def numbers(chart: Any) -> bytes:
    """The data of a chart of Altair as CSV: a column for each field, named by the axis or legend that shows it."""
    drawn = chart.to_dict()
    titles = dict(_titles(drawn))
    tables = [*drawn.get("datasets", {}).values(), *_inline(drawn)]
    return csv_of({titles.get(name, name): value for name, value in row.items()} for rows in tables for row in rows)


def _inline(part: Any) -> Iterator[list[dict[str, Any]]]:
    """Rows that stand in a layer itself."""
    for one in _parts(part):
        values = one.get("data", {}).get("values") if isinstance(one.get("data"), dict) else None
        if isinstance(values, list):
            yield values


def _titles(part: Any) -> Iterator[tuple[str, str]]:
    """(field, title) of all channels of all layers."""
    for one in _parts(part):
        for channel in one.get("encoding", {}).values():
            for told in channel if isinstance(channel, list) else [channel]:
                name = told.get("field") if isinstance(told, dict) else None
                if name and isinstance(title := told.get("title"), str) and title:
                    yield name, title


def _parts(part: Any) -> Iterator[dict[str, Any]]:
    """A chart and all charts within it."""
    yield part
    for kind in ("layer", "hconcat", "vconcat", "concat"):
        for one in part.get(kind, ()):
            yield from _parts(one)
    if isinstance(inner := part.get("spec"), dict):
        yield from _parts(inner)
