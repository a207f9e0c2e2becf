"""Activations alone, and inside the flow."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch

from app import evidence
from app.engine.training.measurements.activity import Activity
from app.features.activations.evidence import NAME, read
from app.features.activations.numbers import measured
from app.features.activations.settings import Activations, label_of
from app.lessons.expression import Unknown
from app.lessons.observables import Observable, known
from resflow_core.activations import activation_named
from resflow_core.expressions import SIGN
from resflow_core.measure import Verdict
from resflow_core.measure.activation import derivatives

if TYPE_CHECKING:
    from app.lessons.observables import Situation


def _activity(at: "Situation") -> Any:
    """Of the flow as it stands."""
    activity = known(at.arm.found(Activity))
    if activity.step != at.arm.step:
        raise Unknown
    return activity


def _log_det_share(at: "Situation") -> float:
    """||g|| / (||g|| + ||b||) with the blocks' gradients g of the mean log det and b of the mean log p(z)."""
    split = _activity(at).split.residual
    return float(split.log_det / (split.log_det + split.base))


@lru_cache(maxsize=32)
def _phi(name: str, z: float) -> tuple[float, float, float]:
    """Value, slope and curvature, divided by the constant."""
    activation = activation_named(name)
    if not activation.is_elementwise:
        raise ValueError("This activation is not a function of one number: it acts on several units together.")
    found = derivatives(activation.function, torch.tensor([z], dtype=torch.float64))
    return tuple(float(part[0]) / activation.lipschitz(2) for part in found)


def _tail(name: str, side: str) -> Any:
    return {"left": measured(name).left, "right": measured(name).right}[side]


def _stored_saturated(name: str) -> float:
    """The mean over seeds."""
    return read(evidence.stored(NAME).found).of[label_of(name)].saturated.mean


def _own(at: "Situation") -> str:
    """The formula that was typed, by the name that activations are asked for."""
    formula = at.bench(Activations).formula
    return SIGN + known(formula or None)


MEASURED = {"activity": "all"}

ACTIVATIONS: dict[str, Observable] = {
    "constant": Observable(
        "the largest slope as it is written", lambda at, name: measured(name).constant.found, arguments=1
    ),
    "starves": Observable(
        "whether its tails starve the log det's gradient",
        lambda at, name: measured(name).verdict is Verdict.STARVES,
        arguments=1,
    ),
    "shows": Observable(
        "whether an activation is drawn", lambda at, name: name in at.bench(Activations).names, arguments=1
    ),
    "slope": Observable("the slope at z", lambda at, name, z: _phi(name, z)[1], arguments=2),
    "curvature": Observable("the curvature at z", lambda at, name, z: _phi(name, z)[2], arguments=2),
    "tail_slope": Observable(
        "the limit of |slope| in a tail", lambda at, name, side: known(_tail(name, side).slope), arguments=2
    ),
    "tail_curvature": Observable(
        "the limit of |curvature| in a tail", lambda at, name, side: known(_tail(name, side).curvature), arguments=2
    ),
    "own": Observable("your own activation", _own),
    "saturated": Observable(
        "the share of saturated units",
        lambda at: float(known(_activity(at).saturation).overall),
        wants=MEASURED,
    ),
    "stored_saturated": Observable(
        "the share of saturated units in the stored flows with an activation",
        lambda at, name: _stored_saturated(name),
        "%",
        arguments=1,
    ),
    "log_det_gradient": Observable(
        "the norm of the log det's gradient in the blocks",
        lambda at: float(_activity(at).split.residual.log_det),
        "nats per unit of a parameter",
        wants=MEASURED,
    ),
    "base_gradient": Observable(
        "the norm of the gradient of the mean log p(z) in the blocks",
        lambda at: float(_activity(at).split.residual.base),
        "nats per unit of a parameter",
        wants=MEASURED,
    ),
    "log_det_share": Observable("the log det's share of both gradients' norms", _log_det_share, wants=MEASURED),
    "pull": Observable(
        "the cosine between both gradients",
        lambda at: float(_activity(at).split.residual.cosine),
        wants=MEASURED,
    ),
}
