"""The norm that two orders induce on a matrix of the plane: between what is proven and what a vector attains."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from resflow_core.norms.induced import is_exact, lower_bound, upper_bound, vector_norm

DIRECTIONS = 721


@dataclass(frozen=True, eq=False)
class Induced:
    """||W||_{p->q} = sup ||Wx||_q / ||x||_p of a matrix of the plane, or what is known of it."""

    matrix: tuple[float, ...]  # W, row by row
    p: float  # order of the norm of x
    q: float  # order of the norm of Wx
    upper: float  # a proven upper bound
    lower: float  # ||W best||_q, the largest value that was found
    best: np.ndarray  # (2,), ||best||_p = 1

    @property
    def exact(self) -> bool:
        """Whether the norm is known, and not only two bounds of it."""
        return is_exact(self.p, self.q, 2, 2) or self.upper == self.lower


@lru_cache(maxsize=256)
def induced(matrix: tuple[float, ...], p: float, q: float) -> Induced:
    """Of a matrix whose entries are given row by row."""
    w = torch.tensor(matrix, dtype=torch.float64).view(1, 2, 2)
    lower, best = lower_bound(w, p, q)
    x = torch.from_numpy(ball(p))
    values = vector_norm(x @ w[0].T, q, 1)
    if float(values.max()) > float(lower[0]):
        lower, best = values.max()[None], x[values.argmax()][None]
    return Induced(matrix, p, q, float(upper_bound(w, p, q)[0]), float(lower[0]), best[0].numpy())


def ball(p: float) -> np.ndarray:
    """Points around the unit circle of the p-norm, corners included, (m, 2)."""
    angles = torch.linspace(0, 2 * math.pi, DIRECTIONS, dtype=torch.float64)
    circle = torch.stack([angles.cos(), angles.sin()], 1)
    return (circle / vector_norm(circle, p, 1)[:, None]).numpy()
