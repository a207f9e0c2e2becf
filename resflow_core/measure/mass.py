"""The mass meter: the integral of a density over the whole plane, which is 1 for a density that is one.

Quadrature on a box of n x n cells, the plotted window, and on rings around it: each ring completes a box twice as wide
and high, of again n x n cells. No sampling, and nothing is clamped.

Four rules share the nodes of a box: trapezoid and midpoint rule with doubled cells, in either direction. Their mean is
the trapezoid rule; how far they lie apart says how well it resolves the density. Structure that is narrower than about
a cell can be missed, by the error estimate too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from resflow_core.data import Window

# Points between two yields, so that whoever waits does not wait long.
CHUNK = 1_000
LEAST_DOUBLINGS, MOST_DOUBLINGS = 2, 6
# A ring that adds less than this share is the last. No error is stated below it, which rounding alone may reach.
NEGLIGIBLE = 3e-5


@dataclass(frozen=True)
class Mass:
    """An integral over the plane, an estimate of its quadrature error, and the part within the plotted window.

    `value` and `error` are infinite if the density is infinite at any node; so is `window` if that lies there.
    """

    value: float
    error: float
    window: float


def mass(log_density: Callable[[Tensor], Tensor], window: Window, n: int) -> Mass:
    """The integral of exp(log_density), (batch, 2) -> (batch,); see `masses`."""
    *_, (result,) = masses(lambda x: log_density(x)[None], window, n)
    return result


def masses(log_densities: Callable[[Tensor], Tensor], window: Window, n: int) -> Iterator[tuple[Mass, ...] | None]:
    """The integrals of several densities, (batch, 2) -> (densities, batch), evaluated at the same points, float64.

    n, the cells on a side of the window, is a multiple of 8 (ValueError). Yields None after each chunk of points, and
    the result at last. The error is the distance of the farthest of the four rules from their mean, plus the last
    ring's mass (where a tail halves with each doubling, as much lies beyond), plus `NEGLIGIBLE`.
    """
    if n < 8 or n % 8:
        raise ValueError(f"n = {n}: use a multiple of 8.")
    rules = within = torch.zeros((), dtype=torch.float64)  # (densities, 4): the integral so far by each rule
    for doublings in range(MOST_DOUBLINGS + 1):
        added = torch.zeros((), dtype=torch.float64)
        for x, weights in _nodes(window, n, doublings):
            density = log_densities(x).double().exp()
            infinite = torch.isposinf(density)
            # A weight may be 0, and 0 times infinity is no number.
            bounded = torch.where(infinite, 0.0, density) @ weights
            added = added + torch.where(infinite.any(1, keepdim=True), torch.inf, bounded)
            yield None
        rules, ring = rules + added, added.mean(1)
        value = rules.mean(1)
        if doublings == 0:
            within = ring
        negligible = torch.isposinf(value) | (ring < NEGLIGIBLE * value)
        if doublings >= LEAST_DOUBLINGS and bool(negligible.all()):
            break
    spread = (rules - value[:, None]).abs().amax(1)
    error = torch.where(torch.isposinf(value), torch.inf, spread + ring + NEGLIGIBLE * value)
    yield tuple(map(Mass, value.tolist(), error.tolist(), within.tolist()))


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
    """Weights of the four rules, in cells, from node `first` to `last` of a box each way: ((n + 1)^2, 4)."""
    rules = torch.zeros(2, n + 1, dtype=torch.float64)
    rules[0, first : last + 1 : 2] = 2.0
    rules[0, [first, last]] = 1.0
    rules[1, first + 1 : last : 2] = 2.0
    return torch.einsum("ay,bx->yxab", rules, rules).reshape(-1, 4)
