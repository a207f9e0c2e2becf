"""Solvers of x + g(x) = z for x, where Lip(g) <= L < 1. Both stop by a bound on the error, not by a hope.

f = id + g expands distances by at least 1 - L, so the residual r = z - x - g(x) bounds the error of x:

    ||x - x*|| <= ||r|| / (1 - L)

In the paper's iteration x_{n+1} = z - g(x_n) the step is the residual, and this is the a-posteriori bound
L / (1 - L) ||x_{n+1} - x_n|| of Banach's theorem, applied to the next point.
"""

import math

import torch
from torch import Tensor

from resflow_core.identity_plus import solve_identity_plus
from resflow_core.log_det import BranchLike

# Rounding keeps the residual from getting smaller than this many units in the last place of the point.
ROUNDING_ULPS = 8


class NotConverged(RuntimeError):
    """The solver did not reach a point that is certified to lie within the tolerance."""


@torch.no_grad()
def solve_banach(branch: BranchLike, z: Tensor, lipschitz: float, tolerance: float = 1e-6) -> Tensor:
    """x with ||x - x*|| <= tolerance (plus rounding / (1 - L)), by x <- z - g(x) from x = z; shape (batch, d).

    The residual shrinks by L a step at least, so the number of steps is known beforehand (Banach, a priori); a point
    that is not there by then raises `NotConverged`.
    """
    x = z.clone()
    residual = -branch(x)
    farthest = _farthest(z, residual, lipschitz)
    goal = _goal(x, farthest, lipschitz, tolerance)
    for _ in range(_steps_needed(residual, goal, lipschitz)):
        if bool((residual.norm(dim=1) <= goal).all()):
            break
        x = x + residual
        residual = z - x - branch(x)
        goal = _goal(x, farthest, lipschitz, tolerance)
    return _certified(x, z, residual, goal)


@torch.no_grad()
def solve_newton(branch: BranchLike, z: Tensor, lipschitz: float, tolerance: float = 1e-6) -> Tensor:
    """As `solve_banach`, by Newton's steps x <- x + (I + A)^-1 r: a handful where Banach takes hundreds.

    A step that does not shrink the residual by the factor L, as Banach's would, is replaced by Banach's; so this takes
    at most twice Banach's steps, and its certificate is the same. Points leave the batch as they arrive.
    """
    first_residual = -branch(z)
    farthest = _farthest(z, first_residual, lipschitz)
    limit = 2 * _steps_needed(first_residual, _goal(z, farthest, lipschitz, tolerance), lipschitz)
    solution, final_residual = z.clone(), torch.zeros_like(z)
    active = torch.arange(len(z), device=z.device)
    x, target = z, z
    last_x, last_residual = x, torch.full_like(z, math.inf)
    step = 0
    while len(active):
        value, jacobian = branch.value_and_jacobian(x)
        residual = target - x - value
        size, last_size = residual.norm(dim=1), last_residual.norm(dim=1)
        done = (size <= _goal(x, farthest[active], lipschitz, tolerance)) | (step >= limit)
        solution[active[done]], final_residual[active[done]] = x[done], residual[done]
        accepted = (size < lipschitz * last_size) | torch.isinf(last_size)
        # A singular I + A gives infinities instead of an error; such a step makes no progress and is replaced.
        newton = x + solve_identity_plus(jacobian, residual)
        following = torch.where(accepted[:, None], newton, last_x + last_residual)
        last_residual = torch.where(accepted[:, None], residual, math.inf)
        last_x, x = x, following
        keep = ~done
        active, x, target = active[keep], x[keep], target[keep]
        last_x, last_residual = last_x[keep], last_residual[keep]
        step += 1
    return _certified(solution, z, final_residual, _goal(solution, farthest, lipschitz, tolerance))


def _farthest(z: Tensor, residual: Tensor, lipschitz: float) -> Tensor:
    """A bound on ||x*||, (batch,), from the residual at x = z."""
    if not lipschitz < 1:
        raise ValueError(f"Lip(g) <= {lipschitz:g} certifies no inverse; the bound must be below 1. Lower the budget.")
    return z.norm(dim=1) + residual.norm(dim=1) / (1 - lipschitz)


def _goal(x: Tensor, farthest: Tensor, lipschitz: float, tolerance: float) -> Tensor:
    """The residual that certifies the tolerance, (batch,), but no smaller than rounding lets it become near x."""
    scale = 1 + torch.minimum(x.norm(dim=1), farthest)
    return (ROUNDING_ULPS * torch.finfo(x.dtype).eps * scale).clamp(min=tolerance * (1 - lipschitz))


def _steps_needed(residual: Tensor, goal: Tensor, lipschitz: float) -> int:
    """The n with L^n ||r_0|| <= goal for every point, and a few to spare for rounding."""
    ratios = residual.norm(dim=1) / goal
    largest = max(ratios[ratios.isfinite()].tolist(), default=0.0)
    return 5 + math.ceil(math.log(max(largest, 1.0)) / -math.log(max(lipschitz, 1e-3)))


def _certified(x: Tensor, z: Tensor, residual: Tensor, goal: Tensor) -> Tensor:
    size = residual.norm(dim=1)
    failed = ~(size <= goal)
    if failed.any():
        i = int(failed.nonzero()[0])
        raise NotConverged(
            f"No certified inverse for {int(failed.sum())} of {len(z)} points; the first is z = {z[i].tolist()} "
            f"(row {i}), where the residual {float(size[i]):.3g} stays above {float(goal[i]):.3g}. "
            "Check that the weights are finite and the Lipschitz bound holds, or lower the budget."
        )
    return x
