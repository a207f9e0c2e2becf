"""Convergence of two estimates of one layer's norm: power iteration from below, Gram iteration from above."""

from dataclasses import dataclass

import numpy as np
import torch

from resflow_core.flow import Flow
from resflow_core.lipschitz import cold_start
from resflow_core.norms.spectral_estimates import exact, gram_iteration, power_iteration
from resflow_core.residual import Stack

POWER_STEPS, GRAM_STEPS = 30, 6


@dataclass(frozen=True, eq=False)
class NormEstimates:
    """Estimates of ||W||_2 for the layer with the largest norm."""

    block: int  # from 0
    layer: int  # from 0
    exact: float
    power: np.ndarray  # (steps,) from the vector of a cold start: never above `exact`
    gram: np.ndarray  # (steps + 1,) never below `exact`


@torch.no_grad()
def norm_estimates(flow: Flow) -> NormEstimates:
    """The `NormEstimates` of a flow. The layer is the one whose norm, in its own orders, is the largest."""
    branches = flow.branches
    block, layer = divmod(int(Stack(branches).layer_norms().argmax()), len(branches[0].linears))
    weight = branches[block].linears[layer].weight(branches[block].norms[layer])
    start = cold_start(weight.shape[1]).to(weight)
    return NormEstimates(
        block,
        layer,
        float(exact(weight)),
        power_iteration(weight, start, POWER_STEPS)[0].cpu().numpy(),
        gram_iteration(weight, GRAM_STEPS).cpu().numpy(),
    )
