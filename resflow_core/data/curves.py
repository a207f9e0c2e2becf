"""Curves blurred by noise. Their density is an integral along the curve, by Gauss-Legendre quadrature.

The number of nodes gives log p within 1e-9 nats near the data, and within 1e-6 nats wherever p > exp(-200). For points
further away, a shorter part of the curve contributes.

`moons(n, generator)` and the like draw points, (n, 2) float32. `labelled_...` also gives class numbers, (n,) int64.
`..._log_prob` is log p(x) in nats, (n, 2) -> (n,) float64. `..._log_joint` is log p(x, y) in nats, (n, 2) ->
(n, classes) float64.
"""

import math

import torch
from torch import Tensor

from resflow_core.data.base import Toy, Truth, square
from resflow_core.data.draws import normal, uniform
from resflow_core.data.labels import Labels
from resflow_core.data.numerics import CHUNK, gauss_legendre, in_chunks, normals_log_prob, scattered_logsumexp

MOONS_DEVIATION, NOISY_MOONS_DEVIATION = 0.2, 0.5
MOONS_NODES = 100
SWISS_ROLL_DEVIATION = 0.2
SWISS_ROLL_NODES = 300
SPIRALS_END = 3 * math.pi
SPIRALS_BOX = 1 / 6
SPIRALS_DEVIATION = 0.1
SPIRALS_NODES = 350
# Nodes whose exponent is this far below the largest contribute a share of 1e-13 together.
NEGLIGIBLE = 36.0


def _moon(angle: Tensor) -> Tensor:
    """The upper half circle, (m, 2). The lower one is its point reflection in (0, 0.3)."""
    return torch.stack([2 * angle.cos() - 1, 2 * angle.sin() - 0.2], 1)


def _other_moon(x: Tensor) -> Tensor:
    return x.new_tensor([0.0, 0.6]) - x


def moons(n: int, generator: torch.Generator) -> Tensor:
    """Two interleaved half circles of radius 2, with normal noise of standard deviation 0.2.

    (2 cos t - 1, 2 sin t - 0.2) and (1 - 2 cos t, 0.8 - 2 sin t), t uniform on [0, pi], each with probability 1/2.
    """
    return labelled_moons(n, generator)[0]


def labelled_moons(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The same points, and 1 for those from the upper half circle, 0 for the others."""
    return _moons(n, generator, MOONS_DEVIATION)


def _moons(n: int, generator: torch.Generator, deviation: float) -> tuple[Tensor, Tensor]:
    upper = _moon(math.pi * uniform(n, generator))
    choose = torch.randint(2, (n, 1), generator=generator).bool()
    x = torch.where(choose, upper, _other_moon(upper)) + deviation * normal(n, generator)
    return x, choose[:, 0].long()


def moons_log_joint(x: Tensor) -> Tensor:
    """log of half the noise density averaged over the lower half circle, and over the upper one."""
    return _moons_log_joint(x, MOONS_DEVIATION)


def _moons_log_joint(x: Tensor, deviation: float) -> Tensor:
    upper, log_weights = _moon_nodes()
    chunks = x.double().split(CHUNK)
    arcs = (_other_moon(upper), upper)
    return torch.cat(
        [torch.stack([normals_log_prob(part, arc, deviation, log_weights) for arc in arcs], 1) for part in chunks]
    )


@in_chunks
def moons_log_prob(x: Tensor) -> Tensor:
    """log of the noise density averaged over both half circles."""
    upper, log_weights = _moon_nodes()
    return normals_log_prob(x, torch.cat([upper, _other_moon(upper)]), MOONS_DEVIATION, log_weights.repeat(2))


def _moon_nodes() -> tuple[Tensor, Tensor]:
    angle, weight = gauss_legendre(0.0, math.pi, MOONS_NODES)
    return _moon(angle), (weight / (2 * math.pi)).log()


def noisy_moons(n: int, generator: torch.Generator) -> Tensor:
    """`moons` with noise of standard deviation 0.5: the classes overlap, so every rule makes errors."""
    return labelled_noisy_moons(n, generator)[0]


def labelled_noisy_moons(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The same points, and 1 for those from the upper half circle, 0 for the others."""
    return _moons(n, generator, NOISY_MOONS_DEVIATION)


def noisy_moons_log_joint(x: Tensor) -> Tensor:
    """`moons_log_joint` with the larger standard deviation."""
    return _moons_log_joint(x, NOISY_MOONS_DEVIATION)


def noisy_moons_log_prob(x: Tensor) -> Tensor:
    """log of the sum of p(x, y) over both classes."""
    return noisy_moons_log_joint(x).logsumexp(1)


def _roll(t: Tensor) -> Tensor:
    return torch.stack([t * t.cos(), t * t.sin()], 1) / 5


def swiss_roll(n: int, generator: torch.Generator) -> Tensor:
    """(t cos t, t sin t) / 5, t uniform on [3 pi / 2, 9 pi / 2], with normal noise of standard deviation 0.2."""
    t = 1.5 * math.pi * (1 + 2 * uniform(n, generator))
    return _roll(t) + SWISS_ROLL_DEVIATION * normal(n, generator)


@in_chunks
def swiss_roll_log_prob(x: Tensor) -> Tensor:
    """log of the noise density averaged over t."""
    t, weight = gauss_legendre(1.5 * math.pi, 4.5 * math.pi, SWISS_ROLL_NODES)
    return normals_log_prob(x, _roll(t), SWISS_ROLL_DEVIATION, (weight / (3 * math.pi)).log())


def _arm(t: Tensor) -> Tensor:
    return torch.stack([-t * t.cos(), t * t.sin()], 1) / 3


def two_spirals(n: int, generator: torch.Generator) -> Tensor:
    """+-((-t cos t, t sin t) / 3 + U) + 0.1 V: two arms of one and a half turns.

    Both signs have probability 1/2, t = 3 pi sqrt(u) with u uniform on [0, 1], U is uniform on [0, 1/6]^2, and V
    is standard normal.
    """
    return labelled_spirals(n, generator)[0]


def labelled_spirals(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The same points, and 1 for those with sign +, 0 for those with sign -."""
    t = SPIRALS_END * uniform(n, generator).sqrt()
    arm = _arm(t) + SPIRALS_BOX * torch.rand(n, 2, generator=generator)
    sign = 2 * torch.randint(2, (n, 1), generator=generator) - 1
    return sign * arm + SPIRALS_DEVIATION * normal(n, generator), (sign[:, 0] > 0).long()


@in_chunks
def two_spirals_log_prob(x: Tensor) -> Tensor:
    """log of the sum over both signs of the integral of (t / 9 pi^2) b(x1 - c1(t)) b(x2 - c2(t)) dt.

    c is the middle of the box over which U moves. b is the density of a uniform number on [-h, h], h = 1/12, plus
    normal noise of standard deviation s = 0.1: b(d) = (Phi((d + h) / s) - Phi((d - h) / s)) / 2h.
    """
    centre, log_weights = _spiral_nodes()
    return _boxes_log_prob(x, torch.cat([centre, -centre]), log_weights.repeat(2))


@in_chunks
def two_spirals_log_joint(x: Tensor) -> Tensor:
    """log of the same integral for the sign -, and for the sign +."""
    centre, log_weights = _spiral_nodes()
    return torch.stack([_boxes_log_prob(x, sign * centre, log_weights) for sign in (-1, 1)], 1)


def _spiral_nodes() -> tuple[Tensor, Tensor]:
    t, weight = gauss_legendre(0.0, SPIRALS_END, SPIRALS_NODES)
    return _arm(t) + SPIRALS_BOX / 2, (weight * t / SPIRALS_END**2).log()


def _boxes_log_prob(x: Tensor, centres: Tensor, log_weights: Tensor) -> Tensor:
    half = SPIRALS_BOX / 2
    # Distance from x to the box, negative inside, in standard deviations.
    near = ((x.T[:, :, None] - centres.T[:, None]).abs() - half) / SPIRALS_DEVIATION
    exponent = -near.square().sum(0) / 2
    point, node = (exponent > exponent.amax(1, keepdim=True) - NEGLIGIBLE).nonzero(as_tuple=True)
    # Phi(-a) - Phi(-b) = exp(-a^2 / 2) (e(a) - e(b) exp((a^2 - b^2) / 2)) / 2, e(a) = erfcx(a / sqrt(2)): no underflow.
    a = near[:, point, node]
    b = a + 2 * half / SPIRALS_DEVIATION
    e_a, e_b = (torch.special.erfcx(end / math.sqrt(2)) for end in (a, b))
    log_box = ((e_a - e_b * ((a**2 - b**2) / 2).exp()) / (4 * half)).log().sum(0)
    return scattered_logsumexp(log_weights[node] + exponent[point, node] + log_box, point, len(x))


MOON_CLASSES = ("lower moon", "upper moon")
MOONS = Toy(
    "Moons",
    moons,
    Truth(moons_log_prob),
    square(3.6, 0.0, 0.3),
    joint=Labels(MOON_CLASSES, labelled_moons, moons_log_joint),
)
NOISY_MOONS = Toy(
    "Noisy moons",
    noisy_moons,
    Truth(noisy_moons_log_prob),
    square(4.3, 0.0, 0.3),
    joint=Labels(MOON_CLASSES, labelled_noisy_moons, noisy_moons_log_joint),
    group="Noisy",
)
SWISS_ROLL = Toy("Swiss roll", swiss_roll, Truth(swiss_roll_log_prob), square(3.2, 0.3, 0.3))
TWO_SPIRALS = Toy(
    "2 spirals",
    two_spirals,
    Truth(two_spirals_log_prob),
    square(3.8),
    joint=Labels(("arm −", "arm +"), labelled_spirals, two_spirals_log_joint),
)
