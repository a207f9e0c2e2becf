"""A small picture of a verdict as HTML that follows the page's colours and prints: rows of dots on one axis. Pure."""

import math
from collections.abc import Sequence
from html import escape

from app.features.paper.found import Picture
from app.text import signed

MARGIN = 4.0
"""Percent of the axis that is free at both ends."""


def figure(picture: Picture) -> str:
    """Rows with their names, a dot for each value and a bar at the mean, above an axis with its unit."""
    low, high = ends(picture)
    rows = "".join(_row(name, values, picture, low, high) for name, values in picture.rows.items())
    scale = ", logarithmic" if picture.is_log else ""
    axis = escape(f"{picture.axis}, {picture.unit}{scale}")
    note = f"A dot: {picture.dot}." + (" Bar: mean." if max(map(len, picture.rows.values())) > 1 else "")
    if picture.mark:
        note += f" Dashed: {picture.mark[0]}."
    return (
        f'<div class="dots" role="img" aria-label="{escape(alt(picture))}">{rows}'
        f'<div class="dots-axis"><span>{_number(low)}</span><b>{axis}</b>'
        f'<span>{_number(high)}</span></div><div class="dots-note">{escape(note)}</div></div>'
    )


def ends(picture: Picture) -> tuple[float, float]:
    """The smallest and the largest value of the axis: those of all dots and of the mark; from 0 where that is near."""
    values = picture.values + ([picture.mark[1]] if picture.mark else [])
    low, high = min(values), max(values)
    if not picture.is_log and low > 0:
        low = 0.0
    return (low, high) if high > low else (low - 1, high + 1) if not picture.is_log else (low / 2, high * 2)


def place(value: float, low: float, high: float, log: bool) -> float:
    """Where a value is on the axis, in percent of its width."""
    if log:
        value, low, high = (math.log(max(one, 1e-300)) for one in (value, low, high))
    return round(MARGIN + (100 - 2 * MARGIN) * (value - low) / (high - low), 2)


def alt(picture: Picture) -> str:
    """The picture in words."""
    said = "; ".join(f"{name}: {', '.join(map(_number, _few(values)))}" for name, values in picture.rows.items())
    mark = f" {picture.mark[0]} at {_number(picture.mark[1])}." if picture.mark else ""
    return f"{picture.axis}, in {picture.unit}. {said}.{mark}"


def _few(values: Sequence[float]) -> Sequence[float]:
    """Of many the smallest, the middle and the largest."""
    ordered = sorted(values)
    return values if len(values) <= 5 else (ordered[0], ordered[len(ordered) // 2], ordered[-1])


def _row(name: str, values: Sequence[float], picture: Picture, low: float, high: float) -> str:
    def at(value: float) -> float:
        return place(value, low, high, picture.is_log)

    dots = "".join(f'<i style="left:{at(value)}%"></i>' for value in values)
    if len(values) > 1:
        dots += f'<u style="left:{at(sum(values) / len(values))}%"></u>'
    if picture.mark:
        dots += f'<s style="left:{at(picture.mark[1])}%"></s>'
    return f'<div class="dots-row"><span>{escape(name)}</span><div class="dots-track">{dots}</div></div>'


def _number(value: float) -> str:
    return signed(f"{value:.3g}")
