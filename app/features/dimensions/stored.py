"""The stored answers on the page: in the place of what has not been measured here yet."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

from app import evidence
from app.components.planes import Chart
from app.evidence import Stored
from app.features.dimensions import answers, scaling_charts
from app.features.dimensions.evidence import (
    BLOCKS,
    CROSSING,
    HIGH,
    MEMORY,
    ROWS,
    TERMS,
    WIDTH,
    read_crossing,
    read_memory,
)
from app.features.dimensions.memory import bars
from app.ui import opening

IMAGES = 64
"""In a batch."""
POSITIONS = {1: "64 points", 4: "256 points", 256: "16 × 16", 1024: "32 × 32", 12544: "112 × 112"}
"""Positions of an image, each a point: as a convolution has them."""
FIRST = 1


def crossing() -> Stored:
    return evidence.stored(CROSSING)


def memory() -> Stored:
    return evidence.stored(MEMORY)


def crossing_chart() -> Chart:
    """Time of a training step against d, and where the two lines cross."""
    found = read_crossing(crossing().found).found
    chart = scaling_charts.times(found.found, answers.cheaper_from(found))
    return replace(chart, height=opening.HEIGHT)


def show_crossing(key: str) -> None:
    """Sentence and picture."""
    opening.sentence(answers.exact_or_estimate(read_crossing(crossing().found)))
    opening.picture([crossing_chart()], crossing(), key=key)


@st.fragment
def show_memory(key: str, say: Callable[[str], Any] = opening.sentence) -> None:
    """Sentence, four bars, how much goes through the flow, and a line of memory."""
    found = read_memory(memory().found)
    answer = st.container()
    size_column, room_column = st.columns([3, 2], gap="large")
    with size_column:
        positions = st.segmented_control(
            f"Points of d = {HIGH}, or positions of {IMAGES} images",
            list(POSITIONS),
            default=FIRST,
            format_func=_named,
            key=f"{key}.size",
            required=True,
        )
    rows = IMAGES * positions
    need = answers.bytes_at(found, rows)
    with room_column:
        room = st.select_slider(
            "Free memory", bars.rooms(), bars.between(need), format_func=bars.size, key=f"{key}.room.{rows}"
        )
    of = f"{IMAGES} images of {POSITIONS[positions]} positions" if rows not in found else f"{rows} points"
    with answer:
        what = f"{BLOCKS} blocks and {TERMS} terms at d = {HIGH}, for {of},"
        say(answers.memory(found, rows, what, bars.size))
        st.html(bars.html(need, room, f"{of}{'' if rows in found else ', extrapolated'}"))
    st.caption(f":material/inventory_2: {memory().source}. {ABOUT}")


def _named(positions: int) -> str:
    return POSITIONS[positions]


ABOUT = (
    f"Blocks with one hidden layer of {WIDTH} units. Bytes are measured up to {max(ROWS)} points and extrapolated "
    "along a straight line beyond. A convolution treats each position of an image as these layers treat a point."
)
