"""The mass meter: the integral of a density over the whole plane, which is 1 for a true density.

It uses quadrature on a box of n x n cells, the plotted window, and on rings around it. Each ring completes a box that
is twice as wide and high, again of n x n cells. There is no sampling, and no value is clamped.

Four rules share the nodes of a box: in each direction the trapezoid or the midpoint rule, with doubled cells. Their
mean is the trapezoid rule. Their distance shows how well it resolves the density. Structure narrower than about one
cell can be missed, also by the error estimate.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.data import Window

# Points of a part: few, so that others do not wait long.
CHUNK = 1_000
LEAST_DOUBLINGS, MOST_DOUBLINGS = 2, 6
# The last ring is one that adds less than this share. Stated errors are not smaller: rounding alone may reach it.
NEGLIGIBLE = 3e-5


@dataclass(frozen=True)
class Mass:
    """An integral over the plane, an estimate of its quadrature error, and the part inside the plotted window.

    `value` and `error` are infinite if the density is infinite at a node. `window` is infinite if that node is in the
    window.
    """

    value: float
    error: float
    window: float


def mass(log_density: Callable[[Tensor], Tensor], window: Window, n: int) -> Mass:
    """The integral of exp(log_density), with log_density (batch, 2) -> (batch,) in nats. See `masses`.

    Raises ValueError if n is not a positive multiple of 8.
    """
    (result,) = masses(lambda x: log_density(x)[None], window, n)
    return result


def masses(
    log_densities: Callable[[Tensor], Tensor], window: Window, n: int, breathe: Breathe = without
) -> tuple[Mass, ...]:
    """The integrals of exp(log_densities), (batch, 2) -> (densities, batch) in nats, at the same points, float64.

    n is the number of cells on a side of the window. The error is the sum of three parts: the largest distance of a
    rule from the mean of the four, the mass of the last ring, and `NEGLIGIBLE` times the value. The mass beyond the
    last ring equals that of the ring if the tail halves with each doubling. Raises ValueError if n is not a positive
    multiple of 8.
    """
    if n < 8 or n % 8:
        raise ValueError(f"n = {n}: use a multiple of 8.")
    rules = within = torch.zeros((), dtype=torch.float64)  # (densities, 4): the integral so far by each rule
    for doublings in range(MOST_DOUBLINGS + 1):
        added = torch.zeros((), dtype=torch.float64)
        for x, weights in _nodes(window, n, doublings):
            density = log_densities(x).double().exp()
            infinite = torch.isposinf(density)
            # A weight may be 0, and 0 times infinity is NaN.
            bounded = torch.where(infinite, 0.0, density) @ weights
            added = added + torch.where(infinite.any(1, keepdim=True), torch.inf, bounded)
            breathe()
        rules, ring = rules + added, added.mean(1)
        value = rules.mean(1)
        if doublings == 0:
            within = ring
        negligible = torch.isposinf(value) | (ring < NEGLIGIBLE * value)
        if doublings >= LEAST_DOUBLINGS and bool(negligible.all()):
            break
    spread = (rules - value[:, None]).abs().amax(1)
    error = torch.where(torch.isposinf(value), torch.inf, spread + ring + NEGLIGIBLE * value)
    return tuple(map(Mass, value.tolist(), error.tolist(), within.tolist()))


def _nodes(window: Window, n: int, doublings: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The nodes of a box or ring in chunks: points, (m, 2), and their weights in the four rules, (m, 4)."""
    axes, area = [], 1.0
    for low, high in window:
        centre, reach = (low + high) / 2, (high - low) / 2 * 2**doublings
        axes.append(torch.linspace(centre - reach, centre + reach, n + 1, dtype=torch.float64))
        area *= 2 * reach / n
    weights = _products(n, 0, n) * area
    if doublings:
        weights -= _products(n, n // 4, 3 * n // 4) * area
    used = weights.any(1)
    points = torch.cartesian_prod(axes[1], axes[0]).flip(1)
    yield from zip(points[used].split(CHUNK), weights[used].split(CHUNK), strict=True)


def _products(n: int, first: int, last: int) -> Tensor:
    """Weights of the four rules, in cells, from node `first` to `last` in both directions: ((n + 1)^2, 4)."""
    rules = torch.zeros(2, n + 1, dtype=torch.float64)
    rules[0, first : last + 1 : 2] = 2.0
    rules[0, [first, last]] = 1.0
    rules[1, first + 1 : last : 2] = 2.0
    return torch.einsum("ay,bx->yxab", rules, rules).reshape(-1, 4)
