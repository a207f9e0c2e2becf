"""What is said of a measurement."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from app.engine.commands import ViewRequest

# Between two pieces of a measurement that goes on while frames do.
PIECE_SECONDS, SHORT_PIECE_SECONDS = 0.2, 0.05

Pieces = Callable[[Any, ViewRequest, Any], Iterator[Any]]
"""(job, request, what is wanted) -> None after each piece but the last, then the record: a frozen dataclass with the
`step` that it is of. A job that takes steps between two pieces changes nothing of what is measured."""


@dataclass(frozen=True)
class Measurement:
    """A measurement of a run while it trains, in short pieces, one job after the other.

    It is made if `ViewRequest.measured` has its name, with a value that is true; that value is what is `wanted`. Its
    newest record is `ArmReport.found` by its type. It is begun anew when what is wanted changes, or a field of the
    request that it `needs`, or, if it is `of_training`, how training gets the log det.

    While the flow moves, one begins `every_seconds` after the one before, and a piece follows the last one after
    `piece_seconds`, which are divided by the number of arms if it is `divided`. `pictured`: only arms whose pictures
    are wanted are measured. `at_rest` is made in place of `pieces` of a flow that stands still, once its frame is
    done. What somebody pulls at is answered `at_once`: it comes before all else that is due.
    """

    measure: Pieces
    every_seconds: float
    piece_seconds: float = SHORT_PIECE_SECONDS
    needs: tuple[str, ...] = ("edited",)
    of_training: bool = False
    divided: bool = False
    pictured: bool = False
    at_rest: Pieces | None = None
    at_once: bool = False

    def between(self, arms: int) -> float:
        """Seconds between two pieces, for a run with so many arms."""
        return self.piece_seconds / arms if self.divided else self.piece_seconds

    def asked(self, name: str, request: ViewRequest) -> Any:
        """The part of a request that it depends on, which is false if the page does not ask for it."""
        wanted = request.measured.get(name)
        return wanted and (wanted, *(getattr(request, need) for need in self.needs))

    def made(self, moving: bool) -> Pieces:
        """How it is made of a flow that moves, or stands still."""
        return self.measure if moving or self.at_rest is None else self.at_rest
