"""The inverse of a residual block: the fixed point of x <- z - g(x), and the bound that stops the iteration.

f = id + g with Lip(g) <= L < 1 expands distances by at least 1 - L. So the residual r = z - x - g(x) bounds the error:

    ||x - x*|| <= ||r|| / (1 - L)

In the iteration x_{n+1} = z - g(x_n) the residual is the step x_{n+1} - x_n, and this is the a-posteriori bound
L / (1 - L) ||x_{n+1} - x_n|| of Banach's theorem for the next point (paper, section 2; Behrmann et al. 2019, algorithm
1).

`norm` is the norm in which L holds. Points are columns below, (d, batch), because each coordinate is then contiguous in
memory.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from resflow_core.lipschitz import euclidean

# g: (batch, d) -> (batch, d), row by row.
Map = Callable[[Tensor], Tensor]
# ||x|| of columns, (d, batch) -> (batch,).
VectorNorm = Callable[[Tensor], Tensor]

# Rounding may stop the residual at this many units in the last place of the point, and usually lets it fall to fewer.
MOST_ULPS, USUAL_ULPS = 8, 1
# Broyden's method has a d x d matrix for every point. In higher dimensions it does not save time.
BROYDEN_UP_TO_DIM = 8
# Points that have converged leave the batch when they are this share of it: leaving costs as much as a few steps.
LEAVING = 0.25


class NotConverged(RuntimeError):
    """The solver did not reach a point that is certified to lie within the tolerance."""


def euclidean_norm(x: Tensor) -> Tensor:
    """||x||_2 of columns, (d, batch) -> (batch,)."""
    return euclidean(x, 2.0, 0)


def solve(g: Map, z: Tensor, lipschitz: float, tolerance: float = 1e-6, norm: VectorNorm = euclidean_norm) -> Tensor:
    """As `solve_banach`, by Broyden's method where that is faster: if d <= `BROYDEN_UP_TO_DIM`."""
    solver = solve_broyden if z.shape[1] <= BROYDEN_UP_TO_DIM else solve_banach
    return solver(g, z, lipschitz, tolerance, norm)


@torch.no_grad()
def solve_banach(
    g: Map, z: Tensor, lipschitz: float, tolerance: float = 1e-6, norm: VectorNorm = euclidean_norm
) -> Tensor:
    """x with ||x - x*|| <= max(tolerance, 8 eps (1 + ||x||) / (1 - L)), by x <- z - g(x) from x = z; (batch, d).

    eps is the rounding unit of z's type. Each step shrinks the residual at least by the factor L, so the number of
    steps is known beforehand (Banach's a-priori bound). Raises `NotConverged` if a point has not arrived by then, and
    ValueError unless L < 1.
    """
    x, following = z.T, (z - g(z)).T
    stop = StopRule.at_start(z.T, following - x, lipschitz, tolerance, norm)
    for _ in range(stop.steps_needed(x, following - x)):
        if bool((norm(following - x) <= stop.goal(x)).all()):
            break
        x = following
        following = z.T - g(x.T).T
    return stop.certified(x, z.T, following - x).T


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
            places, target, here, residual, inverse, step, helped = (part[..., ~arrived] for part in under_way)
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


@dataclass(frozen=True)
class StopRule:
    """The residual that suffices at each point. `farthest` bounds ||x*||, (batch,)."""

    lipschitz: float
    tolerance: float
    norm: VectorNorm
    farthest: Tensor

    @classmethod
    def at_start(cls, z: Tensor, r: Tensor, lipschitz: float, tolerance: float, norm: VectorNorm) -> "StopRule":
        """From the residual r at x = z. Raises ValueError unless L < 1."""
        if not lipschitz < 1:
            raise ValueError(
                f"Lip(g) <= {lipschitz:g} certifies no inverse; the bound must be below 1. Lower the budget."
            )
        return cls(lipschitz, tolerance, norm, norm(z) + norm(r) / (1 - lipschitz))

    def goal(self, x: Tensor, ulps: float = MOST_ULPS, farthest: Tensor | None = None) -> Tensor:
        """The residual that certifies the tolerance, (batch,), or the smallest that rounding allows near x."""
        scale = 1 + torch.minimum(self.norm(x), self.farthest if farthest is None else farthest)
        return (ulps * torch.finfo(x.dtype).eps * scale).clamp(min=self.tolerance * (1 - self.lipschitz))

    def steps_needed(self, x: Tensor, r: Tensor) -> int:
        """The n with L^n ||r_0|| <= goal for every point, and a few steps more because of rounding."""
        ratios = self.norm(r) / self.goal(x)
        largest = max(ratios[ratios.isfinite()].tolist(), default=0.0)
        return 5 + math.ceil(math.log(max(largest, 1.0)) / -math.log(max(self.lipschitz, 1e-3)))

    def certified(self, x: Tensor, z: Tensor, r: Tensor) -> Tensor:
        """x, if every residual certifies it. Otherwise raises `NotConverged`, which names the first point."""
        left, goal = self.norm(r), self.goal(x)
        failed = ~(left <= goal)
        if failed.any():
            i = int(failed.nonzero()[0])
            remedy = (
                "Check that the weights are finite and the Lipschitz bound holds, or lower the budget."
                if bool(z[:, i].isfinite().all())
                else "This z is not finite; leave such points out."
            )
            raise NotConverged(
                f"No certified inverse for {int(failed.sum())} of {z.shape[1]} points; the first is z = "
                f"{z[:, i].tolist()} (row {i}), where the residual {float(left[i]):.3g} stays above "
                f"{float(goal[i]):.3g}. {remedy}"
            )
        return x


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
