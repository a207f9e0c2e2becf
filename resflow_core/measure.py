"""What a picture or a table needs of a flow, as NumPy arrays: all exact, nothing differentiated."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from resflow_core.datasets import Window
from resflow_core.flow import Flow

# Chunks of this many points stay in the processor's cache: twice as fast as one batch of 40,000.
CHUNK = 2_000


@dataclass(frozen=True)
class Estimate:
    """A mean over a sample with its standard error."""

    value: float
    standard_error: float


@torch.no_grad()
def log_prob(flow: Flow, x: Tensor) -> Tensor:
    """log p(x) in nats by the exact log det, (batch,), in chunks."""
    x = x.to(next(flow.parameters()))
    return torch.cat([flow.log_prob(chunk) for chunk in x.split(CHUNK)]).cpu()


def mean_nll(flow: Flow, x: Tensor) -> Estimate:
    """Mean of -log p(x) in nats over the points, with its standard error."""
    nll = -log_prob(flow, x).double()
    return Estimate(float(nll.mean()), float(nll.std() / len(nll) ** 0.5))


def grid_points(window: Window, n: int) -> Tensor:
    """The n x n nodes of a grid over the window, borders included, shape (n * n, 2): x fastest, y ascending."""
    x, y = (torch.linspace(low, high, n) for low, high in window)
    return torch.cartesian_prod(y, x).flip(1)


def density_grid(flow: Flow, window: Window, n: int) -> np.ndarray:
    """p(x) at `grid_points`, shape (n, n): row = y ascending, column = x ascending; per unit area."""
    return log_prob(flow, grid_points(window, n)).exp().view(n, n).numpy()


@torch.no_grad()
def to_latent(flow: Flow, x: Tensor) -> np.ndarray:
    """f(x), shape (batch, 2)."""
    return flow(x.to(next(flow.parameters()))).cpu().numpy()


def grid_image(flow: Flow, window: Window, lines: int, points: int) -> np.ndarray:
    """The image in latent space of `lines` vertical and then `lines` horizontal lines: (2 * lines, points, 2)."""
    (x0, x1), (y0, y1) = window
    vertical = torch.cartesian_prod(torch.linspace(x0, x1, lines), torch.linspace(y0, y1, points))
    horizontal = torch.cartesian_prod(torch.linspace(y0, y1, lines), torch.linspace(x0, x1, points)).flip(1)
    return to_latent(flow, torch.cat([vertical, horizontal])).reshape(2 * lines, points, 2)


def samples(flow: Flow, n: int, generator: torch.Generator) -> np.ndarray:
    """n draws from the flow, shape (n, 2). Raises `NotConverged` rather than return a wrong point."""
    return flow.sample(n, generator).cpu().numpy()
