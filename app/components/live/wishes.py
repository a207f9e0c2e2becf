"""What the picture in a browser may ask for, by the channel or, where that is closed, by its component."""

import math
from collections.abc import Callable
from typing import Any

MOST_DEPTH = 10_000
FARTHEST = 1000.0  # of a point from the middle of the data, in the flow's units


def asked_depth(depth: Any) -> int:
    """Raises ValueError where it is none."""
    if not (type(depth) is int and 0 <= depth <= MOST_DEPTH):
        raise ValueError(f"depth = {str(depth)[:40]}: use null or a whole number from 0 to {MOST_DEPTH:,}.")
    return depth


def asked_point(point: Any) -> tuple[float, float]:
    """Raises ValueError where it is none, or too far away."""
    if not (isinstance(point, list) and len(point) == 2 and all(type(one) in (int, float) for one in point)):
        raise ValueError(f"point = {str(point)[:40]}: use null or a list of two numbers.")
    if not all(math.isfinite(one) and abs(one) <= FARTHEST for one in point):
        raise ValueError(f"point = {str(point)[:40]}: use numbers from {-FARTHEST:g} to {FARTHEST:g}.")
    x, y = point
    return float(x), float(y)


def asked_bool(value: Any) -> bool:
    """Raises ValueError where it is none."""
    if type(value) is not bool:
        raise ValueError(f"{str(value)[:40]}: use true or false.")
    return value


FIELDS: dict[str, Callable[[Any], Any]] = {"depth": asked_depth, "point": asked_point}
"""What a page may say, by the name of the field of the `Wish`, with what checks it."""

OF_READER: dict[str, Callable[[Any], bool]] = {"hidden": asked_bool, "plain": asked_bool}
"""What it may say of itself alone: nobody sees it, or its browser is too slow to draw from weights."""
