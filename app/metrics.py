"""Numbers that matter, each with its error and one sentence that says what it is: from a report to plain text."""

import math
from dataclasses import dataclass

import numpy as np

from app.engine.reports import ArmReport
from app.engine.training.measurements.masses import Masses
from resflow_core.data import Dataset
from resflow_core.log_det import Exact, LogDet
from resflow_core.measure import Mass

MOST_DECIMALS = 4
SLACK = 0.01  # a mass this far from 1 is nothing to worry about, however small its error
# The error of a mass that one node makes is three times the mass, which would excuse any. To make so much of 1, a peak
# would have to be thirty times as narrow as a cell.
UNRESOLVED = 1000.0
NOT_YET = "not measured yet"


@dataclass(frozen=True)
class Readout:
    """A large number; `value` is empty where there is none, and `note` then says why. `word` is a verdict, or empty;
    `step` the one at which it was measured."""

    name: str
    label: str
    help: str
    value: str = ""
    error: str = ""
    unit: str = ""
    note: str = ""
    word: str = ""
    step: int | None = None


def readouts(dataset: Dataset, log_det: LogDet, arm: ArmReport) -> list[Readout]:
    """How far the flow is from the truth, what its density integrates to, and what the one it trains on does."""
    shown = [_gap(arm) if dataset.truth else _nll(dataset, arm), _mass(arm)]
    return shown if log_det == Exact() else [*shown, _belief(log_det, arm)]


def held_out_nll(arm: ArmReport) -> tuple[float, float] | None:
    """The newest held-out NLL in nats and its standard error."""
    if arm.loss is None or not len(arm.loss.held_nll):
        return None
    return float(arm.loss.held_nll[-1]), float(arm.loss.held_se[-1])


def gap_to_truth(arm: ArmReport) -> tuple[float, float] | None:
    """The newest KL(data || model) in nats and its standard error; None where nobody knows the truth."""
    if arm.loss is None or not len(arm.loss.held_kl):
        return None
    return float(arm.loss.held_kl[-1]), float(arm.loss.held_kl_se[-1])


def overfits(arm: ArmReport) -> bool:
    """Whether the newest held-out NLL is above its best by more than two standard errors."""
    nll = held_out_nll(arm)
    return nll is not None and bool(nll[0] - np.nanmin(arm.loss.held_nll) > 2 * nll[1])


def is_standardised(dataset: Dataset) -> bool:
    """Whether the flow's units are not those of the axes, so that a log density belongs to the former."""
    return any(axis.scale != 1 for axis in dataset.axes)


def with_error(value: float, error: float, most: int = MOST_DECIMALS) -> tuple[str, str]:
    """Value and error as text, with the decimals that the error deserves: one digit of it, two if the first is a 1. At
    `most` so many."""
    if not math.isfinite(value):
        return ("\N{INFINITY}" if value == math.inf else "not finite"), ""
    if abs(value) >= 1e5:
        return f"{value:.2e}", f"{error:.0e}"
    if not math.isfinite(error):
        return f"{value:.3g}", "unknown"
    decimals = most
    if error > 0:
        power = math.floor(math.log10(error))
        decimals = max(0, min(most, -power + (error < 2 * 10.0**power)))
    smallest = 10.0**-decimals
    rounded = round(value, decimals) + 0.0  # no -0.00
    return f"{rounded:.{decimals}f}", f"{error:.{decimals}f}" if error >= smallest / 2 else f"< {smallest:.{decimals}f}"


def with_two_digits(rate: float) -> str:
    """A rate as text: whole, or as two digits where it is slow."""
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def is_one(mass: Mass) -> bool:
    """Whether a mass is 1 as far as its error lets us say. No error makes 1 of more than `UNRESOLVED`."""
    least = max(mass.value - 3 * mass.error, mass.value / UNRESOLVED)
    return math.isfinite(mass.value) and least - SLACK <= 1 <= mass.value + 3 * mass.error + SLACK


def share_in_window(mass: Mass) -> float:
    """The part of a mass that is in the window, 0 to 1; not a number where the mass is 0 or not finite."""
    return mass.window / mass.value if mass.value and math.isfinite(mass.value) else math.nan


def _gap(arm: ArmReport) -> Readout:
    gap = gap_to_truth(arm)
    value, error = with_error(*gap) if gap else ("", "")
    return Readout(
        "gap",
        "Gap to the truth",
        "Mean of log p_true − log p_model over held-out points, with its standard error. 0 is a perfect fit.",
        value,
        error,
        unit="nats",
        note="KL(data || model)" if gap else NOT_YET,
        step=_held_step(arm) if gap else None,
    )


def _nll(dataset: Dataset, arm: ArmReport) -> Readout:
    nll = held_out_nll(arm)
    value, error = with_error(*nll) if nll else ("", "")
    return Readout(
        "nll",
        "Held-out NLL",
        "Mean of −log p over held-out points, on which the flow never trains, with its standard error. The true "
        "density is not known. If this number rises again, the flow learns its training points by heart: stop earlier, "
        "or use fewer blocks.",
        value,
        error,
        unit="nats",
        note=NOT_YET if not nll else "in standardised units" if is_standardised(dataset) else "",
        word="overfitting" if overfits(arm) else "",
        step=_held_step(arm) if nll else None,
    )


def _held_step(arm: ArmReport) -> int | None:
    """Of the newest losses on held-out points."""
    return None if arm.loss is None else int(arm.loss.held_step[-1])


def _mass(arm: ArmReport) -> Readout:
    label = "Mass of the density"
    about = (
        "Integral of the density over the plane, with the exact log det and the error of the quadrature. It is 1 for "
        "every invertible flow."
    )
    masses = arm.found(Masses)
    return _read("mass", label, about, masses and masses.exact, NOT_YET, arm)


def _belief(log_det: LogDet, arm: ArmReport) -> Readout:
    label = "Mass that training believes in"
    about = (
        "Integral over the plane of the density that the training loss believes in. It would be 1 if the log det were "
        "exact."
    )
    masses = arm.found(Masses)
    is_known = masses is not None and masses.log_det == log_det
    believed, why_not = (masses.believed, masses.belief) if is_known else (None, "")
    return _read("believed", label, about, believed, why_not or NOT_YET, arm)


def _of_step(arm: ArmReport) -> str:
    """Masses take seconds, and stand beside newer numbers: of which step they are, where it is not the current one."""
    masses = arm.found(Masses)
    return f"step {masses.step:,}; " if masses and masses.step != arm.step else ""


def _read(name: str, label: str, about: str, mass: Mass | None, why_not: str, arm: ArmReport) -> Readout:
    masses = arm.found(Masses)
    if mass is None or masses is None:
        return Readout(name, label, about, note=why_not)
    value, error = with_error(mass.value, mass.error)
    share = share_in_window(mass)
    within = f"{100 * share:.1f} %" if math.isfinite(share) else with_error(mass.window, math.inf)[0]
    return Readout(
        name,
        label,
        about,
        value,
        error,
        note=f"{_of_step(arm)}{within} in the window",
        word="" if is_one(mass) else "not 1",
        step=masses.step,
    )
