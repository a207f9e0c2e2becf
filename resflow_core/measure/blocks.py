"""What each residual block does to data: its share of the log det, and how far it is from its bounds."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from resflow_core.flow import Flow
from resflow_core.log_det import LogDet, Roulette
from resflow_core.measure.evaluation import Evaluation
from resflow_core.roulette import Geometric


@dataclass(frozen=True, eq=False)
class BlockTable:
    """An entry a residual block, in order; A = dg/dx at the points that were evaluated."""

    mean_log_det: np.ndarray  # of log det(I + A) over the points, in nats
    lipschitz: np.ndarray  # the certified L
    largest_norm: np.ndarray  # of ||A||_2 over the points: the observed L
    spectral_radius: np.ndarray  # the largest rho(A) over the points
    beyond: np.ndarray | None  # share of points where roulette's variance is infinite; None without a geometric law


def block_table(flow: Flow, evaluation: Evaluation, log_det: LogDet) -> BlockTable:
    """The table of a flow in the plane, evaluated at some points, that trains by `log_det`.

    Roulette with a geometric law, which goes on with chance q = 1 - p, has infinite variance where rho(A)^2 > q.
    """
    radius = spectral_radius(evaluation.jacobians)
    beyond = None
    if isinstance(log_det, Roulette) and isinstance(log_det.law, Geometric):
        beyond = (radius > (1 - log_det.law.p) ** 0.5).double().mean(0).numpy()
    return BlockTable(
        evaluation.block_log_dets.mean(0).numpy(),
        np.array([block.branch.lipschitz for block in flow.blocks]),
        largest_singular_value(evaluation.jacobians).amax(0).numpy(),
        radius.amax(0).numpy(),
        beyond,
    )


def largest_singular_value(a: Tensor) -> Tensor:
    """||A||_2 of matrices (..., 2, 2).

    A is a similarity (a rotation times a factor) plus a mirrored one; their factors add up.
    """
    (a, b), (c, d) = (row.unbind(-1) for row in a.unbind(-2))
    return (torch.hypot(a + d, b - c) + torch.hypot(a - d, b + c)) / 2


def spectral_radius(a: Tensor) -> Tensor:
    """The larger |eigenvalue| of matrices (..., 2, 2): m +- sqrt(s), with m half the trace and s = m^2 - det A."""
    (a, b), (c, d) = (row.unbind(-1) for row in a.unbind(-2))
    m, s = (a + d) / 2, ((a - d) / 2) ** 2 + b * c
    return torch.where(s >= 0, m.abs() + s.abs().sqrt(), (m**2 - s).abs().sqrt())
