"""One pass of points through a flow, from which densities and tables follow."""

from dataclasses import dataclass

import torch
from torch import Tensor

from resflow_core.flow import Flow, NormalizingFlow, standard_normal_log_prob
from resflow_core.log_det import residual_log_det


@dataclass(frozen=True)
class Evaluation:
    """By the exact log det, in nats."""

    log_prob: Tensor  # log p(x), (batch,)
    block_log_dets: Tensor  # log|det(I + A)| of every block, (batch, blocks)
    jacobians: Tensor  # its A = dg/dx, (batch, blocks, dim, dim)


@torch.no_grad()
def evaluate(flow: Flow, x: Tensor) -> Evaluation:
    """Send points, (batch, dim), through the flow. Lists and NumPy arrays are points too, and numbers of any type."""
    z, jacobians = flow.forward_and_jacobians(torch.as_tensor(x).to(next(flow.parameters())))
    log_dets = residual_log_det(jacobians)
    log_prob = standard_normal_log_prob(z) + log_dets.sum(1) + flow.actnorm_log_det
    return Evaluation(*(part.cpu() for part in (log_prob, log_dets, jacobians)))


@torch.no_grad()
def log_prob(flow: NormalizingFlow, x: Tensor) -> Tensor:
    """log p(x) in nats by the exact log det, (batch,)."""
    return flow.log_prob(x.to(next(flow.parameters()))).cpu()
