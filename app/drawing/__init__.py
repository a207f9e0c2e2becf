"""Somebody's own points, painted: a frozen value, as the text of a link, as points, as a table, as a CSV file.

A drawing is not trusted, wherever it comes from. Its length is limited, and the time that it takes grows as that does.
"""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from app.drawing import text
from app.drawing.points import points_of
from app.drawing.strokes import CLASSES, DrawingError, Stroke, from_rows, to_rows
from app.drawing.text import MOST_IN_LINK
from resflow_core.data import FEWEST_ROWS, MOST_ROWS, Table
from resflow_core.data.table import FEWEST_POINTS

__all__ = ["CLASSES", "FEWEST_ROWS", "LABEL", "MOST_IN_LINK", "MOST_ROWS", "NAMES", "Drawing", "DrawingError", "Stroke"]

NAMES = ("x", "y")
LABEL = "class"
"""The columns of its file."""
TITLE = "Your drawing"


@dataclass(frozen=True)
class Drawing:
    """Strokes in the order in which they were made. What is made of them is worked out once."""

    strokes: tuple[Stroke, ...] = ()

    name = "drawing.csv"
    """Of its file."""

    @staticmethod
    def of_rows(rows: Any) -> "Drawing":
        """What a browser sends. Raises DrawingError."""
        return Drawing(from_rows(rows))

    @staticmethod
    def of_text(given: str) -> "Drawing":
        """What a link says. Raises DrawingError."""
        return Drawing(text.from_text(given))

    @property
    def rows(self) -> list[list[int]]:
        return to_rows(self.strokes)

    @cached_property
    def text(self) -> str:
        """As a link says it; "" where it is longer than a link holds."""
        return text.to_text(self.strokes) if text.fits(self.strokes) else ""

    @cached_property
    def _found(self) -> tuple[np.ndarray, np.ndarray]:
        return points_of(self.strokes)

    @property
    def points(self) -> np.ndarray:
        """(n, 2) float64, each coordinate from -4 to 4 with at most four decimals."""
        return self._found[0]

    @cached_property
    def labels(self) -> tuple[str, ...] | None:
        """The class of each point; None where all have the same."""
        used = np.unique(self._found[1])
        return tuple(CLASSES[kind] for kind in self._found[1]) if len(used) > 1 else None

    @cached_property
    def counts(self) -> dict[str, int]:
        """Points of each class that has some."""
        return {CLASSES[kind]: count for kind, count in sorted(Counter(self._found[1].tolist()).items())}

    @cached_property
    def table(self) -> Table:
        """As a data set; the same as that of its file. Raises DrawingError."""
        count = len(self.points)
        if count < FEWEST_ROWS:
            raise DrawingError(
                f"The drawing has {count:,} point{'s' * (count != 1)}, and a density needs at least {FEWEST_ROWS}. "
                "Paint more."
            )
        if count > MOST_ROWS:
            raise DrawingError(
                f"The drawing has {count:,} points, and {MOST_ROWS:,} are allowed. Erase some, or undo the last stroke."
            )
        places = len(np.unique(self.points, axis=0))
        if places < FEWEST_POINTS:
            where = "one place" if places == 1 else f"{places} places"
            raise DrawingError(
                f"All {count:,} points are in {where}, and a density needs at least {FEWEST_POINTS}. Paint in other "
                "places too."
            )
        try:
            return Table(TITLE, NAMES, self.points, labels=self.labels)
        except ValueError as error:
            raise DrawingError(
                f"The {count:,} points lie on one line, so they have no density in the plane. Paint beside the line "
                "too."
            ) from error

    @cached_property
    def file(self) -> bytes:
        """As a CSV file with the columns x, y and, where there are two classes, their names."""
        out = io.StringIO()
        writer = csv.writer(out)
        more = [] if self.labels is None else [self.labels]
        writer.writerow([*NAMES, *([LABEL] if more else [])])
        writer.writerows(zip(*(self._written(axis) for axis in range(2)), *more, strict=True))
        return out.getvalue().encode()

    def _written(self, axis: int) -> list[str]:
        return [f"{value:.4f}" for value in self.points[:, axis]]
