"""Circles blurred by normal noise."""

import math

import torch
from torch import Tensor

from resflow_core.datasets.draws import normal, uniform
from resflow_core.datasets.numerics import in_chunks

# (radii, deviation of the noise)
CIRCLES = ((3.0, 1.5), 0.24)
RINGS = ((3.0, 2.25, 1.5, 0.75), 0.08)


def _draw(radii: tuple[float, ...], deviation: float, n: int, generator: torch.Generator) -> Tensor:
    radius = torch.tensor(radii)[torch.randint(len(radii), (n,), generator=generator)]
    angle = 2 * math.pi * uniform(n, generator)
    circle = torch.stack([angle.cos(), angle.sin()], 1)
    return radius[:, None] * circle + deviation * normal(n, generator)


def _log_prob(radii: tuple[float, ...], deviation: float, x: Tensor) -> Tensor:
    """log of the mean over R of exp(-(r - R)^2 / 2s^2) i0e(r R / s^2) / (2 pi s^2), r = |x|.

    A normal averaged over a circle is exp(-(r^2 + R^2) / 2s^2) I0(r R / s^2) / (2 pi s^2); i0e(z) = exp(-z) I0(z).
    """
    variance = deviation**2
    big_r, r = torch.tensor(radii, dtype=torch.float64), x.norm(dim=1, keepdim=True)
    log_terms = torch.special.i0e(r * big_r / variance).log() - (r - big_r) ** 2 / (2 * variance)
    return log_terms.logsumexp(1) - math.log(2 * math.pi * variance * len(radii))


def circles(n: int, generator: torch.Generator) -> Tensor:
    """Radii 3 and 1.5 with equal weights, an even angle, and normal noise of deviation 0.24."""
    return _draw(*CIRCLES, n, generator)


@in_chunks
def circles_log_prob(x: Tensor) -> Tensor:
    return _log_prob(*CIRCLES, x)


def rings(n: int, generator: torch.Generator) -> Tensor:
    """Radii 3, 2.25, 1.5 and 0.75 with equal weights, an even angle, and normal noise of deviation 0.08."""
    return _draw(*RINGS, n, generator)


@in_chunks
def rings_log_prob(x: Tensor) -> Tensor:
    return _log_prob(*RINGS, x)
