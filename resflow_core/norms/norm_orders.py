"""Norms other than the 2-norm for the layers of a branch (paper, appendix D)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from resflow_core.lipschitz import NORM_CHAINS, LearnedOrders, NormChain, Order
from resflow_core.norms.induced import upper_bound, vector_norm
from resflow_core.residual import Branch


@dataclass(frozen=True, eq=False)
class InducedNorm:
    """The certified bound of ||W||_{p->q} by `upper_bound`, (n, out, in) -> (n,), float64."""

    p: Order
    q: Order

    def __call__(self, weights: Tensor) -> Tensor:
        return upper_bound(weights, self.p, self.q)


def learned_orders(raw: Tensor) -> Tensor:
    """p = 1 + exp(-raw), float64, of raw's shape: any order between 1 and inf, both excluded. 1/p is the logistic of
    raw.
    """
    return 1 + torch.exp(-raw.double())


def raw_order(p: float) -> float:
    """The inverse of `learned_orders`: raw = -log(p - 1), for p > 1. Raises ValueError if p <= 1."""
    return -math.log(p - 1)


NORM_CHAINS |= {
    "inf": NormChain("∞", math.inf, math.inf, InducedNorm, vector_norm),
    "1": NormChain("1", 1.0, 1.0, InducedNorm, vector_norm),
    "mixed": NormChain("∞ → 2 → ∞", math.inf, 2.0, InducedNorm, vector_norm),
    "learned": NormChain(
        "Learned, from 4", 4.0, 4.0, InducedNorm, vector_norm, LearnedOrders(learned_orders, raw_order)
    ),
}


def order_loss(branches: Sequence[Branch]) -> Tensor:
    """The mean over layers of log ||raw||, by its upper bound, as a function of the learned orders alone: a scalar.

    It is 0 if no orders are learned. The orders descend it while the weights descend the NLL. This leads to the norms
    in which the constraint is loosest (paper, appendix). In some norms an activation's constant adds a factor, which is
    left out.
    """
    if not branches or not branches[0].chain.learned:
        return torch.zeros(())
    raw = torch.stack([branch.raw_orders for branch in branches], 1)
    orders = [*learned_orders(raw), learned_orders(raw[0])]
    layers = zip(*(branch.linears for branch in branches), strict=True)
    norms = [
        upper_bound(torch.stack([linear.raw for linear in layer]).detach(), p, q)
        for layer, p, q in zip(layers, orders, orders[1:], strict=False)
    ]
    return torch.stack(norms).log().mean()
