"""Toy sets whose density is an elementary formula.

`checkerboard(n, generator)` and the like draw points, (n, 2) float32. `..._log_prob` is log p(x) in nats, (n, 2) ->
(n,) float64. `..._log_joint` is log p(x, y) in nats, (n, 2) -> (n, classes) float64.
"""

import math

import torch
from torch import Tensor

from resflow_core.data.base import Toy, Truth, square
from resflow_core.data.draws import normal
from resflow_core.data.labels import Labels, numbered
from resflow_core.data.numerics import in_chunks, normals_log_prob, normals_log_probs

CHECKERBOARD_AREA = 32.0

_EIGHTHS = torch.arange(8, dtype=torch.float64) * (math.pi / 4)
EIGHT_CENTRES = 4 / math.sqrt(2) * torch.stack([_EIGHTHS.cos(), _EIGHTHS.sin()], 1)
EIGHT_DEVIATION = 0.5 / math.sqrt(2)

GAUSSIAN_DEVIATION, GAUSSIAN_CORRELATION = 1.2, 0.8
# The Cholesky factor of the covariance, s [[1, 0], [r, sqrt(1 - r^2)]].
GAUSSIAN_FACTOR = GAUSSIAN_DEVIATION * torch.tensor(
    [[1.0, 0.0], [GAUSSIAN_CORRELATION, math.sqrt(1 - GAUSSIAN_CORRELATION**2)]], dtype=torch.float64
)

BANANA_DEVIATION = 0.5


def checkerboard(n: int, generator: torch.Generator) -> Tensor:
    """Uniform on eight 2 x 2 squares of a board that spans [-4, 4]^2: p = 1/32 on them, entropy log 32 nats."""
    return coloured_checkerboard(n, generator)[0]


def coloured_checkerboard(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The same points, and 1 for those in the second and fourth column, 0 for those in the first and third, (n,) int64.

    Squares of the two colours meet at their corners.
    """
    column = torch.randint(4, (n,), generator=generator)
    row = 2 * torch.randint(2, (n,), generator=generator) + column % 2
    corner = torch.stack([column, row], 1).float()
    # Multiples of 2^-21 below 1 make exact sums in float32: no point is rounded onto the next square.
    within = (torch.rand(n, 2, generator=generator) * 2**21).floor() / 2**21
    return 2 * (corner + within) - 4, column % 2


def checkerboard_log_prob(x: Tensor) -> Tensor:
    """-log 32 on the board's squares, -inf elsewhere."""
    cell = torch.floor((x.double() + 4) / 2)
    inside = ((cell >= 0) & (cell <= 3)).all(1) & (cell.sum(1) % 2 == 0)
    return torch.full_like(cell[:, 0], -math.log(CHECKERBOARD_AREA)).masked_fill(~inside, -math.inf)


def checkerboard_log_joint(x: Tensor) -> Tensor:
    """The density in the column of the square's colour, -inf in the other column. Off the squares both are -inf."""
    column = torch.floor((x.double()[:, :1] + 4) / 2)
    others = column % 2 != torch.arange(2)
    return checkerboard_log_prob(x)[:, None].masked_fill(others, -math.inf)


def eight_gaussians(n: int, generator: torch.Generator) -> Tensor:
    """Eight equal normals of standard deviation 0.5 on a circle of radius 4, all divided by sqrt(2)."""
    return numbered_gaussians(n, generator)[0]


def numbered_gaussians(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The same points, and the number 0 to 7 of each point's normal, (n,) int64."""
    centre = torch.randint(8, (n,), generator=generator)
    return EIGHT_CENTRES.float()[centre] + EIGHT_DEVIATION * normal(n, generator), centre


_EIGHT_LOG_WEIGHTS = torch.full((8,), -math.log(8), dtype=torch.float64)


@in_chunks
def eight_gaussians_log_prob(x: Tensor) -> Tensor:
    """log of the mean of the eight normal densities."""
    return normals_log_prob(x, EIGHT_CENTRES, EIGHT_DEVIATION, _EIGHT_LOG_WEIGHTS)


@in_chunks
def eight_gaussians_log_joint(x: Tensor) -> Tensor:
    """log of an eighth of each normal density."""
    return normals_log_probs(x, EIGHT_CENTRES, EIGHT_DEVIATION, _EIGHT_LOG_WEIGHTS)


def gaussian(n: int, generator: torch.Generator) -> Tensor:
    """x = L u, u standard normal, L L' = 1.44 [[1, 0.8], [0.8, 1]]: standard deviations 1.2, correlation 0.8."""
    return normal(n, generator) @ GAUSSIAN_FACTOR.float().T


def gaussian_log_prob(x: Tensor) -> Tensor:
    """-|L^-1 x|^2 / 2 - log(2 pi det L)."""
    u = torch.linalg.solve_triangular(GAUSSIAN_FACTOR, x.double().T, upper=False)
    return -u.square().sum(0) / 2 - math.log(2 * math.pi) - GAUSSIAN_FACTOR.logdet()


def banana(n: int, generator: torch.Generator) -> Tensor:
    """x1 = u, x2 = u^2 / 2 - 1 + v / 2, u and v standard normal: a bent normal with a constant Jacobian determinant."""
    u, v = normal(n, generator).T
    return torch.stack([u, u**2 / 2 - 1 + BANANA_DEVIATION * v], 1)


def banana_log_prob(x: Tensor) -> Tensor:
    """-(u^2 + v^2) / 2 - log(2 pi / 2), with u and v solved from x."""
    u, x2 = x.double().T
    v = (x2 - u**2 / 2 + 1) / BANANA_DEVIATION
    return -(u**2 + v**2) / 2 - math.log(2 * math.pi * BANANA_DEVIATION)


CHECKERBOARD = Toy(
    "Checkerboard",
    checkerboard,
    Truth(checkerboard_log_prob, math.log(CHECKERBOARD_AREA)),
    square(4.4),
    joint=Labels(("first colour", "second colour"), coloured_checkerboard, checkerboard_log_joint),
)
EIGHT_GAUSSIANS = Toy(
    "8 Gaussians",
    eight_gaussians,
    Truth(eight_gaussians_log_prob),
    square(4.0),
    joint=Labels(numbered("normal", 8), numbered_gaussians, eight_gaussians_log_joint),
)
# A map with a constant Jacobian determinant adds its log det to the entropy of the standard normal.
_NORMAL_ENTROPY = math.log(2 * math.pi * math.e)
GAUSSIAN = Toy(
    "Gaussian", gaussian, Truth(gaussian_log_prob, _NORMAL_ENTROPY + float(GAUSSIAN_FACTOR.logdet())), square(3.8)
)
BANANA = Toy(
    "Banana", banana, Truth(banana_log_prob, _NORMAL_ENTROPY + math.log(BANANA_DEVIATION)), square(3.6, 0.0, 1.1)
)
