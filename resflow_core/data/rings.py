"""Circles blurred by normal noise.

`circles(n, generator)` and `rings` draw points, (n, 2) float32. `..._log_prob` is log p(x) in nats, (n, 2) -> (n,)
float64. `..._log_joint` is log p(x, y) in nats, (n, 2) -> (n, classes) float64.
"""

import math

import torch
from torch import Tensor

from resflow_core.data.base import Toy, Truth, square
from resflow_core.data.draws import normal, uniform
from resflow_core.data.labels import Labels
from resflow_core.data.numerics import in_chunks

CIRCLES_RADII, CIRCLES_DEVIATION = (3.0, 1.5), 0.24
RINGS_RADII, RINGS_DEVIATION = (3.0, 2.25, 1.5, 0.75), 0.08


def draw_rings(radii: tuple[float, ...], deviation: float, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """R (cos t, sin t) + deviation V, (n, 2), and the number of each point's R among the radii, (n,) int64."""
    ring = torch.randint(len(radii), (n,), generator=generator)
    radius = torch.tensor(radii)[ring]
    angle = 2 * math.pi * uniform(n, generator)
    circle = torch.stack([angle.cos(), angle.sin()], 1)
    return radius[:, None] * circle + deviation * normal(n, generator), ring


def rings_log_joint_of(radii: tuple[float, ...], deviation: float, x: Tensor) -> Tensor:
    """log of exp(-(r - R)^2 / 2s^2) i0e(r R / s^2) / (2 pi s^2 K) for each of the K radii R, (n, 2) -> (n, K); r = |x|.

    A normal averaged over a circle is exp(-(r^2 + R^2) / 2s^2) I0(r R / s^2) / (2 pi s^2); i0e(z) = exp(-z) I0(z).
    """
    variance = deviation**2
    big_r, r = torch.tensor(radii, dtype=torch.float64), x.norm(dim=1, keepdim=True)
    log_terms = torch.special.i0e(r * big_r / variance).log() - (r - big_r) ** 2 / (2 * variance)
    return log_terms - math.log(2 * math.pi * variance * len(radii))


def circles(n: int, generator: torch.Generator) -> Tensor:
    """R (cos t, sin t) + 0.24 V: R is 3 or 1.5 with equal weights, t uniform on [0, 2 pi], and V standard normal."""
    return labelled_circles(n, generator)[0]


def labelled_circles(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The same points, and 0 for those from the outer circle, 1 for the inner one, (n,) int64."""
    return draw_rings(CIRCLES_RADII, CIRCLES_DEVIATION, n, generator)


@in_chunks
def circles_log_prob(x: Tensor) -> Tensor:
    """log of the sum of p(x, y) over both circles."""
    return rings_log_joint_of(CIRCLES_RADII, CIRCLES_DEVIATION, x).logsumexp(1)


@in_chunks
def circles_log_joint(x: Tensor) -> Tensor:
    """`rings_log_joint_of` at the radii and the noise of `circles`."""
    return rings_log_joint_of(CIRCLES_RADII, CIRCLES_DEVIATION, x)


def rings(n: int, generator: torch.Generator) -> Tensor:
    """R (cos t, sin t) + 0.08 V: R is 3, 2.25, 1.5 or 0.75 with equal weights, t and V as for `circles`."""
    return labelled_rings(n, generator)[0]


def labelled_rings(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The same points, and the number 0 to 3 of each point's ring, from the outermost on, (n,) int64."""
    return draw_rings(RINGS_RADII, RINGS_DEVIATION, n, generator)


@in_chunks
def rings_log_prob(x: Tensor) -> Tensor:
    """log of the sum of p(x, y) over the four rings."""
    return rings_log_joint_of(RINGS_RADII, RINGS_DEVIATION, x).logsumexp(1)


@in_chunks
def rings_log_joint(x: Tensor) -> Tensor:
    """`rings_log_joint_of` at the radii and the noise of `rings`."""
    return rings_log_joint_of(RINGS_RADII, RINGS_DEVIATION, x)


CIRCLES = Toy(
    "Circles",
    circles,
    Truth(circles_log_prob),
    square(3.8),
    joint=Labels(("outer", "inner"), labelled_circles, circles_log_joint),
)
RINGS = Toy(
    "Rings",
    rings,
    Truth(rings_log_prob),
    square(3.4),
    joint=Labels(tuple(f"radius {radius:g}" for radius in RINGS_RADII), labelled_rings, rings_log_joint),
)
