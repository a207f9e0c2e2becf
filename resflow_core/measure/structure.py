"""Which coordinates a layer lets depend on which: figure 1 of the paper, in the plane."""

import numpy as np
import torch
from torch import Tensor

from resflow_core.actnorm import ActNorm
from resflow_core.flow import NormalizingFlow


def jacobian_structure(flow: NormalizingFlow, x: Tensor) -> np.ndarray:
    """The mean over points x, (batch, d), of |d out_i / d in_j| of the flow's first layer, as an array (d, d).

    The layer is a residual flow's first block, whose Jacobian is I + A, or a baseline's first transform, where the
    points get to through the ActNorm before it. What its structure forces to be 0 is exactly 0: all but the diagonal in
    the rows of what a coupling keeps, one triangle of an autoregressive layer, nothing of a residual block (paper,
    figure 1). Raises ValueError without points, or of another dimension.
    """
    if not len(x):
        raise ValueError("x has 0 points: pass at least 1.")
    here = x.detach().to(next(flow.parameters()))
    parts = iter(flow.bijections)
    while isinstance(layer := next(parts), ActNorm):
        here = layer(here).detach()
    with torch.enable_grad():
        out = layer(here.requires_grad_())
        rows = [torch.autograd.grad(column.sum(), here, retain_graph=True)[0] for column in out.T]
    return torch.stack(rows).abs().mean(1).cpu().numpy()
