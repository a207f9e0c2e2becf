"""Solvers of x + g(x) = z for x, where Lip(g) <= L < 1. Both stop by a bound on the error, not by a hope.

All norms are the one in which L holds, given by its order: 2, unless the branch's layers are measured otherwise.
f = id + g expands distances by at least 1 - L, so the residual r = z - x - g(x) bounds the error of x:

    ||x - x*|| <= ||r|| / (1 - L)

In the paper's iteration x_{n+1} = z - g(x_n) the step is the residual, and this is the a-posteriori bound
L / (1 - L) ||x_{n+1} - x_n|| of Banach's theorem, applied to the next point.

Points are columns here, (d, batch), so that every coordinate is one run of numbers in memory.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from resflow_core.norms.induced import vector_norm

# g: (batch, d) -> (batch, d), row by row.
Branch = Callable[[Tensor], Tensor]

# Rounding can keep the residual from getting smaller than this many units in the last place of the point, but mostly
# lets it become as small as this.
MOST_ULPS, USUAL_ULPS = 8, 1
# Points that have arrived leave the batch when they make up this part of it: leaving costs as much as a few steps.
LEAVING = 0.25


class NotConverged(RuntimeError):
    """The solver did not reach a point that is certified to lie within the tolerance."""


@torch.no_grad()
def solve_banach(g: Branch, z: Tensor, lipschitz: float, tolerance: float = 1e-6, order: float = 2.0) -> Tensor:
    """x with ||x - x*|| <= max(tolerance, 8 eps (1 + ||x||) / (1 - L)), by x <- z - g(x) from x = z; (batch, d).

    eps is the rounding of z's type. The residual shrinks by L a step at least, so the number of steps is known
    beforehand (Banach, a priori); a point that is not there by then raises `NotConverged`. ValueError unless L < 1.
    """
    z = z.T
    x, r = z, -g(z.T).T
    farthest = _farthest(z, r, lipschitz, order)
    goal = _goal(x, farthest, lipschitz, tolerance, order)
    for _ in range(_steps_needed(r, goal, lipschitz, order)):
        if bool((_size(r, order) <= goal).all()):
            break
        x = x + r
        r = z - x - g(x.T).T
        goal = _goal(x, farthest, lipschitz, tolerance, order)
    return _certified(x, z, r, goal, order).T


@torch.no_grad()
def solve_broyden(g: Branch, z: Tensor, lipschitz: float, tolerance: float = 1e-6, order: float = 2.0) -> Tensor:
    """As `solve_banach`, in a handful of steps where Banach takes hundreds: it learns how steps change the residual.

    x <- x + M r, where M starts as the identity, which is Banach's step, and comes to (I + A)^-1 by Broyden's update
    M <- M + (s - M y) s'M / s'M y after each step s that changed r by -y. No Jacobian is computed. A step that does not
    shrink the residual by the factor L, as Banach's would, is taken back, and Banach's made instead, which counts
    whatever rounding says of it; so this takes at most twice Banach's steps, and its certificate is the same.
    """
    z = z.T
    x, r = z.clone(), -g(z.T).T
    farthest = _farthest(z, r, lipschitz, order)
    most = 2 * _steps_needed(r, _goal(x, farthest, lipschitz, tolerance, order), lipschitz, order)
    # What is on its way: the points' places in x and r, their targets, x, r, M, next steps, and if the last one helped.
    places = torch.arange(z.shape[1], device=z.device)
    identity = torch.eye(len(z)).to(z)[:, :, None].expand(-1, -1, len(places))
    under_way = (places, z, z, r.clone(), identity, r, torch.ones_like(places, dtype=torch.bool))
    for n in range(most):
        places, target, here, residual, inverse, step, helped = under_way
        size, bound = _size(residual, order), farthest[places]
        arrived = (size <= _goal(here, bound, lipschitz, tolerance, order, USUAL_ULPS)) | (
            (size <= _goal(here, bound, lipschitz, tolerance, order)) & ~helped
        )
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
        helped = _size(residual_there, order) <= lipschitz * _size(residual, order)
        taken = helped | is_banach
        here, residual = torch.where(taken, there, here), torch.where(taken, residual_there, residual)
        step = torch.where(helped, _times(inverse, residual), residual)
        under_way = (places, target, here, residual, inverse, step, helped)
    x[:, places], r[:, places] = here, residual
    return _certified(x, z, r, _goal(x, farthest, lipschitz, tolerance, order), order).T


def _broyden_update(inverse: Tensor, step: Tensor, change: Tensor) -> Tensor:
    """The matrix that takes the change of the residual to the step, and whose inverse differs least from the last's.

    (d, d, batch); Broyden 1965, method 1.
    """
    predicted = _times(inverse, change)
    row = (step[:, None] * inverse).sum(0)
    correction = ((step - predicted) / (step * predicted).sum(0))[:, None] * row
    return torch.where(correction.isfinite(), inverse + correction, inverse)


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    return (matrices * vectors).sum(1)


def _size(vectors: Tensor, order: float) -> Tensor:
    """Norms of columns, (batch,). In the 2-norm without the guard against overflow, which would take most of a step."""
    return vectors.square().sum(0).sqrt() if order == 2 else vector_norm(vectors, order, 0)


def _farthest(z: Tensor, r: Tensor, lipschitz: float, order: float) -> Tensor:
    """A bound on ||x*||, (batch,), from the residual at x = z."""
    if not lipschitz < 1:
        raise ValueError(f"Lip(g) <= {lipschitz:g} certifies no inverse; the bound must be below 1. Lower the budget.")
    return _size(z, order) + _size(r, order) / (1 - lipschitz)


def _goal(
    x: Tensor, farthest: Tensor, lipschitz: float, tolerance: float, order: float, ulps: float = MOST_ULPS
) -> Tensor:
    """The residual that certifies the tolerance, (batch,), but no smaller than rounding lets it become near x."""
    scale = 1 + torch.minimum(_size(x, order), farthest)
    return (ulps * torch.finfo(x.dtype).eps * scale).clamp(min=tolerance * (1 - lipschitz))


def _steps_needed(r: Tensor, goal: Tensor, lipschitz: float, order: float) -> int:
    """The n with L^n ||r_0|| <= goal for every point, and a few to spare for rounding."""
    ratios = _size(r, order) / goal
    largest = max(ratios[ratios.isfinite()].tolist(), default=0.0)
    return 5 + math.ceil(math.log(max(largest, 1.0)) / -math.log(max(lipschitz, 1e-3)))


def _certified(x: Tensor, z: Tensor, r: Tensor, goal: Tensor, order: float) -> Tensor:
    size = _size(r, order)
    failed = ~(size <= goal)
    if failed.any():
        i = int(failed.nonzero()[0])
        raise NotConverged(
            f"No certified inverse for {int(failed.sum())} of {z.shape[1]} points; the first is z = {z[:, i].tolist()} "
            f"(row {i}), where the residual {float(size[i]):.3g} stays above {float(goal[i]):.3g}. "
            "Check that the weights are finite and the Lipschitz bound holds, or lower the budget."
        )
    return x
