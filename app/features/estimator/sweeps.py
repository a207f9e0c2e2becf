"""Closed-form moments across settings, for a matrix or for a flow at its data. Numbers in, NumPy out."""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from app.engine.training.measurements.jacobians import Jacobians
from app.estimates.hashed_jacobians import HashedJacobians
from app.estimates.settings import ENTRIES, Bench, as_array
from resflow_core.estimators.draws import draw_estimates
from resflow_core.estimators.moments import (
    QUANTITIES,
    NoOptimum,
    Optimal,
    Remainders,
    batch_variance,
    fourth_moment_margin,
    optimal_law,
    roulette_variance,
    truncated_variance,
    truncation_bias,
)
from resflow_core.probes import PROBES
from resflow_core.roulette import Geometric, Law, Poisson, expected_terms

LAMBDAS = np.round(np.linspace(0.1, 10.0, 34), 6)
P = np.round(np.linspace(0.05, 0.95, 61), 6)
MC_P = np.round(np.arange(0.1, 0.95, 0.1), 6)
MC_THROWS = 20_000
PAPER = Geometric(0.5, 3)
LINES = (1, 2, 3, 5, 8)  # numbers of exact terms
BATCHES = np.unique(np.geomspace(1, 65536, 65).round().astype(int))
# Enough for a matrix wherever its variance is finite by a margin, and for a flow's mean in a moment.
MATRIX_TERMS, FLOW_TERMS, GRADIENT_TERMS = 2048, 640, 256
FLOW_POINTS, GRADIENT_POINTS = 500, 100


@dataclass(frozen=True, eq=False)
class Subject:
    """Whose estimates are looked at: the A of each block at each point, (blocks, points, 2, 2), float64.

    One estimate is the sum over the blocks, and moments are means over the points.
    """

    jacobians: Tensor
    quantity: str
    derivative: Tensor  # B, (2, 2)
    whole: Remainders  # where all terms are estimated
    trace: Tensor  # tr R_n at each point, of the sum over the blocks: (1 + terms, points)
    exact_traces: int = 0

    def with_traces(self, exact_traces: int) -> "Subject":
        """The same with so many exact traces."""
        return self if exact_traces == self.exact_traces else replace(self, exact_traces=exact_traces)

    @cached_property
    def remainders(self) -> Remainders:
        """Beyond the exact traces."""
        return self.whole.beyond(QUANTITIES[self.quantity].first(self.exact_traces))

    @property
    def radius(self) -> float:
        return float(self.remainders.radius)

    @property
    def truth(self) -> float:
        """The mean of what is estimated."""
        return float(self.remainders.trace[0])

    def bias(self, n_terms: int) -> float:
        """The mean of the series truncated to n terms, less the truth."""
        return float(truncation_bias(self.remainders, n_terms, self.quantity))

    def truncated_error(self, n_terms: int, probe: str, n_probes: int) -> float:
        """What of the mean squared error of a batch mean, truncated, falls as 1 / B: the bias differs between points,
        and the probes make noise."""
        bias = self.trace[n_terms - QUANTITIES[self.quantity].lag + 1]
        return float(bias.var(correction=0)) + self.truncated_variance(n_terms, probe, n_probes)

    def truncated_variance(self, n_terms: int, probe: str, n_probes: int) -> float:
        """The mean over the points."""
        flat = self.jacobians.flatten(0, 1)
        derivative = self.derivative.expand_as(flat)
        of = (probe, n_probes, self.quantity, derivative, self.exact_traces)
        variance = truncated_variance(flat, n_terms, *of)
        return float(variance.view(self.jacobians.shape[:2]).sum(0).mean())


def subject_of(bench: Bench, jacobians: Jacobians | None) -> Subject | None:
    """None for a flow whose Jacobians are not there yet."""
    if bench.subject == "matrix":
        return _of_matrix(bench.matrix, bench.quantity, bench.entry, bench.exact_traces)
    if jacobians is None:
        return None
    return _of_flow(HashedJacobians(jacobians), bench.quantity, bench.entry, bench.exact_traces)


def points_of(quantity: str) -> int:
    """How many points of a flow a mean is over, at most."""
    return FLOW_POINTS if quantity == "log_det" else GRADIENT_POINTS


@lru_cache(maxsize=64)
def _of_matrix(matrix: tuple[float, ...], quantity: str, entry: str, exact_traces: int) -> Subject:
    if exact_traces:
        return _of_matrix(matrix, quantity, entry, 0).with_traces(exact_traces)
    return _subject(torch.as_tensor(as_array(matrix))[None, None], quantity, entry, MATRIX_TERMS)


@lru_cache(maxsize=16)
def _of_flow(of: HashedJacobians, quantity: str, entry: str, exact_traces: int) -> Subject:
    if exact_traces:
        return _of_flow(of, quantity, entry, 0).with_traces(exact_traces)
    terms = FLOW_TERMS if quantity == "log_det" else GRADIENT_TERMS
    return _subject(torch.as_tensor(of.jacobians.points[:, : points_of(quantity)]).double(), quantity, entry, terms)


def _subject(jacobians: Tensor, quantity: str, entry: str, terms: int) -> Subject:
    derivative = torch.as_tensor(ENTRIES[entry].derivative(jacobians.shape[-1]))
    of = QUANTITIES[quantity].remainders
    blocks = [of(block, derivative.expand_as(block), terms) for block in jacobians]
    first, *others = (block.pooled() for block in blocks)
    return Subject(jacobians, quantity, derivative, sum(others, first), sum(block.trace for block in blocks))


@dataclass(frozen=True)
class Cost:
    """Of one estimate: the variance in nats^2 by its causes, and the terms that are expected a block."""

    probe: float
    roulette: float
    terms: float
    rest: float = 0.0  # what the roulette's noise may lack, for terms that were not summed

    @property
    def total(self) -> float:
        return self.probe + self.roulette

    @property
    def product(self) -> float:
        return self.total * self.terms

    @property
    def is_least(self) -> bool:
        """Whether the terms that were not summed may add more than a hundredth of the total."""
        return self.rest > 0.01 * self.total


def cost(subject: Subject, law: Law, probe: str, n_probes: int = 1, n_draws: int = 1) -> Cost:
    variance = roulette_variance(subject.remainders, law, probe, n_probes, n_draws)
    parts = (float(variance.probe), float(variance.roulette))
    rest, ratio = float(variance.rest), subject.radius**2 / law.tail_ratio if law.tail_ratio else 0.0
    if np.isnan(rest):  # no bound is known for gradients: as if the terms w_n E T_{n+1}^2 grew by n^2 ratio^n
        n = subject.remainders.terms
        rest = parts[1] * (1 + n * (1 - ratio)) ** 2 * ratio**n if ratio < 1 else 0.0
    return Cost(*parts, expected_terms(law, n_draws), rest)


def exact_terms(bench: Bench) -> int:
    """Those of the law; the paper's for one that has a table."""
    return getattr(bench.law, "n_exact", PAPER.n_exact)


@lru_cache(maxsize=16)
def across_p(subject: Subject, bench: Bench) -> dict[int, list[Cost]]:
    """For each number of exact terms (`LINES` and the `exact_terms`) the costs at `P`."""
    return {
        n: [cost(subject, Geometric(float(p), n), bench.probe, bench.n_probes, bench.n_draws) for p in P]
        for n in sorted({*LINES, exact_terms(bench)})
    }


@lru_cache(maxsize=16)
def across_lambda(subject: Subject, bench: Bench) -> dict[int, list[Cost]]:
    """The same for Poisson laws, at `LAMBDAS`."""
    return {
        n: [cost(subject, Poisson(float(lam), n), bench.probe, bench.n_probes, bench.n_draws) for lam in LAMBDAS]
        for n in sorted({*LINES, exact_terms(bench)})
    }


@lru_cache(maxsize=16)
def across_probes(subject: Subject, bench: Bench, n_exact: int) -> dict[str, list[Cost]]:
    """For each probe the costs at `P`."""
    return {
        probe: [cost(subject, Geometric(float(p), n_exact), probe, bench.n_probes, bench.n_draws) for p in P]
        for probe in PROBES
    }


@lru_cache(maxsize=16)
def across_first_term(subject: Subject, bench: Bench, n_exact: int) -> dict[bool, list[Cost]]:
    """Where all terms are estimated, and where the first is exact, the costs at `P`."""
    return {
        bool(m): [
            cost(subject.with_traces(m), Geometric(float(p), n_exact), bench.probe, bench.n_probes, bench.n_draws)
            for p in P
        ]
        for m in (0, 1)
    }


@lru_cache(maxsize=16)
def optimum(subject: Subject, bench: Bench) -> Optimal | None:
    """None where the probes make no noise, so that no finite number of terms is best."""
    try:
        return optimal_law(subject.remainders, bench.probe, bench.n_probes)
    except NoOptimum:
        return None


def monte_carlo(bench: Bench, n_exact: int) -> list[tuple[float, float, float]]:
    """(p, sample variance, its standard error) from throws of the matrix, wherever the fourth moment exists."""
    radius, found = torch.tensor(bench.radius), []
    for p in MC_P.tolist():
        law = Geometric(p, n_exact)
        if fourth_moment_margin(law, radius) <= 0:
            continue
        exact_traces = bench.exact_traces
        sample = draw_estimates(bench.array, law, bench.probe, MC_THROWS, bench.seed, exact_traces=exact_traces).value
        deviation = sample - sample.mean()
        variance = float((deviation**2).mean())
        error = max(float((deviation**4).mean()) - variance**2, 0.0) ** 0.5 / MC_THROWS**0.5
        found.append((p, variance, error))
    return found


@dataclass(frozen=True, eq=False)
class Batches:
    """Of the mean over a batch: standard deviation or root mean squared error, in nats."""

    sizes: np.ndarray  # `BATCHES` and the bench's own
    own: np.ndarray  # roulette with N of its own for each point
    shared: np.ndarray  # with one N for all
    truncated: np.ndarray  # sqrt(bias^2 + (variance + that of the bias between points) / B)


@lru_cache(maxsize=16)
def across_batches(subject: Subject, bench: Bench) -> Batches:
    arguments, sizes = (bench.probe, bench.n_probes, bench.n_draws), np.union1d(BATCHES, [bench.batch])
    own, shared = (
        batch_variance(subject.remainders, bench.law, torch.as_tensor(sizes).double(), s, *arguments).sqrt().numpy()
        for s in (False, True)
    )
    error = subject.truncated_error(bench.n_terms, bench.probe, bench.n_probes)
    return Batches(sizes, own, shared, np.sqrt(subject.bias(bench.n_terms) ** 2 + error / sizes))


def crossing(subject: Subject, bench: Bench) -> float:
    """The batch from which on the roulette's error is the smaller one: its variance less the `truncated_error`,
    over the squared bias.

    Infinite where that is never so; at most 1 where it always is.
    """
    roulette = cost(subject, bench.law, bench.probe, bench.n_probes, bench.n_draws).total
    truncated = subject.truncated_error(bench.n_terms, bench.probe, bench.n_probes)
    square = subject.bias(bench.n_terms) ** 2  # 0 also where it underflows
    if roulette <= truncated:
        return 1.0
    return (roulette - truncated) / square if square and np.isfinite(roulette) else np.inf
