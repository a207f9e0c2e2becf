"""Strokes to points. The painter in the browser does the same in whole numbers (`app/web/painter/spray.js`)."""

from collections.abc import Sequence

import numpy as np

from app.drawing.strokes import BRUSHES, ERASER, SHARES, SIDE, Stroke

PARTS = SIDE * SHARES
"""Parts along each axis: -4 is 0, and 4 is `PARTS`."""
PER_UNIT = 5_000
CELL = 200
"""Parts along the side of a cell: what is erased is erased in cells."""
LEAST_ERASER = 300
"""The radius of the finest eraser, in parts."""

_CELLS = PARTS // CELL + 1
_SECOND = np.uint32(0x27D4EB2F)


def points_of(strokes: Sequence[Stroke]) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2) points in units of the plane, float64, in the order in which they were sprayed, and the index of the class
    of each, (n,) int. Points that a later stroke erases are left out."""
    erased = np.zeros((_CELLS, _CELLS), bool)
    places, kinds = [], []
    for index in range(len(strokes) - 1, -1, -1):
        stroke = strokes[index]
        if stroke.kind == ERASER:
            _erase(erased, stroke)
            continue
        sprayed = _sprayed(stroke, index)
        x, y = (sprayed // CELL).T
        left = sprayed[~erased[x, y]]
        places.append(left)
        kinds.append(np.full(len(left), stroke.kind))
    if not places:
        return np.empty((0, 2)), np.empty(0, int)
    found = np.concatenate(places[::-1])
    return (found - PARTS // 2) / PER_UNIT, np.concatenate(kinds[::-1])


def _sprayed(stroke: Stroke, index: int) -> np.ndarray:
    """(places * points, 2) in parts: around each place the sum of four uniform bytes on each axis, which is nearly
    normal and ends at the brush's radius. Beyond the border of the plane they are mirrored back."""
    radius, count = BRUSHES[stroke.brush]
    dots = SHARES * np.array(stroke.dots, np.int64)
    with np.errstate(over="ignore"):
        seed = (
            np.uint32(index) * np.uint32(0x9E3779B1)
            + np.arange(len(dots), dtype=np.uint32)[:, None] * np.uint32(0x85EBCA77)
            + np.arange(count, dtype=np.uint32) * np.uint32(0xC2B2AE3D)
        )
        first = _mixed(seed)
        ways = np.stack([_sum_of_bytes(first), _sum_of_bytes(_mixed(first ^ _SECOND))], axis=-1)
    found = dots[:, None, :] + (((ways - 510) * radius) >> 9)
    found = np.abs(found)
    return np.where(found > PARTS, 2 * PARTS - found, found).reshape(-1, 2)


def _mixed(bits: np.ndarray) -> np.ndarray:
    """The finaliser of MurmurHash3 (Appleby, public domain), uint32 to uint32."""
    bits = (bits ^ (bits >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return bits ^ (bits >> np.uint32(16))


def _sum_of_bytes(bits: np.ndarray) -> np.ndarray:
    """0 to 1020."""
    found = np.zeros(bits.shape, np.int64)
    for k in range(4):
        found += (bits >> np.uint32(8 * k)) & np.uint32(0xFF)
    return found


def _erase(erased: np.ndarray, stroke: Stroke) -> None:
    """Mark the cells whose middle is within the eraser, at each of its places."""
    radius = max(BRUSHES[stroke.brush][0], LEAST_ERASER)
    middles = CELL * np.arange(_CELLS) + CELL // 2
    for x, y in stroke.dots:
        (low_x, high_x), (low_y, high_y) = (_cells_within(SHARES * along, radius) for along in (x, y))
        across, up = (middles[low_x:high_x] - SHARES * x) ** 2, (middles[low_y:high_y] - SHARES * y) ** 2
        erased[low_x:high_x, low_y:high_y] |= across[:, None] + up <= radius**2


def _cells_within(middle: int, radius: int) -> tuple[int, int]:
    return max(0, (middle - radius) // CELL), min(_CELLS, (middle + radius) // CELL + 1)
