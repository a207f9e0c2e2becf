"""Long measurements in pieces: generators that yield None for each, and the result at last."""

from collections.abc import Generator, Iterator
from typing import TypeVar

Result = TypeVar("Result")


def awaited(pieces: Iterator[Result | None]) -> Generator[None, None, Result]:
    """Yields for every piece, and returns the result: for one measurement within another, by `yield from`."""
    for piece in pieces:
        if piece is not None:
            return piece
        yield None
    raise AssertionError("The last piece is the result.")
