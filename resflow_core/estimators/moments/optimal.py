"""The law of N with the smallest product of variance and expected terms (Rhee and Glynn, 2015, section 3)."""

import math
from dataclasses import dataclass

import torch

from resflow_core.estimators.moments.remainders import Remainders
from resflow_core.estimators.moments.variance import probe_noise, second_moments
from resflow_core.roulette import LARGEST_RATIO, MOST_ENTRIES, Custom, Tabulated
from resflow_core.settings import settings_of

# Terms that are reached more rarely are left out of the table: `ratio` covers them.
LEAST = 1e-9


class NoOptimum(ValueError):
    """No law is best. Without noise of the probes, every longer law is better, and the limit is the exact log det. If A
    is nilpotent, the series is finite and needs no law.
    """


@dataclass(frozen=True)
class Optimal(Tabulated):
    """A table that starts with 1. After its end, P(N >= k) falls by the factor `ratio` from term to term."""

    table: tuple[float, ...]
    ratio: float

    @property
    def tail_ratio(self) -> float:
        return self.ratio


def optimal_law(remainders: Remainders, probe: str = "gaussian", n_probes: int = 1) -> Optimal:
    """The best law for remainders of shape (1 + terms,): of one matrix, or `pooled` over points and added over blocks.

    If N is drawn once, the product of variance and E N is

        (sum_n beta_n / P(N >= n)) (sum_n P(N >= n)),   beta_n = E T_n^2 - E T_{n+1}^2,   beta_1 = V(R_0) / K - E T_2^2.

    It is smallest if P(N >= n) is proportional to sqrt(beta_n). Neighbours are first pooled, so that P(N >= n) does not
    increase. After the table, the law falls by the spectral radius, as sqrt(beta_n) does.

    It is the best of the laws with P(N >= 1) = 1. For the log det, and for the gradient term by term, all other laws
    are worse. The Neumann series has a summand M_0 that E N does not count. There, a law that often stops at N = 0 may
    have a smaller product, down to 0.

    Raises `NoOptimum` if the probes make no noise or A is nilpotent, and KeyError if `PROBES` has no such probe.
    Source: Rhee and Glynn (2015), section 3.
    """
    noise, moments = probe_noise(remainders, probe, n_probes)[0], second_moments(remainders, probe, n_probes)
    if remainders.radius == 0:
        raise NoOptimum("A is nilpotent, so the series ends by itself. Use the exact log det, or cut it there.")
    if noise <= 1e-14 * remainders.quadratic.trace_squared[0]:
        raise NoOptimum("The probes make no noise here, so more terms are always better. Use the exact log det.")
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
    """The nearest law that a flow can be trained with. None if all such laws have an infinite variance."""
    limits = settings_of(Custom)["table"][1]
    ratio = min(max(law.ratio, limits.low), LARGEST_RATIO)
    if ratio <= law.ratio**2:
        return None
    table = [s for s in law.table if s * ratio >= limits.low][: MOST_ENTRIES - 1]
    last = table[-1] * ratio
    while last / table[-1] > LARGEST_RATIO:  # rounding may put the ratio just above the limit
        last = math.nextafter(last, 0.0)
    return Custom((*table, last))
