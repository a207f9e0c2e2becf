"""What is measured of a run while it trains. One entry adds a measurement.

Its name is a field of `ViewRequest`, by which a page asks for it, and a field of `ArmReport`, in which its record
comes. When it is due, made and shown anew, and how two reports of it merge, follows from the entry. Frames, held-out
losses, the sharp picture and the mass meter depend on whether the flow moves, so their times are in `views.py`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from app.engine.job import Job
from app.engine.messages import ViewRequest

# Between two pieces of a measurement that goes on while frames do.
PIECE_SECONDS, SHORT_PIECE_SECONDS = 0.2, 0.05
JACOBIANS_SECONDS = 5.0
INVERSION_SECONDS = 2.0
ACTIVITY_SECONDS = 3.0
DERIVATIVES_SECONDS = 2.0
FAR_SECONDS = 3.0
FIGURES_SECONDS = 2.0


@dataclass(frozen=True)
class Measurement:
    """A measurement that is made in short pieces, one job after the other.

    `asked(request)` is the part of a request that it depends on, which is false if the page does not ask for it.
    `pieces(job, request)` yields None after each piece but the last, and then the record. While the flow moves, one
    begins `seconds` after the one before, and a piece follows the last one after `piece_seconds`: of one arm, or
    divided among all if `shared`. `pictured`: only arms whose pictures are wanted are measured.
    """

    asked: Callable[[ViewRequest], Any]
    pieces: Callable[[Job, ViewRequest], Iterator[Any]]
    seconds: float
    piece_seconds: float = SHORT_PIECE_SECONDS
    shared: bool = False
    pictured: bool = False

    def between(self, arms: int) -> float:
        """Seconds between two pieces, for a run with so many arms."""
        return self.piece_seconds / arms if self.shared else self.piece_seconds


MEASUREMENTS: dict[str, Measurement] = {
    "jacobians": Measurement(
        lambda d: d.jacobians and (d.jacobians, d.points, d.scaled),
        lambda job, d: job.jacobians(d),
        JACOBIANS_SECONDS,
        PIECE_SECONDS,
    ),
    "inversion": Measurement(
        lambda d: d.inversion and (d.inversion, d.scaled), lambda job, d: job.inversion(d), INVERSION_SECONDS
    ),
    "activity": Measurement(
        lambda d: d.activity and (d.activity, d.scaled), lambda job, d: job.activity(d), ACTIVITY_SECONDS
    ),
    "derivatives": Measurement(
        lambda d: d.derivatives and (d.pictured, d.scaled),
        lambda job, d: job.derivatives(d),
        DERIVATIVES_SECONDS,
        PIECE_SECONDS,
        shared=True,
        pictured=True,
    ),
    "far": Measurement(lambda d: d.far, lambda job, d: job.far(), FAR_SECONDS, PIECE_SECONDS, shared=True),
    "figures": Measurement(lambda d: d.figures, lambda job, d: job.figures(d), FIGURES_SECONDS),
}
"""In the order of precedence: of two that are due at once the first comes first."""
