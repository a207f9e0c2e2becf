"""Where a residual map f_s = id + s g stops being invertible as its branch is scaled by s > 0, and what is seen then.

f_s is certified while s L < 1. It keeps orientation, and so is a local bijection, while det(I + s A) > 0 everywhere:
that ends where a real eigenvalue of s A reaches -1. Beyond, f_s folds the plane, and some z have several x.
"""

from collections.abc import Iterator
from enum import StrEnum

import torch
from torch import Tensor

from resflow_core.measure.inverse_iterations import Map, residual_solve

# Newton's method halves a step that does not shrink the residual up to so many times; then it gives the start up.
HALVINGS, NEWTON_STEPS = 8, 60


class Regime(StrEnum):
    """What is known of f_s."""

    CERTIFIED = "certified"  # s L < 1
    UNCERTIFIED = "uncertified"  # s L >= 1, and det(I + s A) > 0 wherever it was looked at
    FOLDED = "folded"  # det(I + s A) <= 0 somewhere


def regime(scale: float, lipschitz: float, dets: Tensor) -> Regime:
    """Of f_s with Lip(g) <= L, from det(I + s A) at the points that were looked at. Evidence counts before a claim."""
    if bool((dets <= 0).any()):
        return Regime.FOLDED
    return Regime.CERTIFIED if scale * lipschitz < 1 else Regime.UNCERTIFIED


def breaking_scales(jacobian: Tensor) -> Tensor:
    """The smallest s > 0 with det(I + s A) = 0, for A of shape (..., d, d): (...), infinite where there is none.

    det(I + s A) = prod (1 + s lambda) vanishes first at s = -1 / lambda of the most negative real eigenvalue.
    """
    if jacobian.shape[-1] == 2:
        (a, b), (c, d) = (row.unbind(-1) for row in jacobian.unbind(-2))
        half_trace, det = (a + d) / 2, a * d - b * c
        # As t^2 - det it would be rounded below 0 where eigenvalues lie close together.
        discriminant = ((a - d) / 2) ** 2 + b * c
        root = discriminant.clamp(min=0).sqrt()
        # det / (t + root) is t - root without the cancellation that t > 0 would bring.
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
    """det(I + s A) with its sign, (...), for A of shape (..., d, d)."""
    identity = torch.eye(jacobian.shape[-1]).to(jacobian)
    return torch.linalg.det(identity + scale * jacobian)


@torch.no_grad()
def preimages(
    g: Map, z: Tensor, starts: Tensor, tolerance: float = 1e-9, apart: float = 1e-4
) -> Iterator[Tensor | None]:
    """Different x with x + g(x) = z for one z, (d,), as found from `starts`, (m, d): yields (k, d) at last.

    By Newton's method with halved steps, None after each. What is returned has a residual of at most `tolerance`
    (1 + ||z||), its next step would be ten times shorter than `apart`, and it lies `apart` from the others. It may miss
    some. Use float64.
    """
    x, target = starts.clone(), z.expand_as(starts)
    value, jacobian = g.value_and_jacobian(x)
    r = target - x - value
    for _ in range(NEWTON_STEPS):
        step = residual_solve(jacobian, r)
        x, r, jacobian, moved = _damped(g, target, x, r, jacobian, step)
        if not bool(moved.any()):
            break
        yield None
    last = residual_solve(jacobian, r).norm(dim=1)
    found = x[(r.norm(dim=1) <= tolerance * (1 + z.norm())) & (last <= apart / 10)]
    distinct: list[Tensor] = []
    for candidate in found:
        if all((candidate - other).norm() > apart for other in distinct):
            distinct.append(candidate)
    yield torch.stack(distinct) if distinct else x[:0]


def _damped(
    g: Map, target: Tensor, x: Tensor, r: Tensor, jacobian: Tensor, step: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The next x, r and A of every start, with the longest of the steps s, s/2, s/4, ... that shrinks ||r||."""
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
