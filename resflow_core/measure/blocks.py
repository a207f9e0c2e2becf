"""What each residual block does to data: its share of the log det, and how far it is from its bounds."""

from dataclasses import dataclass

import numpy as np

from resflow_core.flow import Flow
from resflow_core.log_det import LogDet, Roulette
from resflow_core.measure.evaluation import Evaluation
from resflow_core.moments import spectral_radius
from resflow_core.norms import largest_singular_value


@dataclass(frozen=True, eq=False)
class BlockTable:
    """An entry a residual block, in order; A = dg/dx at the points that were evaluated."""

    mean_log_det: np.ndarray  # of log det(I + A) over the points, in nats
    lipschitz: np.ndarray  # the certified L
    largest_norm: np.ndarray  # of ||A||_2 over the points: the observed L
    spectral_radius: np.ndarray  # the largest rho(A) over the points
    tail_ratio: float | None = None  # q: P(N >= k) of the roulette falls by it in the end; None without a roulette
    beyond: np.ndarray | None = None  # share of points with rho(A)^2 > q: the roulette's variance is infinite there


def block_table(flow: Flow, evaluation: Evaluation, log_det: LogDet) -> BlockTable:
    """The table of a flow in the plane, evaluated at some points, that trains by `log_det`."""
    radius = spectral_radius(evaluation.jacobians)
    tail_ratio = log_det.law.tail_ratio if isinstance(log_det, Roulette) else None
    return BlockTable(
        evaluation.block_log_dets.mean(0).numpy(),
        np.array([block.branch.lipschitz for block in flow.blocks]),
        largest_singular_value(evaluation.jacobians).amax(0).numpy(),
        radius.amax(0).numpy(),
        tail_ratio,
        None if tail_ratio is None else (radius**2 > tail_ratio).double().mean(0).numpy(),
    )
