"""The log density of one point, term by term, with the point's path through the flow."""

import copy
from dataclasses import dataclass

import numpy as np
import torch

from resflow_core.flow import Flow, standard_normal_log_prob
from resflow_core.log_det import residual_log_det


@dataclass(frozen=True, eq=False)
class Terms:
    """log p(x) = log N(z; 0, I) + sum over blocks of log|det(I + A)| + log|det| of all ActNorms (paper, equation 2).

    Float64, in nats. The sum of the terms is `log_prob`, which the flow has computed by itself.
    """

    log_prob: float
    log_normal: float  # log N(z; 0, I)
    log_dets: np.ndarray  # log|det(I + A)| of every block, (blocks,)
    actnorm: float  # the sum of the log scales of all ActNorms, the same for every x
    jacobians: np.ndarray  # A = dg/dx of every block, where x comes to it, (blocks, dim, dim)
    path: np.ndarray  # x, where each residual block leaves it, and z, (blocks + 2, dim)


@torch.no_grad()
def terms(flow: Flow, x: np.ndarray) -> Terms:
    """The `Terms` of one point, (dim,). Raises ValueError for a point of another shape or one that is not finite."""
    point = torch.as_tensor(np.asarray(x, np.float64))[None]
    if point.shape != (1, flow.config.dim) or not point.isfinite().all():
        raise ValueError(f"x = {np.asarray(x).tolist()}: use one point, {flow.config.dim} finite numbers.")
    exact = copy.deepcopy(flow).cpu().double()
    z, jacobians = exact.forward_and_jacobians(point)
    return Terms(
        log_prob=float(exact.log_prob(point)),
        log_normal=float(standard_normal_log_prob(z)),
        log_dets=residual_log_det(jacobians)[0].numpy(),
        actnorm=float(exact.actnorm_log_det),
        jacobians=jacobians[0].numpy(),
        path=torch.stack(exact.stages(point))[:, 0].numpy(),
    )
