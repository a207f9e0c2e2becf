"""The flow in training, and what its loss believes in."""

from typing import TYPE_CHECKING, Any

import numpy as np

from app.engine.training.measurements.jacobians import Jacobians
from app.engine.training.measurements.masses import Masses
from app.estimates.maps import series_error
from app.lessons.expression import Unknown
from app.lessons.observables import Observable, blocks, known
from app.metrics import gap_to_truth, held_out_nll
from app.setup import edited_by
from resflow_core.training.parameter_count import parameter_count

if TYPE_CHECKING:
    from app.lessons.observables import Situation


def _gap(at: "Situation", which: int) -> float:
    return known(gap_to_truth(at.arm))[which]


def _after(at: "Situation", name: str, steps: int) -> float:
    """Where it was first measured with so many steps done."""
    loss = known(at.arm.loss)
    there, values = np.flatnonzero(loss.held_step >= steps), getattr(loss, name)
    if not len(values) or not len(there):
        raise Unknown
    return float(values[there[0]])


def _flattered_loss(at: "Situation") -> tuple[Any, int]:
    """The curves, and the last measurement at which the log det of the loss had a bias: another log det may follow."""
    loss = known(at.arm.loss)
    there = np.flatnonzero(np.nan_to_num(loss.held_bias) != 0)
    if not len(there):
        raise Unknown
    return loss, int(there[-1])


def _flattered_nll(at: "Situation") -> float:
    loss, last = _flattered_loss(at)
    return float(loss.held_nll[last])


def _flattered_belief(at: "Situation") -> float:
    loss, last = _flattered_loss(at)
    return float(loss.held_nll[last] - loss.held_bias[last])


def _flattered_rise(at: "Situation") -> float:
    loss, last = _flattered_loss(at)
    return float(loss.held_nll[last] - np.nanmin(loss.held_nll[: last + 1]))


def _nll(at: "Situation", which: int) -> float:
    return known(held_out_nll(at.arm))[which]


def _loss(at: "Situation", name: str) -> float:
    loss = known(at.arm.loss)
    values = getattr(loss, name)
    if not len(values):
        raise Unknown
    return float(values[-1])


def _masses(at: "Situation") -> Any:
    """Of the flow as it stands."""
    masses = known(at.arm.found(Masses))
    if masses.step != at.arm.step or masses.edited != edited_by(at.benches.values(), at.setup.flow):
        raise Unknown
    return masses


def _trained(at: "Situation", steps: int) -> bool:
    """True; unknown until held-out points were measured after so many steps: what is predicted is not known before."""
    loss = known(at.arm.loss)
    if not len(loss.held_step) or loss.held_step[-1] < steps:
        raise Unknown
    return True


def _believed_mass(at: "Situation") -> float:
    """By the log det that trains now."""
    masses = _masses(at)
    if masses.log_det != at.setup.train.log_det:
        raise Unknown
    return known(masses.believed).value


def _believed_nll(at: "Situation") -> float:
    """What training takes the held-out NLL for."""
    return _nll(at, 0) - _loss(at, "held_bias")


def _above_best(at: "Situation") -> float:
    """By how much the held-out NLL is above the best that it was."""
    return _nll(at, 0) - float(np.nanmin(at.arm.loss.held_nll))


def _flattered(at: "Situation", terms: int) -> tuple[complex, float]:
    """The eigenvalue of all blocks, over data, at which a series of so many terms is farthest too high, and by what."""
    found = np.linalg.eigvals(known(at.arm.found(Jacobians)).points.astype(float)).astype(complex).flatten()
    error = series_error(found, int(terms))
    most = int(error.argmax())
    return complex(found[most]), float(error[most])


# Nodes a side of the grid that comes with the Jacobians at data points, which are asked for.
GRID = 20

FLOW: dict[str, Observable] = {
    "step": Observable("steps trained", lambda at: at.arm.step, "steps", wants={}),
    "trained": Observable("whether so many steps were trained, and measured", _trained, arguments=1, wants={}),
    "gap": Observable("the gap to the truth", lambda at: _gap(at, 0), "nats", error="gap_error", wants={}),
    "gap_error": Observable("its standard error", lambda at: _gap(at, 1), "nats", wants={}),
    "gap_after": Observable(
        "the gap to the truth after so many steps",
        lambda at, steps: _after(at, "held_kl", steps),
        "nats",
        arguments=1,
        wants={},
    ),
    "nll": Observable("the held-out NLL", lambda at: _nll(at, 0), "nats", error="nll_error", wants={}),
    "nll_error": Observable("its standard error", lambda at: _nll(at, 1), "nats", wants={}),
    "entropy": Observable("the entropy of the data", lambda at: at.setup.dataset.truth.entropy, "nats"),
    "belief_bias": Observable(
        "the bias of log p that training believes in",
        lambda at: _loss(at, "held_bias"),
        "nats",
        error="belief_error",
        wants={},
    ),
    "belief_error": Observable("its standard error", lambda at: _loss(at, "held_bias_se"), "nats", wants={}),
    "believed_nll": Observable("the held-out NLL that training believes in", _believed_nll, "nats", wants={}),
    "nll_after": Observable(
        "the held-out NLL after so many steps",
        lambda at, steps: _after(at, "held_nll", steps),
        "nats",
        arguments=1,
        wants={},
        is_of_curves=True,
    ),
    "believed_nll_after": Observable(
        "the held-out NLL that training believed in after so many steps",
        lambda at, steps: _after(at, "held_nll", steps) - _after(at, "held_bias", steps),
        "nats",
        arguments=1,
        wants={},
        is_of_curves=True,
    ),
    "above_best": Observable(
        "the held-out NLL above its best so far", _above_best, "nats", wants={}, is_of_curves=True
    ),
    "flattered_nll": Observable(
        "the held-out NLL when training was last flattered by a bias of its log det",
        _flattered_nll,
        "nats",
        wants={},
        is_of_curves=True,
    ),
    "flattered_belief": Observable(
        "the held-out NLL that training believed in then", _flattered_belief, "nats", wants={}, is_of_curves=True
    ),
    "flattered_rise": Observable(
        "the held-out NLL then, above its best until then", _flattered_rise, "nats", wants={}, is_of_curves=True
    ),
    "flattered_at": Observable(
        "the real part of the eigenvalue for which a series of n terms is most too high",
        lambda at, n: _flattered(at, n)[0].real,
        arguments=1,
        wants={"jacobians": GRID},
    ),
    "flattered_by": Observable(
        "by how much the series is too high there",
        lambda at, n: _flattered(at, n)[1],
        "nats",
        1,
        wants={"jacobians": GRID},
    ),
    "mass": Observable("the mass of the density", lambda at: _masses(at).exact.value, wants={"masses": True}),
    "believed_mass": Observable("the mass that training believes in", _believed_mass, wants={"masses": True}),
    "parameters": Observable("numbers that the flow learns", lambda at: parameter_count(at.setup.flow)),
    "least_share": Observable(
        "the least mean log det of a block", lambda at: float(blocks(at).mean_log_det.min()), "nats", wants={}
    ),
    "largest_share": Observable(
        "the largest mean log det of a block", lambda at: float(blocks(at).mean_log_det.max()), "nats", wants={}
    ),
    "steepest": Observable("the largest ‖A‖ seen", lambda at: float(blocks(at).largest_norm.max()), wants={}),
    "claimed": Observable("the claimed L of a block", lambda at: at.setup.flow.budget),
    "certified": Observable(
        "the largest certified L of a block", lambda at: float(blocks(at).layer_norms.prod(1).max()), wants={}
    ),
    "flow_radius": Observable(
        "the largest ρ(A) over data", lambda at: float(blocks(at).spectral_radius.max()), wants={}
    ),
    "beyond": Observable(
        "the largest share of points where a block's variance is infinite",
        lambda at: float(known(blocks(at).beyond).max()),
        wants={},
    ),
}
