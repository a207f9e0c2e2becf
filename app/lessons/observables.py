"""What a lesson may ask: one entry of `OBSERVABLES` adds one. Settings are asked for by their names in links."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from app.activations.settings import Activations
from app.bench.coins import parsed
from app.bench.maps import series_error
from app.bench.settings import Bench
from app.bench.sweeps import Cost, Subject, across_batches, cost, optimum, subject_of
from app.bench.tally import THROWS_EACH, coverage, furthest, thrown_settings
from app.engine.messages import ArmReport, Report
from app.lessons.expression import Unknown
from app.lessons.settings import Benches, changed, setting_values
from app.lipschitz.induced import induced
from app.lipschitz.settings import Lipschitz
from app.readouts import gap_to_truth, held_out_nll
from app.setup import Setup
from app.stretch.density import follow, log_density, total
from app.stretch.settings import Stretch
from resflow_core.formula import SIGN, activation_named
from resflow_core.log_det import Roulette
from resflow_core.measure import Verdict, criteria
from resflow_core.moments import believed_log_det
from resflow_core.planted import PLANTED
from resflow_core.roulette import expected_terms
from resflow_core.size import parameters
from resflow_core.throws import values

# Of a float64's exponential.
LARGEST_EXPONENT = 709


@dataclass(frozen=True, eq=False)
class Situation:
    """What is known on a page: settings, what was thrown, the newest report of the flow, and a learner's answers."""

    setup: Setup = field(default_factory=Setup)
    benches: Benches = field(default_factory=dict)
    thrown: np.ndarray = field(default_factory=lambda: np.empty(0))  # estimates, in nats
    coins: str = ""  # what a class has thrown
    report: Report | None = None
    answers: Mapping[str, Any] = field(default_factory=dict)
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, int))  # of throws with N = 0, 1, ...

    def bench(self, kind: type) -> Any:
        return self.benches[kind]

    @property
    def arm(self) -> ArmReport:
        if self.report is None or not self.report.arms:
            raise Unknown
        return self.report.arms[0]

    def value(self, name: str, arguments: tuple[Any, ...] = ()) -> Any:
        """Of an observable or a setting. Raises `Unknown` where it is not known yet, and ValueError."""
        if name in OBSERVABLES:
            return OBSERVABLES[name].read(self, *arguments)
        settings = setting_values(self.setup, self.benches)
        if name not in settings:
            raise ValueError(f"`{name}` is no setting of what is chosen now.")
        return settings[name]

    def changed(self, settings: Mapping[str, str]) -> "Situation":
        """The same with other settings; what was thrown and measured belongs to those before."""
        setup, benches = changed(self.setup, self.benches, settings)
        return replace(
            self, setup=setup, benches=benches, thrown=np.empty(0), counts=np.zeros(0, int), coins="", report=None
        )


@dataclass(frozen=True)
class Observable:
    """A quantity with its unit. `error` names the observable that is its standard error. `wants` are the fields of the
    engine's `Demand` without which it is not measured; None where no flow is needed."""

    title: str
    read: Callable[..., Any]
    unit: str = ""
    arguments: int = 0
    error: str = ""
    wants: tuple[str, ...] | None = None


def _map_density(at: Situation) -> float:
    """As it is drawn, with or without the determinant."""
    bench = at.bench(Stretch)
    return float(np.exp(log_density(bench.f, bench.base, np.array([bench.point]), bench.forget))[0])


def _map_mass(at: Situation) -> float:
    bench = at.bench(Stretch)
    return total(bench.f, bench.base, bench.forget).value


def _map_move(at: Situation) -> float:
    found = follow(at.bench(Stretch))
    return float(np.linalg.norm(found.z - found.x))


def _map_norm(at: Situation) -> float:
    """||A||_2 with A = J - I, at the point."""
    return float(np.linalg.norm(follow(at.bench(Stretch)).jacobian - np.eye(2), 2))


def _subject(at: Situation) -> Subject:
    return subject_of(replace(at.bench(Bench), subject="matrix", quantity="log_det"), None)


def _series(at: Situation, n_terms: int) -> float:
    """sum_{k<=n} a_k tr(A^k)."""
    subject = _subject(at)
    return subject.truth + subject.bias(n_terms)


def _needed(at: Situation, error: float) -> int:
    """The fewest terms from which on the bias stays within +-error."""
    left = _subject(at).remainders.trace.abs()  # of R_0, R_1, ...; the bias of n terms is -tr R_{n+1}
    beyond = (left > error).nonzero()
    return max(int(beyond.max()), 1) if len(beyond) else 1


def _trace(at: Situation, power: int) -> float:
    return float(np.trace(np.linalg.matrix_power(at.bench(Bench).array, power)))


def _cost(at: Situation) -> Cost:
    bench = at.bench(Bench)
    return cost(_subject(at), bench.law, bench.probe, bench.n_probes, bench.n_draws)


def _optimal(at: Situation) -> Cost:
    bench, subject = at.bench(Bench), _subject(at)
    if (law := optimum(subject, bench)) is None:
        raise Unknown
    return cost(subject, law, bench.probe, bench.n_probes)


def _batch_deviation(at: Situation, batch: int, shared: bool) -> float:
    """Of the mean over a batch of points with this A, with an N of their own or one for all."""
    found = across_batches(_subject(at), replace(at.bench(Bench), batch=int(batch)))
    return float((found.shared if shared else found.own)[np.searchsorted(found.sizes, int(batch))])


def _survival(at: Situation, terms: int) -> float:
    return float(at.bench(Bench).law.survival(torch.tensor([terms]))[0])


def _factor(at: Situation) -> float:
    """E exp(estimate) / det(I + A)."""
    bench = at.bench(Bench)
    believed = believed_log_det(Roulette(bench.law, bench.probe), torch.as_tensor(bench.array)[None])
    above = float(believed) - _subject(at).truth
    return math.exp(above) if above < LARGEST_EXPONENT else math.inf


def _mean(at: Situation) -> float:
    if not len(at.thrown):
        raise Unknown
    return float(at.thrown.mean())


def _mean_error(at: Situation) -> float:
    if len(at.thrown) < 2:
        raise Unknown
    return float(at.thrown.std(ddof=1) / len(at.thrown) ** 0.5)


def _spread(at: Situation, first: int) -> float:
    if not 2 <= first <= len(at.thrown):
        raise Unknown
    return float(at.thrown[: int(first)].std(ddof=1))


def _furthest_throw(at: Situation) -> float:
    if not len(at.thrown):
        raise Unknown
    return float(np.abs(at.thrown - _subject(at).truth).max())


def _share(at: Situation, terms: int) -> float:
    if not at.counts.sum():
        raise Unknown
    return float(at.counts[int(terms)] / at.counts.sum()) if terms < len(at.counts) else 0.0


def _law_gap(at: Situation) -> float:
    if (found := furthest(at.bench(Bench).law, at.counts)) is None:
        raise Unknown
    return found.off


def _bug_mean(at: Situation, bug: str) -> float:
    bench = at.bench(Bench)
    return PLANTED[bug].mean(bench.array, bench.law)


def _suspect_mean(at: Situation) -> float:
    bench = at.bench(Bench)
    return bench.estimator.mean(bench.array, bench.law)


def _coins(at: Situation) -> np.ndarray:
    """The estimates that a class has thrown; none while what was typed cannot be read."""
    bench = at.bench(Bench)
    try:
        n, signs = parsed(at.coins, getattr(bench.law, "n_exact", 0))
    except ValueError:
        raise Unknown from None
    return values(bench.array, bench.law, n, np.stack([np.ones(len(n)), signs], 1)) if len(n) else np.empty(0)


def _coin_mean(at: Situation) -> float:
    if not len(thrown := _coins(at)):
        raise Unknown
    return float(thrown.mean())


def _coin_error(at: Situation) -> float:
    if len(thrown := _coins(at)) < 2:
        raise Unknown
    return float(thrown.std(ddof=1) / len(thrown) ** 0.5)


def _coverage(at: Situation, throws: int) -> float:
    shares, _ = coverage(thrown_settings(at.bench(Bench)), _subject(at).truth)
    return shares[THROWS_EACH.index(throws)]


def _known(value: Any) -> Any:
    if value is None:
        raise Unknown
    return value


def _gap(at: Situation, which: int) -> float:
    return _known(gap_to_truth(at.arm))[which]


def _gap_after(at: Situation, steps: int) -> float:
    """Where it was first measured with so many steps done."""
    loss = _known(at.arm.loss)
    there = np.flatnonzero(loss.held_step >= steps)
    if not len(loss.held_kl) or not len(there):
        raise Unknown
    return float(loss.held_kl[there[0]])


def _nll(at: Situation, which: int) -> float:
    return _known(held_out_nll(at.arm))[which]


def _loss(at: Situation, name: str) -> float:
    loss = _known(at.arm.loss)
    values = getattr(loss, name)
    if not len(values):
        raise Unknown
    return float(values[-1])


def _masses(at: Situation) -> Any:
    """Of the flow as it stands."""
    masses = _known(at.arm.masses)
    if masses.step != at.arm.step or masses.scaled != at.bench(Lipschitz).scaled(at.setup.flow.blocks):
        raise Unknown
    return masses


def _blocks(at: Situation) -> Any:
    """Of the flow as it stands: they are measured with the held-out losses."""
    blocks, loss = _known(at.arm.blocks), _known(at.arm.loss)
    if not len(loss.held_step) or loss.held_step[-1] != at.arm.step:
        raise Unknown
    return blocks


def _inversion(at: Situation) -> Any:
    """Of the flow and the bench as they stand."""
    found, bench = _known(at.arm.inversion), at.bench(Lipschitz)
    if found.step != at.arm.step or found.scaled != bench.scaled(at.setup.flow.blocks):
        raise Unknown
    if (bench.block and found.found.block != bench.block - 1) or found.found.method != bench.method:
        raise Unknown
    return found.found


def _induced(at: Situation, which: int) -> float:
    """A bound of the norm of the matrix on the bench, from above or from below."""
    bench = at.bench(Lipschitz)
    return induced(bench.matrix, bench.p, bench.q)[which]


def _trained(at: Situation, steps: int) -> bool:
    """True; unknown until held-out points were measured after so many steps: what is predicted is not known before."""
    loss = _known(at.arm.loss)
    if not len(loss.held_step) or loss.held_step[-1] < steps:
        raise Unknown
    return True


def _believed_nll(at: Situation) -> float:
    """What training takes the held-out NLL for."""
    return _nll(at, 0) - _loss(at, "held_bias")


def _above_best(at: Situation) -> float:
    """By how much the held-out NLL is above the best that it was."""
    return _nll(at, 0) - float(np.nanmin(at.arm.loss.held_nll))


def _flattered(at: Situation, terms: int) -> tuple[complex, float]:
    """The eigenvalue of all blocks, over data, at which a series of so many terms is farthest too high, and by what."""
    found = np.linalg.eigvals(_known(at.arm.jacobians).points.astype(float)).astype(complex).flatten()
    error = series_error(found, int(terms))
    most = int(error.argmax())
    return complex(found[most]), float(error[most])


def _activity(at: Situation) -> Any:
    """Of the flow as it stands."""
    activity = _known(at.arm.activity)
    if activity.step != at.arm.step:
        raise Unknown
    return activity


def _log_det_share(at: Situation) -> float:
    """||g|| / (||g|| + ||b||) with the gradients g of the mean log det and b of the mean log p(z)."""
    whole = _activity(at).split.whole
    return float(whole.log_det / (whole.log_det + whole.base))


@lru_cache(maxsize=32)
def _criteria(name: str) -> Any:
    return criteria(activation_named(name))


def _phi(name: str, z: float) -> tuple[float, float, float]:
    """Value, slope and curvature, divided by the constant."""
    return tuple(float(part[0]) for part in activation_named(name).phi(torch.tensor([z], dtype=torch.float64)))


def _tail(name: str, side: str) -> Any:
    return {"left": _criteria(name).left, "right": _criteria(name).right}[side]


def _own(at: Situation) -> str:
    """The formula that was typed, by the name that activations are asked for."""
    formula = at.bench(Activations).formula
    return SIGN + _known(formula or None)


OBSERVABLES: dict[str, Observable] = {
    # The map of the Stretch screen
    "map_det": Observable("det J at the point", lambda at: follow(at.bench(Stretch)).det),
    "map_log_det": Observable("log|det J| at the point", lambda at: follow(at.bench(Stretch)).log_det, "nats"),
    "map_density": Observable("the density at the point", _map_density),
    "map_base_density": Observable("the base density at z", lambda at: math.exp(follow(at.bench(Stretch)).log_base)),
    "map_mass": Observable("the mass over x", _map_mass),
    "map_area": Observable("the area of the square around the point", lambda at: follow(at.bench(Stretch)).area),
    "map_image_area": Observable("the area of its image", lambda at: follow(at.bench(Stretch)).image_area),
    "map_move": Observable("how far the point moves", _map_move),
    "map_norm": Observable("‖J − I‖ at the point", _map_norm),
    # The matrix of the estimator's bench, in closed form
    "truth": Observable("log det(I + A)", lambda at: _subject(at).truth, "nats"),
    "entry": Observable(
        "an entry of A", lambda at, i, j: float(at.bench(Bench).array[int(i) - 1, int(j) - 1]), arguments=2
    ),
    "trace": Observable("tr(A^k)", _trace, arguments=1),
    "series": Observable("the series cut after n terms", _series, "nats", arguments=1),
    "bias": Observable("the bias of the series cut after n terms", lambda at, n: _subject(at).bias(n), "nats", 1),
    "needed": Observable("the terms from which on the bias stays that small", _needed, "terms", 1),
    "radius": Observable("the spectral radius of A", lambda at: at.bench(Bench).radius),
    "survival": Observable("P(N >= k)", _survival, arguments=1),
    "terms": Observable("the expected number of terms", lambda at: expected_terms(at.bench(Bench).law), "terms"),
    "variance": Observable("the variance of one estimate", lambda at: _cost(at).total, "nats²"),
    "deviation": Observable("the standard deviation of one estimate", lambda at: _cost(at).total ** 0.5, "nats"),
    "probe_variance": Observable("the probe's part of the variance", lambda at: _cost(at).probe, "nats²"),
    "roulette_variance": Observable("the roulette's part of the variance", lambda at: _cost(at).roulette, "nats²"),
    "product": Observable("variance times expected terms", lambda at: _cost(at).product, "nats²"),
    "optimal_product": Observable("the same with the best law", lambda at: _optimal(at).product, "nats²"),
    "optimal_terms": Observable("the best law's expected number of terms", lambda at: _optimal(at).terms, "terms"),
    "batch_deviation": Observable(
        "the deviation of the mean over B points", lambda at, b: _batch_deviation(at, b, False), "nats", 1
    ),
    "shared_deviation": Observable(
        "the same with one N for all", lambda at, b: _batch_deviation(at, b, True), "nats", arguments=1
    ),
    "factor": Observable("E exp(estimate) over det(I + A)", _factor, "times"),
    # What was thrown
    "throws": Observable("throws", lambda at: len(at.thrown), "throws"),
    "mean": Observable("the mean of the throws", _mean, "nats", error="mean_error"),
    "mean_error": Observable("the standard error of the mean", _mean_error, "nats"),
    "spread": Observable("the standard deviation of the first n throws", _spread, "nats", arguments=1),
    "furthest_throw": Observable("the largest distance of a throw from the truth", _furthest_throw, "nats"),
    "share": Observable("the share of throws with N = n", _share, arguments=1),
    "law_gap": Observable(
        "how far the shares of N are from their law, at worst", _law_gap, "standard errors of independent throws"
    ),
    "suspect_mean": Observable("the mean of who throws, in closed form", _suspect_mean, "nats"),
    "bug_mean": Observable("the mean with a bug of `PLANTED`, in closed form", _bug_mean, "nats", arguments=1),
    "coverage": Observable("the share of error bars that hold the truth", _coverage, arguments=1),
    "coin_throws": Observable("throws of real coins", lambda at: len(_coins(at)), "throws"),
    "coin_mean": Observable("the mean of the coins", _coin_mean, "nats", error="coin_error"),
    "coin_error": Observable("its standard error", _coin_error, "nats"),
    # The flow
    "step": Observable("steps trained", lambda at: at.arm.step, "steps", wants=()),
    "trained": Observable("whether so many steps were trained, and measured", _trained, arguments=1, wants=()),
    "gap": Observable("the gap to the truth", lambda at: _gap(at, 0), "nats", error="gap_error", wants=()),
    "gap_error": Observable("its standard error", lambda at: _gap(at, 1), "nats", wants=()),
    "gap_after": Observable("the gap to the truth after so many steps", _gap_after, "nats", arguments=1, wants=()),
    "nll": Observable("the held-out NLL", lambda at: _nll(at, 0), "nats", error="nll_error", wants=()),
    "nll_error": Observable("its standard error", lambda at: _nll(at, 1), "nats", wants=()),
    "entropy": Observable("the entropy of the data", lambda at: at.setup.dataset.truth.entropy, "nats"),
    "belief_bias": Observable(
        "the bias of log p that training believes in",
        lambda at: _loss(at, "held_bias"),
        "nats",
        error="belief_error",
        wants=(),
    ),
    "belief_error": Observable("its standard error", lambda at: _loss(at, "held_bias_se"), "nats", wants=()),
    "believed_nll": Observable("the held-out NLL that training believes in", _believed_nll, "nats", wants=()),
    "above_best": Observable("the held-out NLL above its best so far", _above_best, "nats", wants=()),
    "flattered_at": Observable(
        "the real part of the eigenvalue that a series of n terms flatters most",
        lambda at, n: _flattered(at, n)[0].real,
        arguments=1,
        wants=("jacobians",),
    ),
    "flattered_by": Observable(
        "by how much it is flattered", lambda at, n: _flattered(at, n)[1], "nats", 1, wants=("jacobians",)
    ),
    "mass": Observable("the mass of the density", lambda at: _masses(at).exact.value, wants=("masses",)),
    "believed_mass": Observable(
        "the mass that training believes in", lambda at: _known(_masses(at).believed).value, wants=("masses",)
    ),
    "parameters": Observable("numbers that the flow learns", lambda at: parameters(at.setup.flow)),
    "least_share": Observable(
        "the least mean log det of a block", lambda at: float(_blocks(at).mean_log_det.min()), "nats", wants=()
    ),
    "largest_share": Observable(
        "the largest mean log det of a block", lambda at: float(_blocks(at).mean_log_det.max()), "nats", wants=()
    ),
    "steepest": Observable("the largest ‖A‖ seen", lambda at: float(_blocks(at).largest_norm.max()), wants=()),
    "claimed": Observable("the claimed L of a block", lambda at: at.setup.flow.budget),
    "certified": Observable(
        "the largest certified L of a block", lambda at: float(_blocks(at).layer_norms.prod(1).max()), wants=()
    ),
    "flow_radius": Observable(
        "the largest ρ(A) over data", lambda at: float(_blocks(at).spectral_radius.max()), wants=()
    ),
    "beyond": Observable(
        "the largest share of points where a block's variance is infinite",
        lambda at: float(_known(_blocks(at).beyond).max()),
        wants=(),
    ),
    # One block's inverse
    "bound": Observable("the certified bound s L", lambda at: _inversion(at).lipschitz, wants=("inversion",)),
    "smallest_det": Observable(
        "the smallest det(I + s A)", lambda at: float(_inversion(at).det.min()), wants=("inversion",)
    ),
    "folds_at": Observable(
        "the scale at which it folds",
        lambda at: float(_inversion(at).breaking[_inversion(at).block]),
        wants=("inversion",),
    ),
    "preimages": Observable("x found for this z", lambda at: len(_inversion(at).preimages), wants=("inversion",)),
    "iterations": Observable(
        "the most steps that the iteration takes",
        lambda at: float(np.nan_to_num(_inversion(at).steps, nan=math.inf).max()),
        "steps",
        wants=("inversion",),
    ),
    "block_norm": Observable(
        "the largest ‖sA‖ of this block seen",
        lambda at: float(_blocks(at).largest_norm[_inversion(at).block]),
        wants=("inversion",),
    ),
    "block_radius": Observable(
        "the largest ρ(sA) of this block seen",
        lambda at: float(_blocks(at).spectral_radius[_inversion(at).block]),
        wants=("inversion",),
    ),
    "refused": Observable("whether samples are refused", lambda at: bool(_inversion(at).refusal), wants=("inversion",)),
    # A matrix of the plane between two norms
    "norm_above": Observable("‖W‖ from p to q, at most", lambda at: _induced(at, 0)),
    "norm_below": Observable("‖W‖ from p to q, at least", lambda at: _induced(at, 1)),
    # Activations alone and inside the flow
    "constant": Observable(
        "the largest slope as it is written", lambda at, name: _criteria(name).constant.found, arguments=1
    ),
    "starves": Observable(
        "whether its tails starve the log det's gradient",
        lambda at, name: _criteria(name).verdict is Verdict.STARVES,
        arguments=1,
    ),
    "shows": Observable(
        "whether an activation is drawn", lambda at, name: name in at.bench(Activations).names, arguments=1
    ),
    "slope": Observable("the slope at z", lambda at, name, z: _phi(name, z)[1], arguments=2),
    "curvature": Observable("the curvature at z", lambda at, name, z: _phi(name, z)[2], arguments=2),
    "tail_slope": Observable(
        "the limit of |slope| in a tail", lambda at, name, side: _known(_tail(name, side).slope), arguments=2
    ),
    "tail_curvature": Observable(
        "the limit of |curvature| in a tail", lambda at, name, side: _known(_tail(name, side).curvature), arguments=2
    ),
    "own": Observable("your own activation", _own),
    "saturated": Observable(
        "the share of saturated units",
        lambda at: float(_known(_activity(at).saturation).overall),
        wants=("activity",),
    ),
    "log_det_gradient": Observable(
        "the norm of the log det's gradient",
        lambda at: float(_activity(at).split.whole.log_det),
        "nats per unit",
        wants=("activity",),
    ),
    "base_gradient": Observable(
        "the norm of the gradient of the mean log p(z)",
        lambda at: float(_activity(at).split.whole.base),
        "nats per unit",
        wants=("activity",),
    ),
    "log_det_share": Observable("the log det's share of both gradients' norms", _log_det_share, wants=("activity",)),
    "pull": Observable(
        "the cosine between both gradients", lambda at: float(_activity(at).split.whole.cosine), wants=("activity",)
    ),
    # A learner
    "answer": Observable("the answer to a question", lambda at, block: _known(at.answers.get(block)), arguments=1),
}
