"""A map of the plane beside the spectral disc, linked: one Streamlit component, drawn on two canvases.

A region that is marked by dragging in one lights up in both. A click in the map chooses a node, and so do arrow keys.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app.components import take
from app.components.component import component
from app.quantise import levels, packed

__all__ = ["chosen_node", "scene", "show"]

_HERE = Path(__file__).parent
DISC = 1.06  # half the side of the square in which eigenvalues are sent; the same as in map_and_disc.js
INFINITE = 255
LEVELS = 254
# Colours end where all but a hundredth of the values do.
END = 0.99

_map_and_disc = component(
    "resflow_map_and_disc",
    "map_and_disc/map_and_disc.js",
    html=(_HERE / "map_and_disc.html").read_text(encoding="utf-8"),
    css=(_HERE / "map_and_disc.css").read_text(encoding="utf-8"),
)


def scene(
    window: Sequence[Sequence[float]],
    value: np.ndarray,
    infinite: np.ndarray,
    radius: np.ndarray,
    eigenvalues: np.ndarray,
    series_error: np.ndarray,
    *,
    title: str,
    name: str,
    unit: str,
    signed: bool,
    limit: float | None,
    circles: Sequence[tuple[str, float]],
    axes: Sequence[str],
    alt: dict[str, str],
) -> dict[str, Any]:
    """What the component draws, as JSON.

    `value`, `infinite` and `radius` in [0, 1], (n * n,), at the nodes of a grid over `window`, x fastest, y ascending,
    with the contour radius = `limit`; the eigenvalues, (n * n, 2) complex, with (name, radius) of `circles` around 0,
    coloured by `series_error`, (n * n, 2). A point that is looked at is told with `name` before its value.
    """
    low, high = _ends(value[~infinite], signed)
    error_low, error_high = _ends(series_error, True)
    places = np.stack([eigenvalues.real, eigenvalues.imag], -1)
    return {
        "n": round(len(value) ** 0.5),
        "window": [list(map(float, side)) for side in window],
        "level": packed(np.where(infinite, np.uint8(INFINITE), _bytes(value, low, high))),
        "range": [low, high],
        "palette": "signed" if signed else "viridis",
        "radius": packed(levels(radius)),
        "eigenvalues": packed(levels((places / DISC + 1) / 2, 65534)),
        "error": packed(_bytes(series_error, error_low, error_high)),
        "error_range": [error_low, error_high],
        "limit": limit,
        "circles": [list(circle) for circle in circles],
        "title": title,
        "name": name,
        "unit": unit,
        "axes": list(axes),
        "alt": alt,
    }


def show(drawn: dict[str, Any], *, key: str, files: Sequence[take.File] = ()) -> None:
    """Mount the pictures, or hand those that are mounted another scene. Their menu has these `files` too."""
    told = drawn | {"take": take.encode(files, key)}
    _map_and_disc(data=told, key=key, on_picked_change=lambda: None, on_asks_change=take.heard)


def chosen_node(key: str) -> int | None:
    """The node that was chosen in the pictures mounted as `key`, if any."""
    picked = st.session_state.get(key, {}).get("picked")
    return picked if isinstance(picked, int) and picked >= 0 else None


def _ends(values: np.ndarray, signed: bool) -> tuple[float, float]:
    """Where the colours begin and end; around 0 where the sign matters."""
    if not len(values):
        return 0.0, 1.0
    if signed:
        most = float(np.quantile(np.abs(values), END)) or 1e-12
        return -most, most
    low, high = (float(q) for q in np.quantile(values, [1 - END, END]))
    return low, max(high, low + 1e-9 * max(abs(low), 1.0))


def _bytes(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return levels((values - low) / (high - low), LEVELS).astype(np.uint8)
