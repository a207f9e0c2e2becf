"""What is measured of a run while it trains. A file with a record and its function, and one entry, add a measurement.

How it is asked for, when it is due, and how two reports of it merge follows from the entry (`measurement.py`);
`views.py` has it made when it is due, between frames and held-out losses, which are part of every run.
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
