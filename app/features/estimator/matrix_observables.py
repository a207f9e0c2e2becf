"""The matrix of the estimator's bench, in closed form."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from app.estimates.settings import Bench
from app.features.estimator.numbers import density
from app.features.estimator.sweeps import Cost, Subject, across_batches, cost, optimum, subject_of
from app.lessons.expression import Unknown
from app.lessons.observables import Observable
from resflow_core.roulette import expected_terms

if TYPE_CHECKING:
    from app.lessons.observables import Situation

# Of a float64's exponential.
LARGEST_EXPONENT = 709


def subject(at: "Situation") -> Subject:
    return subject_of(replace(at.bench(Bench), subject="matrix", quantity="log_det"), None)


def _series(at: "Situation", n_terms: int) -> float:
    """sum_{k<=n} a_k tr(A^k)."""
    of = subject(at)
    return of.truth + of.bias(n_terms)


def _needed(at: "Situation", error: float) -> int:
    """The fewest terms from which on the bias stays within +-error."""
    left = subject(at).remainders.trace.abs()  # of R_0, R_1, ...; the bias of n terms is -tr R_{n+1}
    beyond = (left > error).nonzero()
    return max(int(beyond.max()), 1) if len(beyond) else 1


def _trace(at: "Situation", power: int) -> float:
    return float(np.trace(np.linalg.matrix_power(at.bench(Bench).array, power)))


def _cost(at: "Situation") -> Cost:
    bench = at.bench(Bench)
    return cost(subject(at), bench.law, bench.probe, bench.n_probes, bench.n_draws)


def _optimal(at: "Situation") -> Cost:
    bench, of = at.bench(Bench), subject(at)
    if (law := optimum(of, bench)) is None:
        raise Unknown
    return cost(of, law, bench.probe, bench.n_probes)


def _batch_deviation(at: "Situation", batch: int, shared: bool) -> float:
    """Of the mean over a batch of points with this A, with an N of their own or one for all."""
    found = across_batches(subject(at), replace(at.bench(Bench), batch=int(batch)))
    return float((found.shared if shared else found.own)[np.searchsorted(found.sizes, int(batch))])


def _survival(at: "Situation", terms: int) -> float:
    return float(at.bench(Bench).law.survival(torch.tensor([terms]))[0])


def _factor(at: "Situation") -> float:
    """E exp(estimate) / det(I + A)."""
    above = density(at.bench(Bench), subject(at).truth).log_factor
    if above is None:
        raise Unknown
    return math.exp(above) if above < LARGEST_EXPONENT else math.inf


MATRIX: dict[str, Observable] = {
    "truth": Observable("log det(I + A)", lambda at: subject(at).truth, "nats"),
    "entry": Observable(
        "an entry of A", lambda at, i, j: float(at.bench(Bench).array[int(i) - 1, int(j) - 1]), arguments=2
    ),
    "trace": Observable("tr(A^k)", _trace, arguments=1),
    "series": Observable("the series cut after n terms", _series, "nats", arguments=1),
    "bias": Observable("the bias of the series cut after n terms", lambda at, n: subject(at).bias(n), "nats", 1),
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
}
