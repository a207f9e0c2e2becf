"""Where the eigenvalues of the blocks' Jacobians lie, and what a series that is cut there makes of them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from resflow_core.estimators.moments.powers import powers
from resflow_core.gradients import log_series
from resflow_core.log_det import residual_log_det

# As many as a truncated series may have.
MOST_TERMS = 50


@dataclass(frozen=True)
class Spectrum:
    """Of A = dg/dx of every block, at some points of the data."""

    eigenvalues: np.ndarray  # (shown * blocks * 2,) complex64: at the first points
    biases: np.ndarray  # (MOST_TERMS,) float32: of log p(x) in nats, where the series ends after 1, 2, ... terms


def spectrum(jacobians: Tensor, shown: int) -> Spectrum:
    """Of A, (points, blocks, 2, 2). With t = tr A and D = det A, the eigenvalues are t/2 +- sqrt(t^2/4 - D), and the
    mean bias over the points with n terms is that of sum over blocks of sum_{k<=n} a_k tr(A^k) - log|det(I + A)|."""
    jacobians = jacobians.double()
    trace, det = jacobians.diagonal(dim1=-2, dim2=-1).sum(-1), torch.linalg.det(jacobians)
    root = torch.complex(trace**2 / 4 - det, torch.zeros_like(det)).sqrt()
    eigenvalues = torch.stack([trace / 2 + root, trace / 2 - root], -1)[:shown]
    missing = -residual_log_det(jacobians).sum(1).mean()
    biases = []
    # A^k = u_k A - D u_{k-1} I, so that its trace is u_k t - 2 D u_{k-1}.
    for a_k, (u, u_before) in zip(log_series(MOST_TERMS)[1:].tolist(), powers(trace, det), strict=False):
        missing = missing + a_k * (u * trace - 2 * det * u_before).sum(1).mean()
        biases.append(float(missing))
    return Spectrum(eigenvalues.flatten().numpy().astype(np.complex64), np.array(biases, np.float32))
