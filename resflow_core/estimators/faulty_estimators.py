"""Estimators of log det(I + A) that claim to be unbiased. Each has a bug that is easily written: the surrogate and the
shared N stand in the code released with the paper, where the first is meant for its gradient alone.

N, v and the weights are those of the sound estimator, and a_k = (-1)^(k+1) / k:

    sound            sum_{1<=k<=N} a_k / P(N >= k) v'A^k v             mean log det(I + A)          (paper, Theorem 1)
    no weights       sum_{1<=k<=N} a_k v'A^k v                         mean sum_k P(N >= k) a_k tr A^k
    wrong support    the sound sum, but up to N + 1                    mean sum_k P(N >= k - 1) / P(N >= k) a_k tr A^k
    surrogate        sum_{0<=k<=N} (-1)^k / P(N >= k) v'A^k A v        mean tr A (I + A)^-1         (from Theorem 2)
    shared N         the sound sum, but B draws share one N            mean log det(I + A)

With m exact traces, the terms up to a_m tr(A^m) are added to the sums without v, N and weights, and the others are
estimated as above. The bugs in these stay.

With a shared N, the mean of a batch of B draws has the variance

    (V + (B - 1) sum_n w_n tr(R_{n+1})^2) / B,    V the variance of one draw         (`moments.batch_variance`)

but an error bar assumes V / B, so it is too short. The factor depends on the share of V that the roulette causes.
Take A = ((.45, .3), (-.25, .2)), Geometric(0.5) with 3 exact terms, and B = 64. With Rademacher probes the factor is
2.2. With Gaussian probes it is 1.007, too little to see in an error bar: almost all of V is noise of the probes.
Without exact terms it is 4.5 with Gaussian probes. The N show this bug for any probe: equal N follow each other, and
the shares of the values of N are too far from the law.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from resflow_core.estimators.draws import Draws, draw_terms_and_probes, forms, traced, weighted_sums
from resflow_core.gradients import log_series
from resflow_core.roulette import RAREST, Law, survival_table

BATCH = 64
# Ratios of smaller survival probabilities could overflow.
LEAST_SURVIVAL = 1e-290


@dataclass(frozen=True)
class FaultyEstimator:
    """The estimator v'S_m v with m = N + `shift`. In each `batch` of successive draws, all draws share one N.

    `sums(matrix, law, n, m)` gives S_0, ..., S_n, (1 + n, d, d), beyond m exact traces. `mean(matrix, law, m)` gives
    the mean of the estimates in nats, or NaN if it is not known. `wrong` describes the bug in a sentence or two; it is
    empty if there is none.
    """

    title: str
    wrong: str
    mean: Callable[..., float]
    sums: Callable[..., np.ndarray] = weighted_sums
    shift: int = 0
    batch: int = 1


def draw_estimates(
    bug: str, matrix: np.ndarray, law: Law, probe: str, n: int, seed: int, start: int = 0, exact_traces: int = 0
) -> Draws:
    """`draws.draw_estimates` by the estimator `FAULTY_ESTIMATORS[bug]`, from the same uniform numbers.

    The N of the result is N as the estimator used it: shared, and with the shift added. Raises KeyError for an unknown
    bug, or if `PROBES` has no such probe.
    """
    by = FAULTY_ESTIMATORS[bug]
    early = start % by.batch  # a start inside a batch uses the N of that batch
    terms, v = draw_terms_and_probes(law, probe, early + n, seed, start - early, len(matrix))
    first_of_batch = np.arange(early, early + n) // by.batch * by.batch
    terms, v = terms[first_of_batch] + by.shift, v[early:]
    sums = by.sums(matrix, law, int(terms.max(initial=0)), exact_traces)
    return Draws(terms, v, traced(matrix, exact_traces) + forms(sums, terms, v))


def unweighted_sums(matrix: np.ndarray, law: Law, n: int, exact_traces: int = 0) -> np.ndarray:
    """S_i = sum_{1<=k<=i} a_k A^k for i = 0, ..., n, (1 + n, d, d), beyond the exact traces. The law is not used."""
    return _sums(log_series(n).numpy(), _powers(matrix, n), 1 + exact_traces)


def surrogate_sums(matrix: np.ndarray, law: Law, n: int, exact_traces: int = 0) -> np.ndarray:
    """S_i = sum_{0<=k<=i} (-1)^k / P(N >= k) A^(k+1) for i = 0, ..., n, (1 + n, d, d), beyond the exact traces."""
    signs = (-1.0) ** np.arange(n + 1)
    return _sums(signs / _survival(law, n), _powers(matrix, n) @ matrix, exact_traces)


def log_det(matrix: np.ndarray, law: Law, exact_traces: int = 0) -> float:
    """log|det(I + A)| in nats, for A of shape (d, d), however many traces are exact. The law is not used."""
    return float(np.linalg.slogdet(np.eye(len(matrix)) + matrix)[1])


def unweighted_mean(matrix: np.ndarray, law: Law, exact_traces: int = 0) -> float:
    """sum_k P(N >= k) a_k tr A^k, for A of shape (d, d): the mean of a series cut at a random length. The factor of
    exact traces is 1."""
    n = len(survival_table(law, RAREST))
    reached = _survival(law, n)
    reached[: 1 + exact_traces] = 1
    return float((reached * _terms(matrix, n)).sum())


def shifted_mean(matrix: np.ndarray, law: Law, exact_traces: int = 0) -> float:
    """sum_k P(N >= k - 1) / P(N >= k) a_k tr A^k with P(N >= 0) = 1, for A of shape (d, d). The factor of exact traces
    is 1.

    For large k the ratio is 1 / q, with q the tail ratio of the law. If q = 0, as for a Poisson law, the ratio grows.
    Then the sum ends where P(N >= k) falls below `LEAST_SURVIVAL`; it is NaN if the terms are not negligible there.
    """
    n = len(survival_table(law, LEAST_SURVIVAL))
    terms, survival = _terms(matrix, n), _survival(law, n)
    factors = survival[:-1] / survival[1:]
    factors[:exact_traces] = 1
    known = float((factors * terms[1:]).sum())
    rest = log_det(matrix, law) - float(terms.sum())
    if law.tail_ratio:
        return known + rest / law.tail_ratio
    last = survival[-2] / survival[-1] * np.abs(np.linalg.eigvals(matrix)).max() ** n
    return known if last < 1e-12 else float("nan")


def surrogate_mean(matrix: np.ndarray, law: Law, exact_traces: int = 0) -> float:
    """tr A (I + A)^-1, for A of shape (d, d), with at most one exact trace, which it has as the log det does; with two
    -tr A^2 / 2 takes the place of -tr A^2. Raises numpy.linalg.LinAlgError if I + A is singular."""
    second = float(np.trace(matrix @ matrix)) / 2 if exact_traces > 1 else 0.0
    return second + float(np.trace(matrix @ np.linalg.inv(np.eye(len(matrix)) + matrix)))


def _sums(coefficients: np.ndarray, powers: np.ndarray, first: int) -> np.ndarray:
    """The partial sums of coefficients of matrices, from the first that is estimated."""
    coefficients[:first] = 0
    return np.cumsum(coefficients[:, None, None] * powers, 0)


def _survival(law: Law, n: int) -> np.ndarray:
    """P(N >= k) for k = 0, ..., n."""
    return law.survival(torch.arange(n + 1)).numpy()


def _terms(matrix: np.ndarray, n: int) -> np.ndarray:
    """a_k tr A^k for k = 0, ..., n, with a_0 = 0."""
    return log_series(n).numpy() * np.trace(_powers(matrix, n), axis1=1, axis2=2)


def _powers(matrix: np.ndarray, n: int) -> np.ndarray:
    """I, A, ..., A^n."""
    powers = [np.eye(len(matrix))]
    for _ in range(n):
        powers.append(powers[-1] @ matrix)
    return np.array(powers)


FAULTY_ESTIMATORS: dict[str, FaultyEstimator] = {
    "none": FaultyEstimator("The sound estimator", "", log_det),
    "no_weights": FaultyEstimator(
        "No weights 1/P(N ≥ k)",
        "Every term that is reached counts once, so late terms count too little. This is a truncated series of random "
        "length.",
        unweighted_mean,
        sums=unweighted_sums,
    ),
    "wrong_support": FaultyEstimator(
        "N from another support",
        "N is drawn from a law that starts one later than the weights assume: NumPy's geometric law starts at 1 and "
        "PyTorch's at 0. Late terms count too much.",
        shifted_mean,
        shift=1,
    ),
    "surrogate": FaultyEstimator(
        "A surrogate taken for the value",
        "It adds up the series of Theorem 2. The gradient of this series is that of the log det, but its value is not: "
        "the mean is tr A(I + A)⁻¹.",
        surrogate_mean,
        sums=surrogate_sums,
    ),
    "shared_n": FaultyEstimator(
        "One N for many draws",
        f"{BATCH} draws in a row share one N. Each draw is unbiased, but they are not independent. An error bar that "
        "assumes independence is too short.",
        log_det,
        batch=BATCH,
    ),
}
