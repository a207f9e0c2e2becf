"""What is said of a measurement."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.engine.commands import ViewRequest
from resflow_core.breathe import Breathe

Measure = Callable[[Any, ViewRequest, Any, Breathe], Any]
"""(job, request, what is wanted, breathe) -> the record: a frozen dataclass with the `step` that it is of, or None if
the job has none. Steps that `breathe` takes change nothing of what is measured."""


@dataclass(frozen=True)
class Measurement:
    """A measurement of a run while it trains.

    It is made if `ViewRequest.measured` has its name, with a value that is true; that value is what is `wanted`. Its
    newest record is `ArmReport.found` by its type. It is begun anew when what is wanted changes, or a field of the
    request that it `needs`, or, if it is `of_training`, the settings by which training estimates the log det.

    While the flow moves, one begins `every_seconds` after the one before. `pictured`: only arms whose pictures are
    wanted are measured. `at_rest` takes the place of `measure` for a flow that stands still, once its frame is done.
    What somebody pulls at is answered `at_once`: it comes before all else that is due.
    """

    measure: Measure
    every_seconds: float
    needs: tuple[str, ...] = ("edited",)
    of_training: bool = False
    pictured: bool = False
    at_rest: Measure | None = None
    at_once: bool = False

    def depends(self, name: str, request: ViewRequest) -> Any:
        """The part of a request that it depends on, which is false if the page does not ask for it."""
        wanted = request.measured.get(name)
        return wanted and (wanted, *(getattr(request, need) for need in self.needs))

    def function(self, moving: bool) -> Measure:
        """How it is made of a flow that moves, or stands still."""
        return self.measure if moving or self.at_rest is None else self.at_rest
