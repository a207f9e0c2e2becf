"""One pass of points through a flow. Densities and tables follow from it."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.flow import Flow, NormalizingFlow, standard_normal_log_prob
from resflow_core.log_det import residual_log_det
from resflow_core.residual import Stack
from resflow_core.training.step_work import MOST_POINTS, points_a_part


@dataclass(frozen=True)
class Evaluation:
    """Values by the exact log det, in nats, on the processor."""

    log_prob: Tensor  # log p(x), (batch,)
    block_log_dets: Tensor  # log|det(I + A)| of every block, (batch, blocks)
    jacobians: Tensor  # A = dg/dx of every block, (batch, blocks, dim, dim)


def by_parts(
    function: Callable[[Tensor], Any], x: Tensor, flow: NormalizingFlow, breathe: Breathe = without, passes: int = 1
) -> list[Any]:
    """The results of a function at some points of x, (batch, dim), at a time, so that none takes long. It takes as long
    as so many passes of points through the flow."""
    config, found = getattr(flow, "config", None), list[Any]()  # a flow that only standardises has none
    most = points_a_part(config) if config else MOST_POINTS
    for part in x.split(max(1, most // passes)):
        if found:
            breathe()
        found.append(function(part))
    return found


@torch.no_grad()
def constrain(flow: Flow, breathe: Breathe = without) -> None:
    """Compute the constrained weights of a flow, with `breathe` between norms that take long. All that is evaluated
    next without gradients has them at hand."""
    Stack(flow.branches).constrained(breathe)


def evaluate(flow: Flow, x: Tensor, breathe: Breathe = without) -> Evaluation:
    """The `Evaluation` of points, (batch, dim), some at a time. They may also be a list or a NumPy array, of any number
    type.

    Raises ValueError for points of another shape.
    """
    points = torch.as_tensor(x).to(next(flow.parameters()))
    found = by_parts(partial(_evaluated, flow), points, flow, breathe)
    if len(found) == 1:
        return found[0]
    return Evaluation(*(torch.cat([getattr(part, field.name) for part in found]) for field in fields(Evaluation)))


@torch.no_grad()
def _evaluated(flow: Flow, x: Tensor) -> Evaluation:
    z, jacobians = flow.forward_and_jacobians(x)
    log_dets = residual_log_det(jacobians)
    log_prob = standard_normal_log_prob(z) + log_dets.sum(1) + flow.actnorm_log_det
    return Evaluation(*(part.cpu() for part in (log_prob, log_dets, jacobians)))


@torch.no_grad()
def log_prob(flow: NormalizingFlow, x: Tensor, breathe: Breathe = without) -> Tensor:
    """log p(x) in nats by the exact log det, (batch, dim) -> (batch,), some points at a time. Raises ValueError for
    points of another shape.
    """
    return torch.cat(by_parts(flow.log_prob, x.to(next(flow.parameters())), flow, breathe)).cpu()
