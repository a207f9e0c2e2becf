"""Norms other than the 2-norm in which the layers of a branch are measured (paper, section 3.4 and appendix)."""

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
    """||W||_{p->q}, by `upper_bound`."""

    p: Order
    q: Order

    def __call__(self, weights: Tensor) -> Tensor:
        return upper_bound(weights, self.p, self.q)


def learned_orders(raw: Tensor) -> Tensor:
    """p = 1 + exp(-raw): any order between 1 and inf, neither of which is reached; 1/p is the logistic of raw."""
    return 1 + torch.exp(-raw.double())


def raw_order(p: float) -> float:
    """The raw that `learned_orders` takes to p > 1."""
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
    """The mean over layers of log ||raw|| by its upper bound, as a function of learned orders alone; 0 without them.

    The orders descend it while the weights descend the NLL, towards the norms in which the constraint is loosest
    (paper, appendix). What an activation's constant adds in some of them is left out.
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
