"""Three iterations from z to x = f^-1(z), f = id + g, for pictures. Each is an endless sequence x_0 = z, x_1, x_2, ...

Sampling uses `resflow_core.fixed_point`, which stops by the bounds below. All norms are the norm in which Lip(g) <= L
holds. The residual is r_n = z - x_n - g(x_n). For L < 1 it is 0 only at the solution x*, and

    ||x_n - x*|| <= L^n / (1 - L) ||x_1 - x_0||     a priori: known before the second step (Banach's iteration)
    ||x_n - x*|| <= ||r_n|| / (1 - L)               a posteriori: for any x_n, from any method

In Banach's iteration x_{n+1} - x_n = r_n and ||r_{n+1}|| <= L ||r_n||, so the second bound is never above the first.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.norms.induced import vector_norm

# A walk this many times farther out than its start will not come back within the steps that are taken.
FAR = 1e3
MOST_PERIOD = 8


class Map(Protocol):
    """A branch g with its Jacobian, row by row."""

    def __call__(self, x: Tensor) -> Tensor:
        """g(x), (batch, d) -> (batch, d)."""
        ...

    def value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """g(x), (batch, d), and A, (batch, d, d)."""
        ...


Iteration = Callable[[Map, Tensor], Iterator[Tensor]]


def residual_solve(jacobian: Tensor, right: Tensor) -> Tensor:
    """(I + A)^-1 r, (batch, d), for A of shape (batch, d, d) and r of shape (batch, d). A singular I + A raises no
    error: for d = 2 the result is then infinite or NaN.
    """
    matrix = torch.eye(jacobian.shape[-1]).to(jacobian) + jacobian
    if matrix.shape[-1] != 2:
        return torch.linalg.solve_ex(matrix, right)[0]
    (a, b), (c, d) = (row.unbind(-1) for row in matrix.unbind(-2))
    r, s = right.unbind(-1)
    return torch.stack([d * r - b * s, a * s - c * r], -1) / (a * d - b * c)[:, None]


def banach(g: Map, z: Tensor) -> Iterator[Tensor]:
    """x_{n+1} = z - g(x_n): converges for every z, (batch, d), if L < 1 (paper, section 2; Behrmann et al. 2019,
    algorithm 1).
    """
    x = z
    while True:
        yield x
        x = z - g(x)


def newton(g: Map, z: Tensor) -> Iterator[Tensor]:
    """x_{n+1} = x_n + (I + A(x_n))^-1 r_n: doubles the correct digits near x*. It may diverge from a start far from
    x*.
    """
    x = z
    while True:
        yield x
        value, jacobian = g.value_and_jacobian(x)
        x = x + residual_solve(jacobian, z - x - value)


def chord(g: Map, z: Tensor) -> Iterator[Tensor]:
    """x_{n+1} = x_n + (I + A(x_0))^-1 r_n: Newton's method with the first Jacobian only."""
    x = z
    jacobian = g.value_and_jacobian(z)[1]
    while True:
        yield x
        x = x + residual_solve(jacobian, z - x - g(x))


ITERATIONS: dict[str, Iteration] = {"banach": banach, "newton": newton, "chord": chord}


@dataclass(frozen=True, eq=False)
class Trace:
    """The first steps of an iteration. The first dimension is n = 0, 1, ..., steps."""

    x: Tensor  # x_n, (steps + 1, batch, d)
    residual: Tensor  # ||r_n||, (steps + 1, batch)

    def a_priori(self, lipschitz: float, order: float = 2.0) -> Tensor:
        """L^n / (1 - L) ||x_1 - x_0||, (steps + 1, batch): holds for Banach's iteration. Infinite unless L < 1.

        Raises IndexError for 0 steps, and ValueError if `order` is below 1.
        """
        n = torch.arange(len(self.x)).to(self.x)[:, None]
        first = vector_norm(self.x[1] - self.x[0], order, -1)
        return first * lipschitz**n / (1 - lipschitz) if lipschitz < 1 else torch.full_like(self.residual, torch.inf)

    def a_posteriori(self, lipschitz: float) -> Tensor:
        """||r_n|| / (1 - L), (steps + 1, batch); infinite unless L < 1."""
        return self.residual / (1 - lipschitz) if lipschitz < 1 else torch.full_like(self.residual, torch.inf)


@torch.no_grad()
def trace(iteration: Iteration, g: Map, z: Tensor, steps: int, order: float = 2.0) -> Trace:
    """The first `steps` steps from x_0 = z, (batch, d), with residuals in the norm of `order`.

    Raises ValueError if `order` is below 1.
    """
    x = torch.stack([*islice(iteration(g, z), steps + 1)])
    flat = x.flatten(0, 1)
    residual = z - x - g(flat).view_as(x)
    return Trace(x, vector_norm(residual, order, -1))


@torch.no_grad()
def steps_taken(
    iteration: Iteration, g: Map, z: Tensor, goal: float, most: int, order: float = 2.0, breathe: Breathe = without
) -> Tensor:
    """The first n with ||r_n|| <= goal for every z, (batch,) int64, or `most` + 1 if no n up to `most` reaches it.

    It calls `breathe` after each step. Raises ValueError if `order` is below 1.
    """
    counts = torch.full((len(z),), most + 1, device=z.device)
    for n, x in zip(range(most + 1), iteration(g, z), strict=False):
        arrived = vector_norm(z - x - g(x), order, -1) <= goal
        counts = torch.where(arrived, counts.clamp(max=n), counts)
        if bool((counts <= n).all()):
            break
        breathe()
    return counts


def fate(walk: Tensor, residual: Tensor, goal: float) -> str:
    """The behaviour of one sequence x_n, (steps + 1, d), with its ||r_n||, (steps + 1,).

    It is one of "arrives", "comes nearer", "leaves", "cycles with period k" and "wanders".
    """
    if bool((residual <= goal).any()):
        return "arrives"
    size = vector_norm(walk, 2.0, -1)
    if not bool(walk[-1].isfinite().all()) or bool(size[-1] > FAR * (1 + size[0])):
        return "leaves"
    for period in range(2, MOST_PERIOD + 1):
        if len(walk) > 3 * period:
            laps = walk[-3 * period :].view(3, period, -1)
            before, gap = vector_norm(laps.diff(dim=0), 2.0, -1).amax(1).tolist()
            if _closes(gap, before, float(residual[-period:].min())):
                return f"cycles with period {period}"
    later = residual[len(residual) // 2 :]
    return "comes nearer" if bool((later[1:] <= later[:-1]).all() & (later[-1] < later[0])) else "wanders"


def _closes(gap: float, before: float, size: float) -> bool:
    """Whether laps end where they began, up to 1e-3 of the residual, and all later laps will too.

    If gaps shrink by a factor q per lap, the later gaps add up to q / (1 - q) times the last one. Slow convergence from
    side to side also has small gaps, but these add up to the whole distance that is left.
    """
    small = 1e-3 * size
    return gap <= 1e-9 * size or (gap <= small and gap**2 <= small * (before - gap))
