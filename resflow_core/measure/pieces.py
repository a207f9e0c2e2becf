"""Long measurements in pieces: generators that yield None after each piece, and the result at the end."""

from collections.abc import Generator, Iterator
from typing import TypeVar

Result = TypeVar("Result")


def awaited(pieces: Iterator[Result | None]) -> Generator[None, None, Result]:
    """Yields None for every piece and returns the result. With `yield from`, one measurement can contain another.

    Raises AssertionError if the pieces end without a result.
    """
    for piece in pieces:
        if piece is not None:
            return piece
        yield None
    raise AssertionError("The last piece is the result.")
