"""The guarantees of Lipschitz bounds for a whole flow, and the values observed on data."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from resflow_core.flow import Flow
from resflow_core.measure.evaluation import Evaluation
from resflow_core.norms.induced import norm_of_2x2


@dataclass(frozen=True)
class Guarantee:
    """Bounds of a quantity that hold everywhere, and its smallest and largest value at some points."""

    low: float
    high: float
    seen_low: float
    seen_high: float


@dataclass(frozen=True)
class Guarantees:
    """Bounds for z = f(x) in R^d, with blocks of Lipschitz bounds L_k, and ActNorms with scales s.

    stretch   ||f(x) - f(y)|| / ||x - y|| is in [prod (1 - L_k) min|s|, prod (1 + L_k) max|s|]. The upper end bounds
              Lip(f). The inverse of the lower end bounds Lip(f^-1) (Behrmann et al. 2019, lemma 2). Observed are
              1 / ||J^-1|| and ||J||, J = df/dx.
    log_det   log|det dz/dx| in nats is in [sum d ln(1 - L_k), sum d ln(1 + L_k)] + sum log|s|, since |lambda| <= L for
              every eigenvalue of A, in any norm.
    log_prob  log p(x) <= -d/2 ln(2 pi) + the upper end of log_det, in nats. There is no lower end.

    The stretch is in the norm of order `order`: the order of the blocks if they agree, else 2. In the 2-norm the bounds
    of a block grow by d^|1/2 - 1/p|.
    """

    order: float
    stretch: Guarantee
    log_det: Guarantee
    log_prob: Guarantee


@torch.no_grad()
def guarantees(flow: Flow, evaluation: Evaluation) -> Guarantees:
    """The `Guarantees` of a flow in the plane, evaluated at some points. If a block's bound is 1 or more, the lower
    ends are 0 and -inf. Raises torch.linalg.LinAlgError if df/dx is singular at a point.
    """
    branches = [block.branch for block in flow.blocks]
    bounds, orders = [branch.lipschitz for branch in branches], {branch.orders[0] for branch in branches}
    order = orders.pop() if len(orders) == 1 else 2.0
    grown = [1.0 if order != 2 else flow.dim ** abs(0.5 - 1 / branch.orders[0]) for branch in branches]
    scales = [norm.log_scale.double().exp() for norm in flow.actnorms]
    shared = float(flow.actnorm_log_det)
    low = math.prod((1 - bound) / k if bound < 1 else 0.0 for bound, k in zip(bounds, grown, strict=True))
    high = math.prod(1 + k * bound for bound, k in zip(bounds, grown, strict=True))
    jacobian = _jacobian(flow, evaluation.jacobians)
    log_dets = evaluation.block_log_dets.double().sum(1) + shared
    least = sum(math.log1p(-bound) if bound < 1 else -math.inf for bound in bounds)
    most = sum(math.log1p(bound) for bound in bounds)
    ceiling = -flow.dim / 2 * math.log(2 * math.pi) + flow.dim * most + shared
    return Guarantees(
        order,
        Guarantee(
            low * math.prod(float(scale.min()) for scale in scales),
            high * math.prod(float(scale.max()) for scale in scales),
            1 / float(norm_of_2x2(torch.linalg.inv(jacobian), order).max()),
            float(norm_of_2x2(jacobian, order).max()),
        ),
        Guarantee(flow.dim * least + shared, flow.dim * most + shared, float(log_dets.min()), float(log_dets.max())),
        Guarantee(-math.inf, ceiling, float(evaluation.log_prob.min()), float(evaluation.log_prob.max())),
    )


def _jacobian(flow: Flow, jacobians: Tensor) -> Tensor:
    """df/dx, (n, d, d), float64, from A of every block, (n, blocks, d, d)."""
    whole = identity = torch.eye(flow.dim, dtype=torch.float64)
    for k, a in enumerate(jacobians.double().unbind(1)):
        whole = (identity + a) @ (_scale(flow, k)[:, None] * whole)
    return _scale(flow, len(flow.blocks))[:, None] * whole


def _scale(flow: Flow, k: int) -> Tensor:
    if not flow.actnorms:
        return torch.ones(flow.dim, dtype=torch.float64)
    return flow.actnorms[k].log_scale.double().cpu().exp()
