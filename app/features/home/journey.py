"""The moving picture of the home page: samples and a grid on their way through a trained flow, drawn in the browser."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
import torch

from app import examples
from app.components.canvas import shared
from app.quantise import packed, to_u16
from resflow_core import measure
from resflow_core.api import flow_file

__all__ = ["positions", "scene", "show"]

_HERE = Path(__file__).parent
POINTS = 900
LINES = 17  # in each direction
LINE_POINTS = 65
FINE_POINTS = 401
GRID = ((-4.0, 4.0), (-4.0, 4.0))
"""The grid, straight at x: every fourth line is a border of the checkerboard's squares."""
HELD = 0.99
"""The share of the points that the view holds on each axis, with a margin around them."""
MARGIN = 1.12

_journey = st.components.v2.component(
    "resflow_journey",
    html=(_HERE / "journey.html").read_text(encoding="utf-8"),
    css=(_HERE / "journey.css").read_text(encoding="utf-8"),
    js=shared("colours", "page", "unpack", "layers") + "\n" + (_HERE / "journey.js").read_text(encoding="utf-8"),
)


@cache
def positions() -> tuple[np.ndarray, np.ndarray]:
    """Points (stages, POINTS, 2) and lines (stages, 2 * LINES, LINE_POINTS, 2) of the example flow at x, after each
    block and at z, in the flow's units. The points are its samples, f^-1(z) of normal z; the lines are straight at x.
    """
    flow = flow_file.from_bytes(examples.flow())
    x = torch.from_numpy(measure.samples(flow, POINTS, torch.Generator().manual_seed(0)))
    return measure.stages(flow, x), _thinned(measure.stages(flow, measure.grid_lines(GRID, LINES, FINE_POINTS)))


def _thinned(lines: np.ndarray) -> np.ndarray:
    """LINE_POINTS of each line's many, more where it is ever stretched: neighbours are near at all stages."""
    longest = np.linalg.norm(np.diff(lines, axis=2), axis=-1).max(0).astype(float)
    far = np.pad(longest.cumsum(1), ((0, 0), (1, 0)))
    wanted = np.linspace(0, far[:, -1], LINE_POINTS, axis=1)
    kept = np.stack([np.searchsorted(*line) for line in zip(far, wanted, strict=True)])
    return np.take_along_axis(lines, kept[None, :, :, None], axis=2)


@cache
def scene() -> dict[str, Any]:
    """What the component draws, as JSON: positions as 16-bit numbers of one window, and the view of every stage."""
    points, lines = positions()
    most = float(max(np.abs(points).max(), np.abs(lines).max()))
    window = ((-most, most), (-most, most))
    low, high = np.quantile(points, [(1 - HELD) / 2, (1 + HELD) / 2], axis=1)
    blocks = len(points) - 2
    return {
        "blocks": blocks,
        "most": most,
        "points": packed(to_u16(points, window)),
        "lines": packed(to_u16(lines, window)),
        "centre": ((low + high) / 2).tolist(),
        "half": (MARGIN * (high - low).max(1) / 2).tolist(),
        "alt": f"A trained residual flow at work: {POINTS} points and a grid on their way through its {blocks} blocks, "
        "from a standard normal, z, to a checkerboard, x, and back. Every block bends the plane without folding it, so "
        "that each way undoes the other.",
    }


def show(*, key: str) -> None:
    """Mount the picture; it moves by itself."""
    _journey(data=scene(), key=key)
