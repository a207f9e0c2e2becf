"""Five normals on arms that wind up more strongly further out. The density at a point needs all its preimages.

`pinwheel(n, generator)` draws points, (n, 2) float32. Log densities are in nats and float64.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from resflow_core.data.base import Toy, Truth, square
from resflow_core.data.draws import normal
from resflow_core.data.labels import Labels, numbered
from resflow_core.data.numerics import in_chunks, scattered_logsumexp

ARMS = 5
RADIAL_DEVIATION, TANGENTIAL_DEVIATION = 0.3, 0.1
RATE = 0.25
SCALE = 2.0
# Radii of (a, b), half of those in the plane. Beyond FAR a circle meets each arm too often: its points have too many
# preimages to list.
FAR = 6.0
# Beyond FAR, preimages with a larger |b| contribute nothing. Beyond EVEN, a circle meets each arm so often that all
# arms are about equally likely.
NARROW = 10 * TANGENTIAL_DEVIATION
EVEN = 12.0


def pinwheel(n: int, generator: torch.Generator) -> Tensor:
    """x = 2 (a cos w + b sin w, b cos w - a sin w), w = 2 pi k / 5 + exp(a) / 4.

    a ~ N(1, 0.3^2), b ~ N(0, 0.1^2), k uniform on {0, ..., 4}. It is the point (a, b) turned by the angle -w, times 2.
    """
    return labelled_pinwheel(n, generator)[0]


def labelled_pinwheel(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The same points, and the k of each point, (n,) int64."""
    a, b = normal(n, generator).T
    a, b = 1 + RADIAL_DEVIATION * a, TANGENTIAL_DEVIATION * b
    arm = torch.randint(ARMS, (n,), generator=generator)
    angle = arm * (2 * math.pi / ARMS) + RATE * a.exp()
    cos, sin = angle.cos(), angle.sin()
    return SCALE * torch.stack([a * cos + b * sin, b * cos - a * sin], 1), arm


@in_chunks
def pinwheel_log_prob(x: Tensor) -> Tensor:
    """log of the sum, over all (a, b, k) that give x, of N(a; 1, 0.3) N(b; 0, 0.1) / 5 / (4 |1 + b exp(a) / 4|).

    (n, 2) -> (n,). N(a; mean, standard deviation) is a normal density. For |x| > 12 it is the average over the angle.
    """
    radius, angle, near = _polar(x)
    log_prob = torch.empty_like(radius)
    log_prob[near], log_prob[~near] = _near_log_prob(radius[near], angle[near]), _far_log_prob(radius[~near])
    return log_prob


@in_chunks
def pinwheel_log_joint(x: Tensor) -> Tensor:
    """log of the same sum for each k, (n, 2) -> (n, 5).

    For |x| > 12, `pinwheel_log_prob` is an average over the angle, of which each k gets its share at the point. From
    |x| = 24 on (`EVEN` times 2), all k count as equally likely: the likeliest has 0.3 there, and less further out.
    """
    radius, angle, near = _polar(x)
    log_joint = torch.empty(len(x), ARMS, dtype=x.dtype)
    log_joint[near] = _log_joint(*preimages(radius[near], angle[near]), radius[near])
    log_joint[~near] = _far_log_prob(radius[~near])[:, None] - math.log(ARMS)
    far = ~near & (radius < EVEN)
    shares = _log_joint(*preimages(radius[far], angle[far], (NARROW / radius[far]).asin()), radius[far])
    log_joint[far] += shares.log_softmax(1) + math.log(ARMS)
    return log_joint


def _polar(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Radius and angle of (a, b), and whether a point is near enough to list its preimages; (n,) each."""
    radius, angle = (x / SCALE).norm(dim=1), torch.atan2(x[:, 1], x[:, 0])
    return radius, angle, radius <= FAR


def _near_log_prob(radius: Tensor, angle: Tensor) -> Tensor:
    point, psi, _ = preimages(radius, angle)
    return scattered_logsumexp(_preimage_log_probs(radius, point, psi), point, len(radius))


def _log_joint(point: Tensor, psi: Tensor, arm: Tensor, radius: Tensor) -> Tensor:
    # G rises by a full turn from -pi to pi. So each k has a preimage of every point, and far out one with a small |b|.
    log_probs = _preimage_log_probs(radius, point, psi)
    return scattered_logsumexp(log_probs, point * ARMS + arm, len(radius) * ARMS).view(-1, ARMS)


def _preimage_log_probs(radius: Tensor, point: Tensor, psi: Tensor) -> Tensor:
    """log N(a; 1, 0.3) N(b; 0, 0.1) / 5 / (4 |1 + b exp(a) / 4|) of each preimage."""
    a, b = radius[point] * psi.cos(), radius[point] * psi.sin()
    log_normal = -(((a - 1) / RADIAL_DEVIATION) ** 2 + (b / TANGENTIAL_DEVIATION) ** 2) / 2
    # On the lines where the map folds the plane, the density is infinite but integrable.
    det = (1 + RATE * b * a.exp()).abs().clamp_min(torch.finfo(torch.float64).tiny)
    area = 2 * math.pi * RADIAL_DEVIATION * TANGENTIAL_DEVIATION * ARMS * SCALE**2
    return log_normal - det.log() - math.log(area)


def _far_log_prob(radius: Tensor) -> Tensor:
    """The average over the angle, by Laplace's method at b = 0: N(r; 1, s) / (4 2 pi r sqrt(1 - (1 - 1/r) t^2 / s^2)).

    s is the radial and t the tangential standard deviation. On a circle a falls as |b| grows. So the normal in b is
    wider.
    """
    log_normal = -(((radius - 1) / RADIAL_DEVIATION) ** 2) / 2 - math.log(math.sqrt(2 * math.pi) * RADIAL_DEVIATION)
    narrower = 1 - (1 - 1 / radius) * (TANGENTIAL_DEVIATION / RADIAL_DEVIATION) ** 2
    return log_normal - (SCALE**2 * 2 * math.pi * radius * narrower.sqrt()).log()


def preimages(radius: Tensor, angle: Tensor, reach: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """All (a, b) = r (cos psi, sin psi) that the map turns onto points (r, phi), as (index of the point, psi, k).

    `radius` and `angle` have shape (n,). `reach`, (n,), limits |psi|.

    Turning psi by w gives phi: G(psi) = psi - exp(r cos psi) / 4 = phi + 2 pi j / 5 for an integer j. The slope is
    G' = 1 + r sin(psi) exp(r cos psi) / 4. It is negative on one interval at most, because sin(psi) exp(r cos psi) has
    one peak. So G rises, falls and rises on three intervals with known ends. Each interval has one root for each j
    between the values of G at its ends.
    """
    reach = torch.full_like(radius, math.pi) if reach is None else reach
    turn = (at.clamp(-reach, reach) for at in _turning_points(radius))
    ends = torch.stack([-reach, *turn, reach])
    low, high = ends[:-1].T.flatten(), ends[1:].T.flatten()
    step = 2 * math.pi / ARMS
    owner = torch.arange(len(radius)).repeat_interleave(3)
    first, last = (((_wound(radius[owner], end) - angle[owner]) / step).ceil() for end in (low, high))
    count = (last - first).abs().long()
    # One entry for each root: its interval, and its j counted from the interval's lower value.
    interval = torch.arange(len(count)).repeat_interleave(count)
    rank = torch.arange(len(interval)) - (count.cumsum(0) - count)[interval]
    point = owner[interval]
    turns = torch.minimum(first, last)[interval] + rank
    level = angle[point] + step * turns
    r, sign = radius[point], (last - first).sign()[interval]

    def excess(psi: Tensor) -> tuple[Tensor, Tensor]:
        wind = RATE * (r * psi.cos()).exp()
        return sign * (psi - wind - level), sign * (1 + r * psi.sin() * wind)

    return point, increasing_root(excess, low[interval], high[interval]), (turns % ARMS).long()


def _wound(radius: Tensor, psi: Tensor) -> Tensor:
    return psi - RATE * (radius * psi.cos()).exp()


def _turning_points(radius: Tensor) -> tuple[Tensor, Tensor]:
    """The psi < 0 at which G stops rising, and at which it stops falling; twice the same psi if it never falls."""
    # The peak of sin(psi) exp(r cos psi): cos(psi) = r sin(psi)^2, a quadratic equation in cos(psi).
    peak = torch.acos(2 * radius / (1 + (1 + 4 * radius**2).sqrt()))

    def slope(psi: Tensor, sign: int) -> tuple[Tensor, Tensor]:
        wind = RATE * radius * (radius * psi.cos()).exp()
        return sign * (wind * psi.sin() - 1), sign * wind * (psi.cos() - radius * psi.sin() ** 2)

    falls = slope(peak, 1)[0] > 0
    inner = increasing_root(lambda psi: slope(psi, 1), torch.zeros_like(peak), peak)
    outer = increasing_root(lambda psi: slope(psi, -1), peak, torch.full_like(peak, math.pi))
    return torch.where(falls, -outer, -peak), torch.where(falls, -inner, -peak)


def increasing_root(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], low: Tensor, high: Tensor, steps: int = 25
) -> Tensor:
    """The root of an increasing function on [low, high], by `steps` steps of Newton's method, element by element.

    `function` gives value and slope. A step that leaves the interval is replaced by bisection.
    """
    x = (low + high) / 2
    for _ in range(steps):
        value, slope = function(x)
        low, high = torch.where(value < 0, x, low), torch.where(value < 0, high, x)
        newton = x - value / slope
        x = torch.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
    return x


PINWHEEL = Toy(
    "Pinwheel",
    pinwheel,
    Truth(pinwheel_log_prob),
    square(4.0),
    joint=Labels(numbered("arm", ARMS), labelled_pinwheel, pinwheel_log_joint),
)
