"""A block of a flow as a small network: one Streamlit component. A weight is pulled at its line, a bias at its unit, or
either is chosen in a list and set by a slider. What is changed is told as the text of `app.features.lipschitz.changes`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app.components import take
from app.components.component import component

__all__ = ["MOST_LINES", "Layer", "Told", "scene", "show", "told"]

_HERE = Path(__file__).parent
MOST_LINES = 600
"""Lines of a layer that are drawn: more could not be told apart."""
MOST_IN_NAME = 20

_network = component(
    "resflow_network",
    "network/network.js",
    html=(_HERE / "network.html").read_text(encoding="utf-8"),
    css=(_HERE / "network.css").read_text(encoding="utf-8"),
)


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of the block. `raw` are the trained parameters before the constraint, `left` is W as it is used now."""

    raw: np.ndarray  # (out, in)
    left: np.ndarray  # (out, in)
    bias: np.ndarray  # (out,)
    factor: float  # by which the constraint multiplies the layer's norm now


@dataclass(frozen=True)
class Told:
    """What the component tells: the changes in a text, how many times it has changed them, and what is chosen."""

    number: int = 0
    changes: str = ""
    chosen: str = ""


def scene(
    layers: Sequence[Layer],
    copies: int,
    *,
    block: int,
    told: Told,
    changes: str,
    answered: str,
    limits: dict[str, tuple[float, float]],
    most: int,
    fixed: bool,
) -> dict[str, Any]:
    """What the component draws, as JSON. An activation makes `copies` numbers of each unit, which come to the layer one
    copy after the other. `told` is what was heard of the component, `changes` what holds, and `answered` the changes
    that `layers` are of; where it is `fixed`, nothing can be changed. Of a large layer the `MOST_LINES` largest weights
    are sent, and those that are changed or chosen."""
    named = {part.partition("=")[0] for part in changes.split()} | {told.chosen}
    return {
        "block": block,
        "sizes": [layers[0].raw.shape[1] // copies, *(len(layer.bias) for layer in layers)],
        "copies": copies,
        "layers": [_layer(layer, k, named) for k, layer in enumerate(layers, 1)],
        "heard": told.number,
        "changes": changes,
        "answered": answered,
        "limits": {kind: list(ends) for kind, ends in limits.items()},
        "most": most,
        "fixed": fixed,
    }


def show(drawn: dict[str, Any], *, key: str) -> None:
    """Mount the network, or hand the one that is mounted another scene."""
    told = drawn | {"take": take.encode((), key)}
    _network(data=told, key=key, on_told_change=lambda: None, on_asks_change=take.heard)


def told(key: str) -> Told:
    """What the network that is mounted as `key` has told last. It comes from a browser, so it may be anything."""
    found = st.session_state.get(key, {}).get("told")
    if not (isinstance(found, list) and len(found) == 3):
        return Told()
    number, changes, chosen = found
    if not (isinstance(number, int | float) and math.isfinite(number) and isinstance(changes, str)):
        return Told()
    return Told(int(number), changes, chosen[:MOST_IN_NAME] if isinstance(chosen, str) else "")


def _layer(layer: Layer, number: int, named: set[str]) -> dict[str, Any]:
    """Lines as [row, column, trained, used], rounded: a picture needs no more."""
    sizes = np.nan_to_num(np.abs(layer.left)).ravel()
    drawn = np.argsort(-sizes, kind="stable")[:MOST_LINES]
    places = {divmod(int(at), layer.raw.shape[1]) for at in drawn} | _named(named, number, layer.raw.shape)
    return {
        "columns": layer.raw.shape[1],
        "total": int(sizes.size),
        "factor": _finite(layer.factor),
        "lines": [[i, j, _finite(layer.raw[i, j]), _finite(layer.left[i, j])] for i, j in sorted(places)],
        "bias": [_finite(value) for value in layer.bias],
    }


def _named(names: set[str], number: int, shape: tuple[int, ...]) -> set[tuple[int, int]]:
    """Where the weights of this layer with these names are."""
    found = set()
    for name in names:
        parts = name.removeprefix("w").split(".")
        if name.startswith("w") and len(parts) == 3 and all(part.isascii() and part.isdigit() for part in parts):
            layer, row, column = map(int, parts)
            if layer == number and 0 < row <= shape[0] and 0 < column <= shape[1]:
                found.add((row - 1, column - 1))
    return found


def _finite(value: float) -> float | None:
    """Five digits; None for what is no number, which JSON has not."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
