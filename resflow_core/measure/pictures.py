"""Data for the pictures of a flow: its density, its samples, and points and a grid on their way through it."""

import numpy as np
import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.data import Window
from resflow_core.flow import Flow, NormalizingFlow
from resflow_core.measure.evaluation import log_prob


def grid_points(window: Window, n: int) -> Tensor:
    """The n x n nodes of a grid over the window with its borders, (n * n, 2): x fastest, y ascending."""
    x, y = (torch.linspace(low, high, n) for low, high in window)
    return torch.cartesian_prod(y, x).flip(1)


def density_grid(flow: NormalizingFlow, window: Window, n: int, breathe: Breathe = without) -> np.ndarray:
    """p(x) per unit area at `grid_points`, (n, n): row = y ascending, column = x ascending."""
    log_probs = log_prob(flow, grid_points(window, n), breathe)
    return log_probs.exp().view(n, n).numpy()


def grid_lines(window: Window, lines: int, points: int) -> Tensor:
    """`lines` vertical and then `lines` horizontal lines across the window: (2 * lines, points, 2)."""
    (x0, x1), (y0, y1) = window
    vertical = torch.cartesian_prod(torch.linspace(x0, x1, lines), torch.linspace(y0, y1, points))
    horizontal = torch.cartesian_prod(torch.linspace(y0, y1, lines), torch.linspace(x0, x1, points)).flip(1)
    return torch.cat([vertical, horizontal]).view(2 * lines, points, 2)


@torch.no_grad()
def stages(flow: Flow, x: Tensor) -> np.ndarray:
    """Points on their way through the flow, (blocks + 2, *x.shape): at x, after each residual block, and at z.

    x has the shape (..., 2).
    """
    stages = flow.stages(x.to(next(flow.parameters())).reshape(-1, 2))
    return torch.stack(stages).cpu().numpy().reshape(-1, *x.shape)


def samples(flow: NormalizingFlow, n: int, generator: torch.Generator) -> np.ndarray:
    """n draws from the flow, (n, 2).

    Raises `NotConverged` instead of returning a wrong point, `Uncertified` if a block's bound is not below 1, and
    ValueError if n is not a whole number of at least 0, or `generator` is not a torch.Generator.
    """
    return flow.sample(n, generator).cpu().numpy()
