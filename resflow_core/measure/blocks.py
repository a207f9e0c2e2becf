"""The effect of each residual block on data: its share of the log det, and its distance from its bounds."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.estimators.moments import spectral_radius
from resflow_core.flow import Flow
from resflow_core.log_det import LogDet, Roulette
from resflow_core.measure.evaluation import Evaluation
from resflow_core.measure.invertibility import breaking_scales
from resflow_core.norms.induced import norm_of_2x2
from resflow_core.residual import Stack

# Orders with a closed form for the norm of a 2 x 2 matrix. For others, CANDIDATES points at a time are searched.
CLOSED, CANDIDATES = (1.0, 2.0, float("inf")), 100


@dataclass(frozen=True, eq=False)
class BlockTable:
    """One entry for each residual block, in order. A = dg/dx is taken at the evaluated points."""

    mean_log_det: np.ndarray  # of log det(I + A) over the points, in nats
    mean_abs_log_det: float  # of the whole flow's |log|det df/dx||, in nats
    lipschitz: np.ndarray  # L: the bound that the caps keep, or of the layers as they are if nothing caps them
    layer_norms: np.ndarray  # (blocks, layers): upper bounds of the layers as they are; their product bounds Lip(g)
    largest_norm: np.ndarray  # the largest ||A|| over the points: the observed L
    steepest: np.ndarray  # (blocks, 2, 2): the A with the largest ||A||_2
    orders: np.ndarray  # (blocks, layers): p_0, p_1, ... of the norms; L and ||A|| are in that of p_0
    breaking: np.ndarray  # the smallest s at which det(I + s A) is 0 at one of the points
    spectral_radius: np.ndarray  # the largest rho(A) over the points
    tail_ratio: float | None = None  # q: for large k, P(N >= k) falls by this factor; None without a roulette
    beyond: np.ndarray | None = None  # share of points with rho(A)^2 > q: infinite variance of the roulette


def block_table(flow: Flow, evaluation: Evaluation, log_det: LogDet, breathe: Breathe = without) -> BlockTable:
    """The `BlockTable` of a flow in the plane, evaluated at some points, that trains by `log_det`."""
    radius, stack = spectral_radius(evaluation.jacobians), Stack(flow.branches)
    norms = stack.layer_norms(breathe)
    orders = [branch.orders[:-1] for branch in stack.branches]
    norms_2, outer = norm_of_2x2(evaluation.jacobians, 2.0), [first for first, *_ in orders]
    tail_ratio = log_det.law.tail_ratio if isinstance(log_det, Roulette) else None
    return BlockTable(
        mean_log_det=evaluation.block_log_dets.mean(0).numpy(),
        mean_abs_log_det=float((evaluation.block_log_dets.sum(1) + flow.actnorm_log_det.detach().cpu()).abs().mean()),
        lipschitz=np.array(stack.lipschitz_bounds(norms)),
        layer_norms=stack.layer_bounds(norms).numpy(),
        largest_norm=(
            norms_2.amax(0).numpy()
            if set(outer) == {2.0}
            else _largest_norms(evaluation.jacobians.swapaxes(0, 1), outer)
        ),
        steepest=_steepest(evaluation.jacobians, norms_2).numpy(),
        orders=np.array(orders),
        spectral_radius=radius.amax(0).numpy(),
        breaking=breaking_scales(evaluation.jacobians).amin(0).numpy(),
        tail_ratio=tail_ratio,
        beyond=None if tail_ratio is None else (radius**2 > tail_ratio).double().mean(0).numpy(),
    )


def _steepest(jacobians: Tensor, norms: Tensor) -> Tensor:
    """The A with the largest 2-norm in each block, (blocks, 2, 2), from A, (n, blocks, 2, 2), and all 2-norms."""
    return jacobians[norms.argmax(0), torch.arange(jacobians.shape[1])]


def _largest_norms(jacobians: Tensor, orders: list[float]) -> np.ndarray:
    """The largest ||A||_{p->p} of every block, (blocks,), from A, (blocks, n, 2, 2), and each block's p."""
    if len(set(orders)) == 1 and orders[0] in CLOSED:
        return norm_of_2x2(jacobians, orders[0]).amax(1).numpy()
    # Other orders need a search over directions. It runs only for points that may have the largest norm: their bound,
    # interpolated between closed forms (Riesz-Thorin), is above the largest norm found so far.
    largest = []
    for a, p in zip(jacobians, orders, strict=True):
        near, share = (1.0, 2 / p - 1) if p < 2 else (float("inf"), 1 - 2 / p)
        bounds = norm_of_2x2(a, 2.0) ** (1 - share) * norm_of_2x2(a, near) ** share
        found = torch.zeros((), dtype=torch.float64)
        for candidates in bounds.argsort(descending=True).split(CANDIDATES):
            if bounds[candidates[0]] <= found:
                break
            found = torch.maximum(found, norm_of_2x2(a[candidates], p).max())
        largest.append(float(found))
    return np.array(largest)
