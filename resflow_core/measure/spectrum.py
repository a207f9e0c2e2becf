"""The eigenvalues of the blocks' Jacobians, and the bias of a truncated series."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from resflow_core.estimators.moments.powers import powers
from resflow_core.gradients import log_series
from resflow_core.log_det import residual_log_det

# The largest number of terms of a truncated series.
MOST_TERMS = 50


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues and biases for A = dg/dx of every block, at some points of the data."""

    eigenvalues: np.ndarray  # (shown * blocks * 2,) complex64, at the first points
    biases: np.ndarray  # (MOST_TERMS,) float32: of log p(x) in nats, if the series ends after 1, 2, ... terms


def spectrum(jacobians: Tensor, shown: int) -> Spectrum:
    """The `Spectrum` of A, (points, blocks, 2, 2), with the eigenvalues at the first `shown` points.

    With t = tr A and D = det A, the eigenvalues are t/2 +- sqrt(t^2/4 - D). The bias with n terms, in nats, is the mean
    over the points of the sum over blocks of sum_{k<=n} a_k tr(A^k) - log|det(I + A)|.
    """
    jacobians = jacobians.double()
    trace, det = jacobians.diagonal(dim1=-2, dim2=-1).sum(-1), torch.linalg.det(jacobians)
    root = torch.complex(trace**2 / 4 - det, torch.zeros_like(det)).sqrt()
    eigenvalues = torch.stack([trace / 2 + root, trace / 2 - root], -1)[:shown]
    missing = -residual_log_det(jacobians).sum(1).mean()
    biases = []
    # A^k = u_k A - D u_{k-1} I, so its trace is u_k t - 2 D u_{k-1}.
    for a_k, (u, u_before) in zip(log_series(MOST_TERMS)[1:].tolist(), powers(trace, det), strict=False):
        missing = missing + a_k * (u * trace - 2 * det * u_before).sum(1).mean()
        biases.append(float(missing))
    return Spectrum(eigenvalues.flatten().numpy().astype(np.complex64), np.array(biases, np.float32))
