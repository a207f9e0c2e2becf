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

# Rounding may stop the residual at this many units in the last place of the point.
MOST_ULPS = 8


class NotConverged(RuntimeError):
    """The solver did not reach a point that is certified to lie within the tolerance."""


def euclidean_norm(x: Tensor) -> Tensor:
    """||x||_2 of columns, (d, batch) -> (batch,)."""
    return euclidean(x, 2.0, 0)


def solve(g: Map, z: Tensor, lipschitz: float, tolerance: float = 1e-6, norm: VectorNorm = euclidean_norm) -> Tensor:
    """As `solve_banach`, in up to as many dimensions as an entry of `SOLVERS` is for by that one."""
    solver = next((solver for most, solver in SOLVERS.items() if z.shape[1] <= most), solve_banach)
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


SOLVERS: dict[int, Callable[..., Tensor]] = {}
"""Faster solvers by the most dimensions that they are for; `resflow_core.fast` has one."""


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
