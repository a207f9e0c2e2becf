"""One pass of points through a flow. Densities and tables follow from it."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from resflow_core.fast.pieces import Pieces
from resflow_core.flow import Flow, NormalizingFlow, standard_normal_log_prob
from resflow_core.log_det import residual_log_det
from resflow_core.training.step_cost import points_a_piece


@dataclass(frozen=True)
class Evaluation:
    """Values by the exact log det, in nats, on the processor."""

    log_prob: Tensor  # log p(x), (batch,)
    block_log_dets: Tensor  # log|det(I + A)| of every block, (batch, blocks)
    jacobians: Tensor  # A = dg/dx of every block, (batch, blocks, dim, dim)


@torch.no_grad()
def evaluate(flow: Flow, x: Tensor) -> Evaluation:
    """The `Evaluation` of points, (batch, dim). They may also be a list or a NumPy array, of any number type.

    Raises ValueError for points of another shape.
    """
    z, jacobians = flow.forward_and_jacobians(torch.as_tensor(x).to(next(flow.parameters())))
    log_dets = residual_log_det(jacobians)
    log_prob = standard_normal_log_prob(z) + log_dets.sum(1) + flow.actnorm_log_det
    return Evaluation(*(part.cpu() for part in (log_prob, log_dets, jacobians)))


def evaluate_in_pieces(flow: Flow, x: Tensor) -> Pieces[Evaluation]:
    """`evaluate`, some points at a time where all take long."""
    found: list[Evaluation] = []
    for part in x.split(points_a_piece(flow.config)):
        if found:
            yield
        found.append(evaluate(flow, part))
    if len(found) == 1:
        return found[0]
    return Evaluation(*(torch.cat([getattr(part, field.name) for part in found]) for field in fields(Evaluation)))


@torch.no_grad()
def log_prob(flow: NormalizingFlow, x: Tensor) -> Tensor:
    """log p(x) in nats by the exact log det, (batch, dim) -> (batch,). Raises ValueError for points of another
    shape.
    """
    return flow.log_prob(x.to(next(flow.parameters()))).cpu()
