"""Scores with their errors, and what they come to, as people read them."""

from app.contests import LEAST_SEEDS, LEVEL
from app.engine.reports import ArmReport
from app.features.joint.numbers import Claim, Cost, Verdict, classified
from app.metrics import with_error
from app.text import signed
from app.ui.bands import Band
from resflow_core.measure import Estimate

NOT_YET = "…"


def share(found: Estimate) -> str:
    """A share as per cent, with its standard error."""
    return f"{_with_error(100 * found.value, 100 * found.standard_error)} %"


def nats(found: Estimate) -> str:
    return _with_error(found.value, found.standard_error)


def _with_error(value: float, error: float) -> str:
    return "{} ± {}".format(*with_error(value, error)) if error else f"{value + 0.0:g}"


def accuracy_of(arm: ArmReport) -> str:
    """The accuracy on held-out points, as a sentence."""
    found = classified(arm)
    return f"Accuracy {share(found.accuracy)}." if found else ""


def sentences(found: Claim) -> list[str]:
    """Whether the residual flow keeps more of its accuracy, as the paper claims, at each weight."""
    return [about(cost) for cost in found.costs] or ["Not measured yet."]


def about(found: Cost) -> str:
    ours, theirs = _points(found.residual), _points(found.other)
    seeds = f"after {found.steps:,} steps over {found.seeds} seed{'s' * (found.seeds > 1)}"
    numbers = f"the residual flow loses {ours} points of accuracy and {found.peer} loses {theirs}, {seeds}"
    at = f"at λ = {found.weight:g}: {numbers}"
    if found.verdict is Verdict.FEW_SEEDS:
        return f"**Too few seeds to decide** {at}. Take {LEAST_SEEDS} or more."
    if found.verdict is Verdict.SHOWS:
        return f"**This agrees with the paper's claim** {at} (exact test, p ≤ {LEVEL:g})."
    if found.verdict is Verdict.OPPOSITE:
        return f"**This contradicts the paper's claim** {at} (exact test, p ≤ {LEVEL:g})."
    return f"**The seeds do not decide** {at}."


def _points(of: Band) -> str:
    mean, low, high = (f"{value + 0.0:.2f}" for value in (of.mean, of.low, of.high))
    return signed(mean if low == high else f"{mean} ({low} to {high})")
