"""The density that a map gives to x, one point of it followed, and what it integrates to.

log p(x) = log p_base(f(x)) + log|det J_f(x)|        (Chen et al. 2019, equation 2)
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch

from app.features.stretch.bases import BASES
from app.features.stretch.maps import PlaneMap
from app.features.stretch.settings import Stretch
from resflow_core.measure import Mass, mass

# Of the quadrature's window, in radians: an edge along a row of nodes counts wholly or not at all, by all of its rules.
# No edge that is likely to be typed runs in this direction.
TURN = 0.4
EDGE_POINTS = 400  # along each side of the square around x, whose image may be curved


def determinants(jacobians: np.ndarray) -> np.ndarray:
    """det J, (n, 2, 2) -> (n,)."""
    return jacobians[:, 0, 0] * jacobians[:, 1, 1] - jacobians[:, 0, 1] * jacobians[:, 1, 0]


def log_density(f: PlaneMap, base: str, x: np.ndarray, forget: bool = False) -> np.ndarray:
    """log p(x) in nats, (n, 2) -> (n,), -inf where p is 0; with `forget` log p_base(f(x)) alone, which is no density
    unless |det J| = 1."""
    known = BASES[base].log_density(f.forward(x))
    return known if forget else known + np.log(np.abs(determinants(f.jacobian(x))))


@dataclass(frozen=True, eq=False)
class Followed:
    """One x on its way, and the square around it."""

    x: np.ndarray  # (2,)
    z: np.ndarray  # (2,)
    jacobian: np.ndarray  # (2, 2)
    log_base: float  # log p_base(z), nats; -inf where z has no density
    square: np.ndarray  # (m, 2): the outline of the square, closed
    image: np.ndarray  # (m, 2): that of its image
    tangent: np.ndarray  # (5, 2): z + J (corner - x), which the image tends to as the square gets smaller
    area: float
    image_area: float

    @property
    def det(self) -> float:
        return float(determinants(self.jacobian[None])[0])

    @property
    def factor(self) -> float:
        """|det J|, by which f multiplies a tiny area around x, and the base density at z."""
        return abs(self.det)

    @property
    def keeps_areas(self) -> bool:
        """Whether |det J| is 1, to the three digits that are shown."""
        return f"{self.factor:.3g}" == "1"

    @property
    def turns_over(self) -> bool:
        """Whether f turns the plane over."""
        return self.det < 0

    @property
    def has_density(self) -> bool:
        """Whether the base has a density at z."""
        return self.log_base > -math.inf

    @property
    def base_density(self) -> float:
        """p_base(z), per unit of area."""
        return math.exp(self.log_base)

    @property
    def density(self) -> float:
        """p(x), per unit of area."""
        return self.base_density * self.factor

    @property
    def move(self) -> float:
        """||z - x||."""
        return float(np.linalg.norm(self.z - self.x))

    @property
    def slope(self) -> float:
        """||J - I||_2, the norm of the branch's Jacobian at x."""
        return float(np.linalg.norm(self.jacobian - np.eye(2), 2))

    @property
    def log_det(self) -> float:
        """log|det J|, nats."""
        return float(np.log(self.factor))


def follow(bench: Stretch) -> Followed:
    """The point of `bench` under its map."""
    f, x = bench.f, np.array(bench.point, float)
    z = f.forward(x[None])[0]
    corners = bench.side * (np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) - 0.5)
    along = np.arange(EDGE_POINTS)[:, None] / EDGE_POINTS
    sides = [a + along * (b - a) for a, b in pairwise(corners)]
    square = x + np.concatenate([*sides, corners[:1]])
    image = f.forward(square)
    jacobian = f.jacobian(x[None])[0]
    return Followed(
        x,
        z,
        jacobian,
        float(BASES[bench.base].log_density(z[None])[0]),
        square,
        image,
        z + corners @ jacobian.T,
        bench.side**2,
        polygon_area(image),
    )


def polygon_area(outline: np.ndarray) -> float:
    """Area within a closed outline, (m, 2), whose last point is the first: half the sum of cross products."""
    x, y = (outline - outline[0]).T  # around its own place, where products are small
    return abs(float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum())) / 2


def reach_of(f: PlaneMap, base: str) -> float:
    """Half the side of the square around 0 that holds what can be seen of both densities."""
    radius = BASES[base].radius
    return max(radius, f.reach(radius))


@lru_cache(maxsize=64)
def total(f: PlaneMap, base: str, forget: bool) -> Mass:
    """The integral of the density over the plane, by quadrature."""
    side = (-reach_of(f, base), reach_of(f, base))
    turn = np.array([[np.cos(TURN), np.sin(TURN)], [-np.sin(TURN), np.cos(TURN)]])

    def turned(y: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(log_density(f, base, y.numpy() @ turn, forget))

    return mass(turned, (side, side), BASES[base].cells)
