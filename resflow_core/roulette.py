"""Laws of the random number of terms N in the Russian roulette estimator.

A law is given by its survival function P(N >= k), k = 1, 2, ... It starts at 1 or below and does not increase. It stays
positive for every k, because otherwise the estimator is biased. N is drawn by inverting it, so the draws cannot
disagree with it.

For large k the survival function falls by the factor `tail_ratio` from term to term, and the weights of the estimator
grow by the inverse factor. With the spectral radius rho of A, the variance is finite if rho^2 < tail_ratio and infinite
if rho^2 > tail_ratio.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from resflow_core.arguments import checked_generator
from resflow_core.settings import check, setting

# A term that is reached with a smaller probability does not change a float64 sum.
RAREST = 1e-16
# Spacing of uniform float64 draws on [0, 1). Rarer events never occur.
UNIFORM_STEP = 2.0**-53
MOST_ENTRIES = 50
LARGEST_RATIO = 0.95


class Law(ABC):
    """The distribution of the number of terms N."""

    @property
    @abstractmethod
    def tail_ratio(self) -> float:
        """The limit of P(N >= k + 1) / P(N >= k) as k grows, in [0, 1)."""

    @abstractmethod
    def survival(self, k: Tensor) -> Tensor:
        """P(N >= k) for whole numbers k >= 0, float64, elementwise."""

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n independent draws of N, int64, shape (n,)."""
        generator = checked_generator(generator, type(self).__name__)
        return self.terms(torch.rand(n, generator=generator, dtype=torch.float64, device=generator.device))

    def terms(self, u: Tensor) -> Tensor:
        """N of u uniform on [0, 1), int64, elementwise: the number of k with u < P(N >= k)."""
        return torch.searchsorted(-survival_table(self, UNIFORM_STEP).to(u), -u)


def survival_table(law: Law, least: float) -> Tensor:
    """P(N >= 1), P(N >= 2), ..., float64, up to the last that is at least `least`."""
    n = 64
    while (table := law.survival(torch.arange(1, n + 1)))[-1] >= least:
        n *= 2
    return table[table >= least]


def expected_terms(law: Law, n_draws: int = 1) -> float:
    """The mean number of computed terms: the mean of the largest of n_draws draws of N.

    E max N = sum_{k>=1} (1 - (1 - P(N >= k))^n_draws)
    """
    return float((1 - (1 - survival_table(law, RAREST)) ** n_draws).sum())


@dataclass(frozen=True)
class Geometric(Law):
    """N = n_exact + Geometric(p) on {0, 1, ...}: P(N >= k) = q^max(0, k - n_exact) with q = 1 - p.

    The paper's "2 exact terms, then Geometric(0.5) on {1, 2, ...}" is n_exact = 3 here, 4 terms expected.
    """

    p: float = setting(0.5, "p", "The chance to stop after each further term.", low=0.05, high=0.95)
    n_exact: int = setting(
        3, "Exact terms", "Terms that are always computed. The paper's 2 + Geometric(0.5) is 3 here.", low=0, high=20
    )

    def __post_init__(self) -> None:
        check(self)

    @property
    def tail_ratio(self) -> float:
        return 1 - self.p

    def survival(self, k: Tensor) -> Tensor:
        return self.tail_ratio ** (k - self.n_exact).clamp(min=0).double()


@dataclass(frozen=True)
class Poisson(Law):
    """N = n_exact + Poisson(lambda): P(N >= n_exact + j) = P(j, lambda), the regularised incomplete gamma function.

    Its tail falls faster than any geometric one, so that the variance is infinite unless A is nilpotent.
    """

    # Up to here torch's incomplete gamma function is good to 1e-12 of its value down to 1e-300; from 15 on to 1e-9.
    lam: float = setting(2.0, "Mean λ", "Mean number of further terms.", low=0.1, high=10.0)
    n_exact: int = setting(2, "Exact terms", "Terms that are always computed.", low=0, high=20)

    def __post_init__(self) -> None:
        check(self)

    @property
    def tail_ratio(self) -> float:
        return 0.0

    def survival(self, k: Tensor) -> Tensor:
        j = (k - self.n_exact).double()
        return torch.where(j >= 1, torch.special.gammainc(j.clamp(min=1), torch.full_like(j, self.lam)), 1.0)


class Tabulated(Law):
    """P(N >= k) from `table` for k = 1, ..., K, and beyond it table_K tail_ratio^(k - K)."""

    table: tuple[float, ...]

    def survival(self, k: Tensor) -> Tensor:
        table = torch.tensor((1.0, *self.table), dtype=torch.float64)
        beyond = (k - len(self.table)).clamp(min=0).double()
        return table[k.clamp(max=len(self.table))] * self.tail_ratio**beyond


def _table_problem(table: tuple[float, ...]) -> str | None:
    """Why numbers in (0, 1] are no survival table, as a sentence with the remedy."""
    if len(table) > MOST_ENTRIES:
        return f"use at most {MOST_ENTRIES} numbers."
    for k, (before, after) in enumerate(zip((1.0, *table), table, strict=False), 1):
        if after > before:
            return f"use numbers that do not increase: P(N >= {k}) = {after:g} is above {before:g}, the one before it."
    if _last_ratio(table) > LARGEST_RATIO:
        return f"the last number must be at most {LARGEST_RATIO:g} of the one before: the law goes on with their ratio."
    return None


def _last_ratio(table: tuple[float, ...]) -> float:
    return table[-1] / (1.0, *table)[-2]


@dataclass(frozen=True)
class Custom(Tabulated):
    """Any law: P(N >= k) from a table for k = 1, ..., K.

    Beyond the table it goes on with the last ratio, P(N >= k) = table_K (table_K / table_{K-1})^(k - K), table_0 = 1. A
    law that stopped with the table would leave every later term out, and the estimator would be biased.
    """

    table: tuple = setting(  # type: ignore[type-arg]  # the annotation tells `settings` what to accept
        (1.0, 1.0, 1.0, 0.6, 0.3),
        "P(N ≥ 1), P(N ≥ 2), …",
        "The probability that each term is reached. After the last number it goes on falling by the last ratio.",
        low=1e-6,
        high=1.0,
        rule=_table_problem,
    )

    def __post_init__(self) -> None:
        check(self)

    @property
    def tail_ratio(self) -> float:
        return _last_ratio(self.table)


LAWS: dict[str, type[Law]] = {"geometric": Geometric, "poisson": Poisson, "custom": Custom}
