"""How often a test by standard errors tells a mean of n draws from the truth although it is the truth.

The test says "not the truth" where |mean - truth| > k s / sqrt(n), with the standard deviation s of the very draws. For
many draws that is the tail of a normal law, 2 (1 - Phi(k)); for few it happens far more often, because s is often too
small. With the deviations d_i = draw - truth, S = sum d_i and Q = sum d_i^2, the test says so where

    S^2 > Q n k^2 / (n - 1 + k^2)
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch

from app.estimates.sample import drawn, thrown_settings
from app.estimates.settings import Bench
from resflow_core.estimators.draws import values

EXACT = 10
"""Up to so many draws of signs all outcomes are gone through."""
SIMULATED = 300
"""Below so many draws the rate is simulated; from there on the next order of the normal law is enough."""
BUDGET = 2_000_000  # draws of a simulation, and for the moments
FIRST = 2**41  # far from all draws that are shown
RAREST = 14  # values of N beyond its least, the last of which stands for all above
LEAST = 1e-9  # outcomes that are rarer are left out


@dataclass(frozen=True)
class Rate:
    """A probability, and whether it was computed exactly, up to what is shown of it."""

    value: float
    is_exact: bool = False


def normal_tail(limit: float, compare: str) -> float:
    """P(|Z| > limit), or P(Z > limit) where a side is told."""
    tail = math.erfc(limit / math.sqrt(2))
    return tail if compare == "is" else tail / 2


@lru_cache(maxsize=256)
def false_alarm(bench: Bench, truth: float, n: int, limit: float, compare: str = "is") -> Rate:
    """Of the mean of `n` draws of `bench`, tested with `limit` standard errors. `compare` is "is" for both sides,
    "above" or "below" for one. Raises ValueError for less than two draws."""
    if n < 2:
        raise ValueError(f"n = {n}: a standard error needs two draws at least.")
    bench = replace(thrown_settings(bench), suspect="none")  # of one that is right
    if n <= EXACT and bench.probe == "rademacher" and len(bench.array) == 2:
        return Rate(_enumerated(*_outcomes(bench), n, limit, compare, truth), is_exact=True)
    if n < SIMULATED:
        return Rate(_simulated(bench, truth, n, limit, compare))
    return Rate(_expanded(bench, n, limit, compare))


def _outcomes(bench: Bench) -> tuple[np.ndarray, np.ndarray]:
    """The estimates of random signs, and their probabilities: of each N, with signs that agree and that do not."""
    least = int(np.flatnonzero(bench.law.survival(torch.arange(1, 200)).numpy() < 1)[0])
    n = np.arange(max(least, 0), least + RAREST)
    survival = bench.law.survival(torch.tensor([*n, n[-1] + 1])).numpy().astype(float)
    chance = np.append(survival[:-2] - survival[1:-1], survival[-2])
    n, signs = np.repeat(n, 2), np.tile([1.0, -1.0], len(n))
    estimates = values(bench.array, bench.law, n, np.stack([np.ones(len(n)), signs], 1), bench.exact_traces)
    return estimates, np.repeat(chance, 2) / 2


def _told(s: np.ndarray, q: np.ndarray, n: int, limit: float, compare: str) -> np.ndarray:
    """Where the test says "not the truth", from S and Q."""
    far = s**2 > q * n * limit**2 / (n - 1 + limit**2) * (1 + 1e-12)
    if compare == "is":
        return far
    return far & (s > 0 if compare == "above" else s < 0)


def _enumerated(estimates: np.ndarray, chance: np.ndarray, n: int, limit: float, compare: str, truth: float) -> float:
    """Over all multisets of `n` outcomes that are not rarer than `LEAST`: how many draws have the first outcome, how
    many of the others the second, and so on."""
    choose = np.array([[math.comb(a, b) for b in range(n + 1)] for a in range(n + 1)], float)
    left, s, q, p = np.array([n]), np.zeros(1), np.zeros(1), np.ones(1)
    tail, told = 1.0, 0.0
    order = np.argsort(-chance)
    for value, of in zip(estimates[order] - truth, chance[order], strict=True):
        share = min(of / tail, 1.0)
        tail = max(tail - of, 1e-300)
        parts = []
        for count in range(n + 1):
            have = left >= count
            rest = left[have] - count
            chances = p[have] * choose[left[have], count] * share**count * (1 - share) ** rest
            kept = chances > LEAST
            parts.append(
                (rest[kept], (s[have] + count * value)[kept], (q[have] + count * value**2)[kept], chances[kept])
            )
        left, s, q, p = (np.concatenate(part) for part in zip(*parts, strict=True))
        full = left == 0
        told += float(p[full][_told(s[full], q[full], n, limit, compare)].sum())
        left, s, q, p = left[~full], s[~full], q[~full], p[~full]
    return told


def _simulated(bench: Bench, truth: float, n: int, limit: float, compare: str) -> float:
    off = drawn(bench, BUDGET // n * n, FIRST).value.reshape(-1, n) - truth
    return float(_told(off.sum(1), (off**2).sum(1), n, limit, compare).mean())


def _expanded(bench: Bench, n: int, limit: float, compare: str) -> float:
    """The Edgeworth expansion of Student's t to the order 1/n, with the skewness g and the excess kurtosis k of one
    draw (Hall 1992, The Bootstrap and Edgeworth Expansion, section 2.6)."""
    g, k = _moments(bench)
    x, density = limit, math.exp(-(limit**2) / 2) / math.sqrt(2 * math.pi)
    second = x * (k / 12 * (x**2 - 3) - g**2 / 18 * (x**4 + 2 * x**2 - 3) - (x**2 + 3) / 4)
    both = normal_tail(x, "is") - 2 * second * density / n
    if compare == "is":
        return min(max(both, 0.0), 1.0)
    first = g * (2 * x**2 + 1) / 6 * density / math.sqrt(n)
    return min(max(both / 2 + (first if compare == "below" else -first), 0.0), 1.0)


@lru_cache(maxsize=64)
def _moments(bench: Bench) -> tuple[float, float]:
    off = drawn(bench, BUDGET, FIRST).value
    off = (off - off.mean()) / off.std()
    return float((off**3).mean()), float((off**4).mean() - 3)
