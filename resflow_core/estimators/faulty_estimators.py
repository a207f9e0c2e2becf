"""Estimators of log det(I + A) that claim to be unbiased, each with a bug that was found in public implementations.

With N, v and the weights of the sound estimator, and a_k = (-1)^(k+1) / k:

    sound            sum_{1<=k<=N} a_k / P(N >= k) v'A^k v             mean log det(I + A)          (paper, Theorem 1)
    no weights       sum_{1<=k<=N} a_k v'A^k v                         mean sum_k P(N >= k) a_k tr A^k
    wrong support    the sound sum, but up to N + 1                    mean sum_k P(N >= k - 1) / P(N >= k) a_k tr A^k
    surrogate        sum_{0<=k<=N} (-1)^k / P(N >= k) v'A^k A v        mean tr A (I + A)^-1         (from Theorem 2)
    shared N         the sound sum, but N is drawn once for B throws   mean log det(I + A)

With a shared N the mean of a batch has the variance

    (V + (B - 1) sum_n w_n tr(R_{n+1})^2) / B,    V that of one throw                (`moments.batch_variance`)

and an error bar is computed as if it were V / B. How much too short it is depends on how much of V is the roulette's.
For A = ((.45, .3), (-.25, .2)), Geometric(0.5) with 3 exact terms and B = 64 the factor is 2.2 with Rademacher probes.
With Gaussian ones it is 1.007, which no error bar shows, as almost all of their V is their own; without exact terms it
is 4.5. What shows for any probe are the N themselves: runs of equal ones, and shares that are too far from the law's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from resflow_core.estimators.draws import Draws, draw_terms_and_probes, forms, weighted_sums
from resflow_core.gradients import log_series
from resflow_core.roulette import RAREST, Law, survival_table

BATCH = 64
# The ratios beyond would overflow.
LEAST_SURVIVAL = 1e-290


@dataclass(frozen=True)
class FaultyEstimator:
    """An estimator whose throw is v'S_m v, for N + `shift` = m, with one N for `batch` throws in a row.

    `sums(matrix, law, n)` gives S_0, ..., S_n, (1 + n, 2, 2); `mean(matrix, law)` the mean of the estimates in nats,
    NaN where it is not known. `wrong` says what is wrong in a sentence or two, and is empty where nothing is.
    """

    title: str
    wrong: str
    mean: Callable[[np.ndarray, Law], float]
    sums: Callable[[np.ndarray, Law, int], np.ndarray] = weighted_sums
    shift: int = 0
    batch: int = 1


def draw_estimates(bug: str, matrix: np.ndarray, law: Law, probe: str, n: int, seed: int, start: int = 0) -> Draws:
    """`draws.draw_estimates`, by the estimator `FAULTY_ESTIMATORS[bug]`: the same uniform numbers, and N as it was
    used."""
    by = FAULTY_ESTIMATORS[bug]
    early = start % by.batch  # whoever begins within a batch has its N all the same
    terms, v = draw_terms_and_probes(law, probe, early + n, seed, start - early)
    first_of_batch = np.arange(early, early + n) // by.batch * by.batch
    terms, v = terms[first_of_batch] + by.shift, v[early:]
    return Draws(terms, v, forms(by.sums(matrix, law, int(terms.max(initial=0))), terms, v))


def unweighted_sums(matrix: np.ndarray, law: Law, n: int) -> np.ndarray:
    """S_m = sum_{1<=k<=m} a_k A^k; of the law nothing is needed."""
    return np.cumsum(log_series(n).numpy()[:, None, None] * _powers(matrix, n), 0)


def surrogate_sums(matrix: np.ndarray, law: Law, n: int) -> np.ndarray:
    """S_m = sum_{0<=k<=m} (-1)^k / P(N >= k) A^(k+1)."""
    signs = (-1.0) ** np.arange(n + 1)
    return np.cumsum((signs / _survival(law, n))[:, None, None] * _powers(matrix, n) @ matrix, 0)


def log_det(matrix: np.ndarray, law: Law) -> float:
    """log det(I + A)."""
    return float(np.linalg.slogdet(np.eye(2) + matrix)[1])


def unweighted_mean(matrix: np.ndarray, law: Law) -> float:
    """sum_k P(N >= k) a_k tr A^k: a truncated series of random length."""
    n = len(survival_table(law, RAREST))
    return float((_survival(law, n) * _terms(matrix, n)).sum())


def shifted_mean(matrix: np.ndarray, law: Law) -> float:
    """sum_k P(N >= k - 1) / P(N >= k) a_k tr A^k, P(N >= 0) = 1.

    In the end the ratio is 1 / q, q the law's tail ratio. Where q = 0, as for a Poisson law, it grows, and what is
    reached more rarely than `LEAST_SURVIVAL` has to be negligible: NaN where it is not.
    """
    n = len(survival_table(law, LEAST_SURVIVAL))
    terms, survival = _terms(matrix, n), _survival(law, n)
    known = float((survival[:-1] / survival[1:] * terms[1:]).sum())
    rest = log_det(matrix, law) - float(terms.sum())
    if law.tail_ratio:
        return known + rest / law.tail_ratio
    last = survival[-2] / survival[-1] * np.abs(np.linalg.eigvals(matrix)).max() ** n
    return known if last < 1e-12 else float("nan")


def surrogate_mean(matrix: np.ndarray, law: Law) -> float:
    """tr A (I + A)^-1."""
    return float(np.trace(matrix @ np.linalg.inv(np.eye(2) + matrix)))


def _survival(law: Law, n: int) -> np.ndarray:
    """P(N >= k) for k = 0, ..., n."""
    return law.survival(torch.arange(n + 1)).numpy()


def _terms(matrix: np.ndarray, n: int) -> np.ndarray:
    """a_k tr A^k for k = 0, ..., n, that of 0 being 0."""
    return log_series(n).numpy() * np.trace(_powers(matrix, n), axis1=1, axis2=2)


def _powers(matrix: np.ndarray, n: int) -> np.ndarray:
    """I, A, ..., A^n."""
    powers = [np.eye(2)]
    for _ in range(n):
        powers.append(powers[-1] @ matrix)
    return np.array(powers)


FAULTY_ESTIMATORS: dict[str, FaultyEstimator] = {
    "none": FaultyEstimator("The sound estimator", "", log_det),
    "no_weights": FaultyEstimator(
        "No weights 1/P(N ≥ k)",
        "Every term that is reached counts once, so that late terms count too little: this is a truncated series of "
        "random length.",
        unweighted_mean,
        sums=unweighted_sums,
    ),
    "wrong_support": FaultyEstimator(
        "N from another support",
        "N is drawn from a law that starts one later than its weights assume, as NumPy's geometric law starts at 1 and "
        "PyTorch's at 0. Late terms count too much.",
        shifted_mean,
        shift=1,
    ),
    "surrogate": FaultyEstimator(
        "A surrogate taken for the value",
        "It adds up the series of Theorem 2, whose gradient is that of the log det. Its value is not: the mean is "
        "tr A(I + A)⁻¹.",
        surrogate_mean,
        sums=surrogate_sums,
    ),
    "shared_n": FaultyEstimator(
        "One N for many throws",
        f"{BATCH} throws in a row share one N. Each is unbiased, but they are not independent, and an error bar that "
        "takes them to be is too short.",
        log_det,
        batch=BATCH,
    ),
}
