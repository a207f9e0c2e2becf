"""In which norms the layers of a branch are measured: a chain of orders p_0, p_1, ..., p_n = p_0 (paper, appendix).

||W_i||_{p_{i-1} -> p_i} multiply along the chain, because what one layer gives is measured as the next one takes it.
The first order is the last, because x and g(x) are added: L then holds in the norm of order p_0.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

Order = float | Tensor
"""p from 1 to inf: a number, or one for every matrix of a stack, (n,)."""


@dataclass(frozen=True)
class Chain:
    """p_0 at both ends and one order in between, or orders that are learned, all from the same one."""

    title: str
    outer: float
    inner: float
    learned: bool = False

    def orders(self, layers: int) -> list[float]:
        """p_0, ..., p_n of n layers."""
        return [self.outer, *[self.inner] * (layers - 1), self.outer]


CHAINS: dict[str, Chain] = {
    "2": Chain("2", 2.0, 2.0),
    "inf": Chain("∞", math.inf, math.inf),
    "1": Chain("1", 1.0, 1.0),
    "mixed": Chain("∞ → 2 → ∞", math.inf, 2.0),
    "learned": Chain("Learned, from 4", 4.0, 4.0, learned=True),
}


def learned_orders(raw: Tensor) -> Tensor:
    """p = 1 + exp(-raw): any order between 1 and inf, neither of which is reached; 1/p is the logistic of raw."""
    return 1 + torch.exp(-raw.double())


def raw_order(p: float) -> float:
    """The raw that `learned_orders` takes to p > 1."""
    return -math.log(p - 1)
