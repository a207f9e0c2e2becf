"""The loss of invertibility of a residual map f_s = id + s g when its branch is scaled by s > 0.

f_s is certified to be invertible if s L < 1. If det(I + s A) > 0 everywhere, it keeps orientation and is a local
bijection. This ends when a real eigenvalue of s A reaches -1. For larger s, f_s folds the plane, and some z have
several x.
"""

from enum import StrEnum

import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.measure.inverse_iterations import Map, residual_solve

# Newton's method tries HALVINGS lengths of a step, each half the one before. If none reduces the residual, the start
# stays.
HALVINGS, NEWTON_STEPS = 8, 60


class Regime(StrEnum):
    """The knowledge about the invertibility of f_s."""

    CERTIFIED = "certified"  # s L < 1
    UNCERTIFIED = "uncertified"  # s L >= 1, and det(I + s A) > 0 at all evaluated points
    FOLDED = "folded"  # det(I + s A) <= 0 somewhere


def regime(scale: float, lipschitz: float, dets: Tensor) -> Regime:
    """The `Regime` of f_s with Lip(g) <= L, from det(I + s A) at the evaluated points.

    A fold that was seen counts more than the bound: the result is then FOLDED even if s L < 1.
    """
    if bool((dets <= 0).any()):
        return Regime.FOLDED
    return Regime.CERTIFIED if scale * lipschitz < 1 else Regime.UNCERTIFIED


def breaking_scales(jacobian: Tensor) -> Tensor:
    """The smallest s > 0 with det(I + s A) = 0, (..., d, d) -> (...), infinite if there is none.

    det(I + s A) = prod (1 + s lambda) is first 0 at s = -1 / lambda, with lambda the most negative real eigenvalue.
    """
    if jacobian.shape[-1] == 2:
        (a, b), (c, d) = (row.unbind(-1) for row in jacobian.unbind(-2))
        half_trace, det = (a + d) / 2, a * d - b * c
        # Rounding could make the form t^2 - det negative if eigenvalues are close together.
        discriminant = ((a - d) / 2) ** 2 + b * c
        root = discriminant.clamp(min=0).sqrt()
        # det / (t + root) equals t - root. It avoids the cancellation of t - root for t > 0.
        least = torch.where(half_trace > 0, det / (half_trace + root), half_trace - root)
        real = discriminant >= 0
    else:
        eigenvalues = torch.linalg.eigvals(jacobian)
        scale = eigenvalues.abs().amax(-1, keepdim=True)
        on_axis = eigenvalues.imag.abs() <= 1e-9 * scale
        least = torch.where(on_axis, eigenvalues.real, torch.inf).amin(-1)
        real = on_axis.any(-1)
    return torch.where(real & (least < 0), -1 / least, torch.inf)


def residual_det(jacobian: Tensor, scale: float = 1.0) -> Tensor:
    """det(I + s A) with its sign, (..., d, d) -> (...)."""
    identity = torch.eye(jacobian.shape[-1]).to(jacobian)
    return torch.linalg.det(identity + scale * jacobian)


@torch.no_grad()
def preimages(
    g: Map, z: Tensor, starts: Tensor, tolerance: float = 1e-9, apart: float = 1e-4, breathe: Breathe = without
) -> Tensor:
    """The different x with x + g(x) = z for one z, (d,), found from `starts`, (m, d): (k, d).

    It uses Newton's method with halved steps, and calls `breathe` after each step. Each x has a residual of at most
    `tolerance` (1 + ||z||). Its next step would be at most a tenth of `apart`. It is more than `apart` away from the
    others. Some x may be missed. Use float64.
    """
    x, target = starts.clone(), z.expand_as(starts)
    value, jacobian = g.value_and_jacobian(x)
    r = target - x - value
    for _ in range(NEWTON_STEPS):
        step = residual_solve(jacobian, r)
        x, r, jacobian, moved = _damped(g, target, x, r, jacobian, step)
        if not bool(moved.any()):
            break
        breathe()
    last = residual_solve(jacobian, r).norm(dim=1)
    found = x[(r.norm(dim=1) <= tolerance * (1 + z.norm())) & (last <= apart / 10)]
    distinct: list[Tensor] = []
    for candidate in found:
        if all((candidate - other).norm() > apart for other in distinct):
            distinct.append(candidate)
    return torch.stack(distinct) if distinct else x[:0]


def _damped(
    g: Map, target: Tensor, x: Tensor, r: Tensor, jacobian: Tensor, step: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The next x, r and A of every start, by the longest of the steps s, s/2, s/4, ... that reduces ||r||.

    The last tensor says which starts moved.
    """
    moved = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for halving in range(HALVINGS):
        there = x + step * 0.5**halving
        value, jacobian_there = g.value_and_jacobian(there)
        r_there = target - there - value
        better = ~moved & (r_there.norm(dim=1) < r.norm(dim=1))
        x, r = torch.where(better[:, None], there, x), torch.where(better[:, None], r_there, r)
        jacobian = torch.where(better[:, None, None], jacobian_there, jacobian)
        moved |= better
        if bool(moved.all()):
            break
    return x, r, jacobian, moved
