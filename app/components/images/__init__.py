"""Grids of small grey images on a canvas that stays while they change: nothing flickers, and pixels stay crisp."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.components import take
from app.components.component import component
from app.quantise import packed

__all__ = ["Grid", "encode", "show"]

_HERE = Path(__file__).parent

_images = component(
    "resflow_images",
    "images/images.js",
    html='<div class="images"></div><div data-take></div>',
    css=(_HERE / "images.css").read_text(encoding="utf-8"),
)


@dataclass(frozen=True, eq=False)
class Grid:
    """Images (rows, columns, height, width), uint8, from 0, black, to `white`."""

    title: str
    images: np.ndarray
    white: int
    note: str
    alt: str


def encode(grid: Grid) -> dict[str, object]:
    """One grid as JSON. Raises ValueError unless its images are four-dimensional, uint8 and not brighter than white."""
    images = grid.images
    if images.ndim != 4 or images.dtype != np.uint8 or images.max(initial=0) > grid.white:
        raise ValueError(f"{images.dtype} images of shape {images.shape}: give uint8, (rows, columns, height, width).")
    return {
        "title": grid.title,
        "images": packed(images),
        "white": grid.white,
        "note": grid.note,
        "alt": grid.alt,
    }


def show(grids: list[Grid], *, key: str, files: Sequence[take.File] = ()) -> None:
    """Draw the grids side by side where there is room. Their menu has these `files` beside pictures and numbers."""
    drawn = {"grids": [encode(grid) for grid in grids], "take": take.encode(files, key)}
    _images(data=drawn, key=key, on_asks_change=take.heard)
