"""The strokes of a drawing as they come from a browser, and what is wrong with them.

The plane is the square from -4 to 4. A stroke is a brush and the places, in 1/125 of a unit, where it sprays or erases.
Both the browser (`app/components/painter`) and `app.drawing.points` turn strokes into the same points: what stands here
and there decides what old links show, and must stay as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

SIDE = 1_000
"""Places along each axis are 0 to `SIDE`."""
SHARES = 40
"""Parts of a place, in which points are placed: 5,000 parts are a unit of the plane."""
REACH = 127
"""Two neighbouring places of a stroke are at most so far apart on each axis: a signed byte in a link."""

BRUSHES = ((0, 1), (400, 4), (800, 8), (1600, 16), (3200, 32))
"""(radius in parts of a place, points of each place) of the brushes, the finest first."""
CLASSES = ("A", "B")
"""The names of the two colours."""
ERASER = len(CLASSES)
"""The `kind` of a stroke that erases; those that paint have the index of their class."""

MOST_DOTS = 20_000
"""Places of all strokes."""
MOST_SPRAYED = 60_000
"""Points of all strokes, erased ones too."""


class DrawingError(ValueError):
    """What is wrong with a drawing, and what to do about it: a sentence for the reader of the page."""


FORGED = "The drawing cannot be read: {}. Open the link of its owner again, or paint it again."


@dataclass(frozen=True)
class Stroke:
    """`kind` is the index of a class or `ERASER`, and `brush` that of a brush; `dots` are (x, y) places."""

    kind: int
    brush: int
    dots: tuple[tuple[int, int], ...]

    @property
    def sprayed(self) -> int:
        """Points that it sprays."""
        return 0 if self.kind == ERASER else len(self.dots) * BRUSHES[self.brush][1]


def checked(strokes: Sequence[Stroke]) -> tuple[Stroke, ...]:
    """The strokes, if they are those of a brush on the plane. Raises DrawingError."""
    for stroke in strokes:
        if not 0 <= stroke.kind <= ERASER:
            raise DrawingError(FORGED.format(f"a stroke has the colour {stroke.kind}, and there are 0 to {ERASER}"))
        if not 0 <= stroke.brush < len(BRUSHES):
            raise DrawingError(
                FORGED.format(f"a stroke has the brush {stroke.brush}, and there are 0 to {len(BRUSHES) - 1}")
            )
        if not stroke.dots:
            raise DrawingError(FORGED.format("a stroke has no place"))
        for place in stroke.dots:
            if not all(0 <= along <= SIDE for along in place):
                raise DrawingError(FORGED.format(f"the place {place} is not on the plane of 0 to {SIDE}"))
        for (x, y), (u, v) in pairwise(stroke.dots):
            if max(abs(u - x), abs(v - y)) > REACH:
                raise DrawingError(FORGED.format(f"a stroke jumps from ({x}, {y}) to ({u}, {v})"))
    _check_dots(sum(len(stroke.dots) for stroke in strokes))
    if (sprayed := sum(stroke.sprayed for stroke in strokes)) > MOST_SPRAYED:
        raise DrawingError(
            f"The drawing has {sprayed:,} points, including erased ones, and {MOST_SPRAYED:,} are allowed. Undo some "
            "strokes, or clear it."
        )
    return tuple(strokes)


def from_rows(rows: Any) -> tuple[Stroke, ...]:
    """The strokes that a browser sends as rows of whole numbers: kind, brush, x, y, x, y, and so on. Raises
    DrawingError."""
    if not isinstance(rows, list):
        raise DrawingError(FORGED.format("it is not a list of strokes"))
    _check_dots(sum(len(row) // 2 - 1 for row in rows if isinstance(row, list)))
    return checked([_stroke(row) for row in rows])


def _check_dots(count: int) -> None:
    if count > MOST_DOTS:
        raise DrawingError(
            f"The drawing has {count:,} dots of the brush, and {MOST_DOTS:,} are allowed. Undo some strokes, or "
            "clear it."
        )


def _stroke(row: Any) -> Stroke:
    if not isinstance(row, list) or len(row) % 2 or not all(map(_is_small, row)):
        raise DrawingError(FORGED.format("a stroke is not a list of pairs of whole numbers below a million"))
    if len(row) < 4:
        raise DrawingError(FORGED.format("a stroke has no place"))
    kind, brush, *dots = row
    return Stroke(kind, brush, tuple(zip(dots[::2], dots[1::2], strict=True)))


def _is_small(number: Any) -> bool:
    """Whether it is a whole number that a sentence has room for; True is none."""
    return type(number) is int and abs(number) < 1_000_000


def to_rows(strokes: Sequence[Stroke]) -> list[list[int]]:
    """What `from_rows` reads."""
    return [[stroke.kind, stroke.brush, *(along for place in stroke.dots for along in place)] for stroke in strokes]
