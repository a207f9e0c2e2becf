"""The norm that two orders induce on a matrix of the plane: between what is proven and what a vector attains."""

import math
from functools import lru_cache

import numpy as np
import torch

from resflow_core.norms.induced import lower_bound, upper_bound, vector_norm

DIRECTIONS = 721


@lru_cache(maxsize=256)
def induced(matrix: tuple[float, ...], p: float, q: float) -> tuple[float, float, np.ndarray]:
    """An upper bound of ||W||_{p->q}, the largest value that was found, and the unit vector that attains it."""
    w = torch.tensor(matrix, dtype=torch.float64).view(1, 2, 2)
    lower, best = lower_bound(w, p, q)
    x = torch.from_numpy(ball(p))
    values = vector_norm(x @ w[0].T, q, 1)
    if float(values.max()) > float(lower[0]):
        lower, best = values.max()[None], x[values.argmax()][None]
    return float(upper_bound(w, p, q)[0]), float(lower[0]), best[0].numpy()


def ball(p: float) -> np.ndarray:
    """Points around the unit circle of the p-norm, corners included, (m, 2)."""
    angles = torch.linspace(0, 2 * math.pi, DIRECTIONS, dtype=torch.float64)
    circle = torch.stack([angles.cos(), angles.sin()], 1)
    return (circle / vector_norm(circle, p, 1)[:, None]).numpy()
