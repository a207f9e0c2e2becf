"""Scores with their errors, as people read them."""

from app.engine.reports import ArmReport
from app.metrics import with_error
from resflow_core.measure import Classification, Estimate

NOT_YET = "…"


def share(found: Estimate) -> str:
    """A share as per cent, with its standard error."""
    return f"{_with_error(100 * found.value, 100 * found.standard_error)} %"


def nats(found: Estimate) -> str:
    return _with_error(found.value, found.standard_error)


def _with_error(value: float, error: float) -> str:
    return "{} ± {}".format(*with_error(value, error)) if error else f"{value + 0.0:g}"


def classified(arm: ArmReport) -> Classification | None:
    """The newest scores of a hybrid's classifier."""
    return arm.loss and arm.loss.classified


def accuracy_of(arm: ArmReport) -> str:
    """The accuracy on held-out points, as a sentence."""
    found = classified(arm)
    return f"Accuracy {share(found.accuracy)}." if found else ""
