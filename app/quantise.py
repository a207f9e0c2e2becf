"""Numbers as small integers, finer than a screen shows, and arrays as JSON."""

import base64
from typing import Any

import numpy as np

TOP_QUANTILE = 0.995
"""Of a density on a grid: colours end there, so that a few sharp peaks do not leave the rest dark."""

Window = tuple[tuple[float, float], tuple[float, float]]


def top_of(density: np.ndarray) -> float:
    """The `TOP_QUANTILE` of what is finite of it; 0 if nothing is."""
    finite = density[np.isfinite(density)]
    return float(np.quantile(finite, TOP_QUANTILE)) if finite.size else 0.0


def to_shares(density: np.ndarray, largest: float) -> np.ndarray:
    """Round 65535 * min(density / largest, 1) to uint16; all zeros where `largest` is 0."""
    return levels(density / max(largest, np.finfo(np.float32).tiny))


def to_u16(points: np.ndarray, window: Window) -> np.ndarray:
    """Map (..., 2) points from `window` to 0..65535 on each axis as uint16; points outside land on the border."""
    low, high = np.array(window).T
    return levels((points - low) / (high - low))


def levels(shares: np.ndarray, most: int = 65535) -> np.ndarray:
    """Round `most` times the shares, cut to [0, 1], to uint16; NaN to 0."""
    return np.rint(most * np.nan_to_num(np.clip(shares, 0.0, 1.0))).astype(np.uint16)


def packed(array: np.ndarray) -> dict[str, Any]:
    """An array as JSON: {"dtype", "shape", "base64"}, row-major, little-endian."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return {
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "base64": base64.b64encode(little.tobytes()).decode("ascii"),
    }
