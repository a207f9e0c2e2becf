"""Base densities of z."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def _normal(z: np.ndarray) -> np.ndarray:
    return -0.5 * (z**2).sum(1) - np.log(2 * np.pi)


def _square(z: np.ndarray) -> np.ndarray:
    return np.where(((z >= 0) & (z <= 1)).all(1), 0.0, -np.inf)


@dataclass(frozen=True)
class Base:
    """`log_density`: (n, 2) -> (n,), in nats. All that can be seen of it lies within `radius` of 0. Quadrature takes so
    many `cells` on a side: an edge needs more than what is smooth."""

    title: str
    log_density: Callable[[np.ndarray], np.ndarray]
    radius: float
    cells: int


BASES: dict[str, Base] = {
    "normal": Base("Standard normal", _normal, 3.2, 160),
    "square": Base("Uniform, unit square", _square, 1.6, 320),
}
