"""What the pictures across settings find: the values that their words follow from."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from app.estimates.settings import Bench
from app.features.estimator.numbers import Noise, Tail
from app.features.estimator.sweeps import (
    PAPER,
    Cost,
    P,
    Subject,
    across_batches,
    across_p,
    across_probes,
    cost,
    crossing,
    exact_terms,
    optimum,
)
from app.words import ROUNDING
from resflow_core.probes import PROBES
from resflow_core.roulette import Geometric


def tail(bench: Bench, subject: Subject) -> Tail:
    return Tail(subject.radius, bench.law.tail_ratio)


def noise(bench: Bench, subject: Subject) -> Noise:
    return Noise(cost(subject, bench.law, bench.probe, bench.n_probes, bench.n_draws), tail(bench, subject))


@dataclass(frozen=True)
class InfinitePoints:
    """Where the variance of a flow's estimate is infinite in some block."""

    share: float  # of the data points, with the law that is set
    safe: float  # the p up to which it would be finite for all but 1 % of them, with a geometric law


def infinite_points(radius: np.ndarray, tail_ratio: float) -> InfinitePoints:
    """`radius`: of each point the largest of its blocks."""
    return InfinitePoints(float((radius**2 > tail_ratio).mean()), float(1 - np.quantile(radius, 0.99) ** 2))


@dataclass(frozen=True)
class Products:
    """What a variance costs: variance times expected terms, in nats²."""

    best: Cost | None  # of the best law; None if the probes make no noise, so that no number of terms is best
    survival: tuple[float, ...]  # the P(N >= k) of the best law for k = 1, ..., 4
    paper: Cost
    geometric: tuple[Geometric, Cost] | None  # the cheapest of `across_p`; None if all of them are infinite
    tail: Tail


def products(bench: Bench, subject: Subject) -> Products:
    law = optimum(subject, bench)
    finite = [
        (of_p, float(p), n)
        for n, costs in across_p(subject, bench).items()
        for p, of_p in zip(P, costs, strict=True)
        if np.isfinite(of_p.product)
    ]
    least = min(finite, key=lambda found: (found[0].product, *found[1:]), default=None)
    return Products(
        cost(subject, law, bench.probe, bench.n_probes) if law else None,
        tuple(law.table[:4]) if law else (),
        cost(subject, PAPER, bench.probe, bench.n_probes, bench.n_draws),
        (Geometric(*least[1:]), least[0]) if least else None,
        tail(bench, subject),
    )


@dataclass(frozen=True)
class Probes:
    """The variance of one estimate by its probe, in nats²."""

    variances: dict[str, float]  # with the law that is set
    can_be_finite: bool  # with some p that can be set
    products: dict[str, float]  # variance times terms with each probe's best law, if no p makes it finite
    tail: Tail

    @property
    def gaussian(self) -> float:
        return self.variances["gaussian"]

    @property
    def shares(self) -> dict[str, float]:
        """What every other probe leaves of the Gaussian's variance, if that is finite and not 0."""
        return {name: value / self.gaussian for name, value in self.variances.items() if name != "gaussian"}


def probes(bench: Bench, subject: Subject) -> Probes:
    costs = across_probes(subject, bench, exact_terms(bench)).values()
    can_be_finite = any(np.isfinite(of_p.total) for of_probe in costs for of_p in of_probe)
    return Probes(
        {name: cost(subject, bench.law, name, bench.n_probes, bench.n_draws).total for name in PROBES},
        can_be_finite,
        {} if can_be_finite else _best_products(bench, subject),
        tail(bench, subject),
    )


def _best_products(bench: Bench, subject: Subject) -> dict[str, float]:
    laws = {name: optimum(subject, replace(bench, probe=name)) for name in PROBES}
    return {name: cost(subject, law, name, bench.n_probes).product for name, law in laws.items() if law}


@dataclass(frozen=True)
class FirstTerm:
    """The variance of one estimate with the law that is set, in nats²."""

    estimated: float  # with a probe for all terms
    exact: float  # with the trace itself in the place of the first
    tail: Tail

    @property
    def factor(self) -> float:
        """By how much the exact trace divides it; NaN where it is infinite, undecided, or nothing is left."""
        return self.estimated / self.exact if np.isfinite(self.estimated) and self.exact > 0 else np.nan


def first_term(bench: Bench, subject: Subject) -> FirstTerm:
    how = (bench.law, bench.probe, bench.n_probes, bench.n_draws)
    estimated, exact = (cost(subject.with_traces(m), *how).total for m in (0, 1))
    return FirstTerm(estimated, exact, tail(bench, subject))


@dataclass(frozen=True)
class SharedN:
    """The standard deviation of the mean over a batch, in nats."""

    batch: int
    own: float  # with an N for each point
    shared: float  # with one N for all
    tail: Tail

    @property
    def stays(self) -> bool:
        """Whether the shared N adds to it. However large the batch is, this never averages out."""
        return self.shared > self.own + ROUNDING


def shared_n(bench: Bench, subject: Subject) -> SharedN:
    found, at = across_batches(subject, bench), _at(bench, subject)
    return SharedN(bench.batch, float(found.own[at]), float(found.shared[at]), tail(bench, subject))


@dataclass(frozen=True)
class BatchErrors:
    """The root mean squared errors of the mean over a batch, in nats: unbiased or truncated."""

    batch: int
    n_terms: int  # of the truncated series
    bias: float  # of the truncated series
    roulette: float
    truncated: float
    crossing: float  # the batch from which on the roulette's is smaller; infinite if it never is

    @property
    def are_equal(self) -> bool:
        return abs(self.roulette - self.truncated) <= ROUNDING * self.truncated

    @property
    def winner(self) -> Literal["roulette", "truncated", "neither", "undecided"]:
        if np.isnan(self.roulette):
            return "undecided"
        if self.are_equal:
            return "neither"
        return "roulette" if self.roulette < self.truncated else "truncated"


def batch_errors(bench: Bench, subject: Subject) -> BatchErrors:
    found, at = across_batches(subject, bench), _at(bench, subject)
    return BatchErrors(
        bench.batch,
        bench.n_terms,
        subject.bias(bench.n_terms),
        float(found.own[at]),
        float(found.truncated[at]),
        crossing(subject, bench),
    )


def _at(bench: Bench, subject: Subject) -> int:
    """Which of the sizes is the bench's."""
    return int(np.searchsorted(across_batches(subject, bench).sizes, bench.batch))
