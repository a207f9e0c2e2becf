"""Broyden's method for x + g(x) = z, with Banach's iteration if a step fails.

Its certificate is the one of `resflow_core.fixed_point`.
"""

import torch
from torch import Tensor

from resflow_core.fixed_point import SOLVERS, Map, StopRule, VectorNorm, euclidean_norm

# Rounding usually lets the residual fall to this many units in the last place of the point.
USUAL_ULPS = 1
# Points that have converged leave the batch when they are this share of it: leaving costs as much as a few steps.
LEAVING = 0.25


@torch.no_grad()
def solve_broyden(
    g: Map, z: Tensor, lipschitz: float, tolerance: float = 1e-6, norm: VectorNorm = euclidean_norm
) -> Tensor:
    """As `solve_banach`, but in a few steps if Banach takes hundreds: it learns how steps change the residual.

    The step is x <- x + M r. M starts as the identity, which is Banach's step. It approaches (I + A)^-1 by Broyden's
    update M <- M + (s - M y) s'M / s'M y after each step s that changed r by -y. No Jacobian is computed.

    Banach's step shrinks the residual by the factor L. A step that does not is taken back, and Banach's step follows.
    That one counts even if rounding makes it look worse. So this takes at most twice Banach's steps, with the same
    certificate. Raises `NotConverged` and ValueError as `solve_banach`.
    """
    z = z.T
    x, r = z.clone(), -g(z.T).T
    stop = StopRule.at_start(z, r, lipschitz, tolerance, norm)
    most = 2 * stop.steps_needed(x, r)
    # The points that have not converged: places in x and r, targets, x, r, M, next steps, and if the last step helped.
    places = torch.arange(z.shape[1], device=z.device)
    identity = torch.eye(len(z)).to(z)[:, :, None].expand(-1, -1, len(places))
    under_way = (places, z, z, r.clone(), identity, r, torch.ones_like(places, dtype=torch.bool))
    for n in range(most):
        places, target, here, residual, inverse, step, helped = under_way
        left, farthest = norm(residual), stop.farthest[places]
        arrived = left <= stop.goal(here, USUAL_ULPS, farthest)
        arrived |= (left <= stop.goal(here, farthest=farthest)) & ~helped
        if (count := int(arrived.sum())) >= LEAVING * len(places):
            x[:, places], r[:, places] = here, residual
            if count == len(places):
                break
            under_way = tuple(part[..., ~arrived] for part in under_way)
            places, target, here, residual, inverse, step, helped = under_way
        there = here + step
        residual_there = target - there - g(there.T).T
        inverse = _broyden_update(inverse, step, residual - residual_there)
        is_banach = ~helped if n else torch.ones_like(helped)
        helped = norm(residual_there) <= lipschitz * norm(residual)
        taken = helped | is_banach
        here, residual = torch.where(taken, there, here), torch.where(taken, residual_there, residual)
        step = torch.where(helped, _times(inverse, residual), residual)
        under_way = (places, target, here, residual, inverse, step, helped)
    x[:, places], r[:, places] = here, residual
    return stop.certified(x, z, r).T


# It has a d x d matrix for every point. In higher dimensions it does not save time.
SOLVERS[8] = solve_broyden


def _broyden_update(inverse: Tensor, step: Tensor, change: Tensor) -> Tensor:
    """The matrix that maps the change of the residual to the step, and whose inverse differs least from the last one's.

    (d, d, batch); Broyden 1965, method 1.
    """
    predicted = _times(inverse, change)
    row = (step[:, None] * inverse).sum(0)
    correction = ((step - predicted) / (step * predicted).sum(0))[:, None] * row
    return torch.where(correction.isfinite(), inverse + correction, inverse)


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    return (matrices * vectors).sum(1)
