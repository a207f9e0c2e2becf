"""Laws of the random number of terms N in the Russian roulette estimator.

A law is known by its survival function: P(N >= k) for k = 1, 2, ... It starts at 1, does not increase, and is positive
as far as the series goes, or the estimator is biased. N = n_exact + (a law on {0, 1, ...}): the first n_exact terms are
always computed.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from resflow_core.settings import check, setting


class Law(Protocol):
    """The distribution of the number of terms N."""

    def survival(self, k: Tensor) -> Tensor:
        """P(N >= k), float64, elementwise."""
        ...

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n independent draws of N, int64, shape (n,)."""
        ...


@dataclass(frozen=True)
class Geometric:
    """N = n_exact + Geometric(p) on {0, 1, ...}: P(N >= k) = (1 - p)^max(0, k - n_exact).

    The paper's "2 exact terms, then Geometric(0.5) on {1, 2, ...}" is n_exact = 3 here, 4 terms expected. The variance
    is finite if the spectral radius of A satisfies rho^2 < 1 - p, and infinite if rho^2 > 1 - p.
    """

    p: float = setting(0.5, "p", "Chance to stop after each further term.", low=0.05, high=0.95)
    n_exact: int = setting(
        3, "Exact terms", "Terms that are always computed. The paper's 2 + Geometric(0.5) is 3 here.", low=0, high=20
    )

    def __post_init__(self):
        check(self)

    def survival(self, k: Tensor) -> Tensor:
        return (1 - self.p) ** (k - self.n_exact).clamp(min=0).double()

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        # 1 - U lies in (0, 1], so its logarithm is finite. P(floor(log(1 - U) / log q) >= j) = P(1 - U <= q^j) = q^j.
        u = torch.rand(n, generator=generator, dtype=torch.float64, device=generator.device)
        return self.n_exact + torch.floor(torch.log1p(-u) / math.log1p(-self.p)).long()


LAWS: dict[str, type[Law]] = {"geometric": Geometric}
