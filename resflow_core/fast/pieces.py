"""Long work in pieces: a generator that stops after each piece, so that others have a turn, and returns the result.

With `yield from`, one such work can contain another.
"""

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")
Pieces = Generator[None, None, Result]


def finished(pieces: Pieces[Result]) -> Result:
    """The result of all pieces, one after the other."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            return end.value
