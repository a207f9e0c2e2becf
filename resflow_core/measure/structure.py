"""The dependence of a layer's outputs on its inputs, coordinate by coordinate: figure 1 of the paper, in the plane."""

import numpy as np
import torch
from torch import Tensor

from resflow_core.actnorm import ActNorm
from resflow_core.flow import NormalizingFlow


def jacobian_structure(flow: NormalizingFlow, x: Tensor) -> np.ndarray:
    """The mean over points x, (batch, d), of |d out_i / d in_j| of the flow's first layer, as an array (d, d).

    The layer is the first block of a residual flow, with the Jacobian I + A, or the first transform of a baseline.
    Points go through the ActNorms before it. Entries that the structure forces to be 0 are exactly 0 (paper, figure 1):

        coupling          all but the diagonal, in the rows of the coordinates that it keeps
        autoregressive    one triangle
        residual block    none

    Raises ValueError without points, or for points of another dimension.
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
