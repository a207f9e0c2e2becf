"""A step in its parts to JSON: what is drawn of it, and what is said of each part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from app.quantise import packed

if TYPE_CHECKING:
    from app.engine.training.step_picture import StepPicture

MOST_LAYERS = 8


@dataclass(frozen=True)
class Part:
    """What is said of one part of a step: under a `title`, with `numbers` as pairs of a name and a value. `planes` and
    `alts` name what the data space and the second plane show, for the eye and in words."""

    title: str
    text: str
    numbers: tuple[tuple[str, str], ...]
    planes: tuple[str, str]
    alts: tuple[str, str]


def encode_step(picture: StepPicture, parts: Sequence[Part], is_exact: bool) -> dict[str, Any]:
    """A picture of a step as JSON. At 400 points, 24 blocks and a 60 x 60 density this is about 180 kB."""
    return {
        "step": picture.step,
        "exact": is_exact,
        "points": packed(picture.points),
        "stages": packed(picture.stages),
        **{
            name: packed(getattr(picture, name))
            for name in ("log_det", "true_log_det", "loss", "gain", "pull", "true_pull", "density", "change")
        },
        "layers": _layers(picture),
        "parts": [asdict(part) for part in parts],
    }


def _layers(picture: StepPicture) -> list[dict[str, Any]]:
    """The layers whose free matrix changed its norm most in this step, in the order of the flow."""
    layers = picture.layers
    if layers is None:
        return []
    moved = np.abs(layers.raw - layers.raw_before).flatten()
    most = np.sort(np.argsort(-moved, kind="stable")[:MOST_LAYERS])
    rows = []
    for block, layer in zip(*np.unravel_index(most, layers.raw.shape), strict=True):
        numbers = {name: float(getattr(layers, name)[block, layer]) for name in ("raw_before", "raw", "weight", "cap")}
        if all(map(np.isfinite, numbers.values())):
            rows.append({"name": f"{block + 1}.{layer + 1}", **numbers})
    return rows
