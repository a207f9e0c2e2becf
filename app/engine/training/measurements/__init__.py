"""What is measured of a run while it trains.

To add a measurement, write a file here and an entry of `MEASUREMENTS`. The file has the record, which is a frozen
dataclass with the `step` that it is of; a function (job, request, what is wanted, breathe) -> record; and a
`Measurement`, which says how often it is made and on what it depends. A page then asks for it by its name in
`ViewRequest.measured`, and finds the record by its type in `ArmReport.found`.

`views.py` says when each is due. Frames and held-out losses are part of every run, and stand there.
"""

from app.engine.training.measurements import (
    activity,
    bounds,
    derivatives,
    edits,
    far,
    inversion,
    jacobians,
    masses,
    point,
    results,
)
from app.engine.training.measurements.measurement import Measurement

MEASUREMENTS: dict[str, Measurement] = {
    "point": point.POINT,
    "edits": edits.EDITS,
    "masses": masses.MASSES,
    "bounds": bounds.BOUNDS,
    "jacobians": jacobians.JACOBIANS,
    "inversion": inversion.INVERSION,
    "activity": activity.ACTIVITY,
    "derivatives": derivatives.DERIVATIVES,
    "far": far.FAR,
    "results": results.RESULTS,
}
"""In the order of precedence: of two that are due at once the first comes first."""
