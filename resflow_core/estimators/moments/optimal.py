"""The law of N with the smallest product of variance and expected terms (Rhee and Glynn, 2015, section 3)."""

import math
from dataclasses import dataclass

import torch

from resflow_core.estimators.moments.remainders import Remainders
from resflow_core.estimators.moments.variance import probe_noise, second_moments
from resflow_core.roulette import LARGEST_RATIO, MOST_ENTRIES, Custom, Tabulated
from resflow_core.settings import settings_of

# What is reached more rarely is left to the last ratio.
LEAST = 1e-9


class NoOptimum(ValueError):
    """Without noise of the probes every longer law is better, the exact log det being the limit; a nilpotent A needs no
    law at all."""


@dataclass(frozen=True)
class Optimal(Tabulated):
    """The table starts with 1, and goes on by `ratio`."""

    table: tuple[float, ...]
    ratio: float

    @property
    def tail_ratio(self) -> float:
        return self.ratio


def optimal_law(remainders: Remainders, probe: str = "gaussian", n_probes: int = 1) -> Optimal:
    """For the remainders of one matrix, or those of points `pooled` and blocks added, shape (1 + terms,).

    With N drawn once, variance x E N is

        (sum_n beta_n / P(N >= n)) (sum_n P(N >= n)),   beta_n = E T_n^2 - E T_{n+1}^2,   beta_1 = V(R_0) / K - E T_2^2,

    the least where P(N >= n) is proportional to sqrt(beta_n), after neighbours have been pooled to let it decrease. It
    goes on by the spectral radius, as sqrt(beta_n) does. Raises `NoOptimum` where the probes make no noise, and where A
    is nilpotent.

    It is the best of the laws with P(N >= 1) = 1. Others are worse for the log det and the gradient term by term. The
    Neumann series has a summand M_0 that E N does not count: there a law that often stops at N = 0 may have the smaller
    product, down to that of none.
    """
    noise, moments = probe_noise(remainders, probe, n_probes)[0], second_moments(remainders, probe, n_probes)
    if remainders.radius == 0:
        raise NoOptimum("A is nilpotent, so the series ends by itself. Use the exact log det, or cut it there.")
    if noise <= 1e-14 * remainders.quadratic.trace_squared[0]:
        raise NoOptimum("The probes make no noise here, so the more terms the better. Use the exact log det.")
    beta = -torch.diff(moments[1:], append=moments.new_zeros(1))
    beta[0] = noise - moments[2]
    pools: list[tuple[float, int]] = []  # (sum of beta, number of terms), with falling means
    for value in beta.tolist():
        pools.append((value, 1))
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] <= pools[-1][0] * pools[-2][1]:
            (later, m), (before, n) = pools.pop(), pools.pop()
            pools.append((before + later, n + m))
    first = pools[0][0] / pools[0][1]
    table = [(max(total, 0.0) / n / first) ** 0.5 for total, n in pools for _ in range(n)]
    return Optimal(tuple(s for s in table if s >= LEAST), float(remainders.radius))


def as_custom(law: Optimal) -> Custom | None:
    """The law that can be trained with and comes nearest; None where no such law has a finite variance."""
    limits = settings_of(Custom)["table"][1]
    ratio = min(max(law.ratio, limits.low), LARGEST_RATIO)
    if ratio <= law.ratio**2:
        return None
    table = [s for s in law.table if s * ratio >= limits.low][: MOST_ENTRIES - 1]
    last = table[-1] * ratio
    while last / table[-1] > LARGEST_RATIO:  # by rounding
        last = math.nextafter(last, 0.0)
    return Custom((*table, last))
