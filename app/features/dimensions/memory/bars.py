"""Four bars on one axis: the bytes that each way to differentiate needs, and a line of memory. Pure: numbers in, HTML
out."""

import math
from collections.abc import Mapping
from html import escape

from app.text import signed
from app.ui import side_by_side
from resflow_core.gradients import GRADIENTS

PLAIN = {
    "plain": "every product of every block is kept",
    "neumann": "one product of each block is kept",
    "plain_in_forward": "one block at a time is kept",
    "in_forward": "one product of one block is kept",
}
"""What each of `GRADIENTS` keeps, in plain words."""
UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def size(value: float) -> str:
    """Bytes for people to read, up to GiB."""
    scale, unit = next(((scale, unit) for scale, unit in UNITS if abs(value) >= 0.9 * scale), (1, "B"))
    scaled = value / scale
    shown = f"{scaled:.0f}" if unit == "B" or abs(scaled) >= 99.5 else f"{scaled:.3g}"
    return signed(f"{float(shown):,g}\N{NO-BREAK SPACE}{unit}")


def rooms() -> list[float]:
    """Memory to choose from: powers of two from 1 MiB to 256 GiB."""
    return [2.0**k for k in range(20, 39)]


def between(need: Mapping[str, float]) -> float:
    """The memory that tells most: about the geometric mean of the largest and the smallest bar."""
    middle = math.sqrt(max(need.values()) * min(need.values()))
    return min(rooms(), key=lambda room: abs(math.log(room / middle)))


def fits(need: Mapping[str, float], room: float) -> dict[str, bool]:
    return {name: of <= room for name, of in need.items()}


def html(need: Mapping[str, float], room: float | None, of: str) -> str:
    """The bars, with how long each is in words. `of` says what is measured."""
    end = 1.04 * max(*need.values(), room or 0.0)
    rows = "".join(_row(k, name, need[name], room, end) for k, name in enumerate(need))
    line = ""
    if room is not None:
        line = f'<div class="bytes-line" style="--at:{100 * room / end:.2f}%"><span>{size(room)}</span></div>'
    said = ", ".join(f"{GRADIENTS[name].paper} {size(value)}" for name, value in need.items())
    return (
        f'<div class="bytes" role="img" aria-label="{escape(f"Memory of the log det, {of}: {said}.")}">'
        f'<div class="bytes-rows">{rows}<div class="bytes-over">{line}</div></div>'
        f'<div class="bytes-axis"><span>0</span><span>memory of the log det, {escape(of)}</span>'
        f"<span>{size(end)}</span></div></div>"
    )


def _row(k: int, name: str, need: float, room: float | None, end: float) -> str:
    colour = side_by_side.style(k)["colour"]
    fit = "" if room is None else " · fits" if need <= room else " · does not fit"
    return (
        f'<div class="bytes-row"><div class="bytes-name"><b>{escape(GRADIENTS[name].paper.capitalize())}</b>'
        f"<small>{PLAIN[name]}</small></div>"
        f'<div class="bytes-track"><i style="width:{100 * need / end:.2f}%;background:{colour}"></i>'
        f"<span>{size(need)}{fit}</span></div></div>"
    )
