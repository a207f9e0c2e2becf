"""The points that are worked on together, a tile, and the room for what is known of them.

A tile's numbers stay in the processor's cache, where those of all points would not. The room is kept from call to call:
to get megabytes from the system each time takes as long as to work with them.
"""

import math
import threading
from typing import NamedTuple

import numpy as np

MOST_POINTS = 128
LANES = 8
"""float32 numbers that a processor works on at once."""

_KEPT = threading.local()


class Workspace(NamedTuple):
    """Of a tile, whose points come last, at n blocks; float32. See `block` for what they hold."""

    entry: np.ndarray  # (n, ENTRY_ROWS, size)
    h: np.ndarray  # (n, layers, width, size)
    k: np.ndarray
    c: np.ndarray
    arrive: np.ndarray  # (n, layers, width, 3, size); of one layer alone (n, 0, width, 3, size)
    leave: np.ndarray
    jacobian: np.ndarray  # (n, 4, size)
    p: np.ndarray  # (width, size)
    d_units: np.ndarray  # (2, width, 3, size); of one layer alone (0, width, 3, size)


def tile_size(batch: int) -> int:
    """Points a tile, so that all tiles of a batch are about equally full."""
    tiles = max(1, math.ceil(batch / MOST_POINTS))
    return LANES * math.ceil(max(1, batch) / tiles / LANES)


def workspace(size: int, blocks: int, layers: int, width: int) -> Workspace:
    """For tiles of so many points. It holds what the last call left, and the next call in this thread has the same
    memory."""
    wanted = size, blocks, layers, width
    if getattr(_KEPT, "of", None) == wanted:
        return _KEPT.workspace
    several = layers if layers > 1 else 0
    units, parts = (blocks, layers, width, size), (blocks, several, width, 3, size)
    shapes = (
        (blocks, ENTRY_ROWS, size), units, units, units, parts, parts, (blocks, 4, size), (width, size),
        (2 if several else 0, width, 3, size),
    )  # fmt: skip
    ends = np.cumsum([0, *(math.prod(shape) for shape in shapes)])
    room = getattr(_KEPT, "room", None)
    if room is None or len(room) < ends[-1]:
        room = _KEPT.room = np.empty(ends[-1], np.float32)
    views = (room[a:b].reshape(shape) for a, b, shape in zip(ends, ends[1:], shapes, strict=False))
    _KEPT.of, _KEPT.workspace = wanted, Workspace(*views)
    return _KEPT.workspace


# Rows of what is kept of the entry of a block: x, y, a, q and r, each of both coordinates.
X, Y, A, Q, R = 0, 2, 4, 6, 8
ENTRY_ROWS = 10
