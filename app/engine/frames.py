"""From a flow to a `Frame`: measured by the core, quantised to a few kilobytes."""

import math
from collections.abc import Iterator

import numpy as np
import torch

from app.engine.messages import LATENT_WINDOW, Frame
from app.quantise import to_u8, to_u16
from resflow_core import measure
from resflow_core.inverse import NotConverged
from resflow_core.training import Trainer

GRID_LINES = 13
# Points of each line: while the flow moves, and where it stands still and the picture may be sharp.
GRID_POINTS = 25
STILL_GRID_POINTS = 121
TOP_QUANTILE = 0.995
# A piece of a sharp picture has at most this many nodes a side, which takes about one time slice.
PIECE = 50
# Every frame maps the same base noise, so that samples glide with the flow instead of flickering.
SAMPLE_SEED = 2**32 - 2


def density_pieces(trainer: Trainer, n: int) -> Iterator[np.ndarray | None]:
    """The (n, n) density, measured as interlaced coarser grids: yields None after each but the last, then the whole.

    Other experiments train between two pieces. Each piece holds every s-th node in both directions.
    """
    stride = math.ceil(n / PIECE)
    size = math.ceil(n / stride)
    density = np.empty((size * stride, size * stride), np.float32)
    spacings = [(high - low) / (n - 1) for low, high in trainer.dataset.window]
    for row in range(stride):
        for column in range(stride):
            if row or column:
                yield None
            piece = tuple(
                (low + first * spacing, low + (first + (size - 1) * stride) * spacing)
                for (low, _), spacing, first in zip(trainer.dataset.window, spacings, (column, row), strict=True)
            )
            density[row::stride, column::stride] = measure.density_grid(trainer.flow, piece, size)
    yield density[:n, :n]


def render(
    trainer: Trainer,
    seconds: float,
    density: np.ndarray,
    points: int,
    *,
    with_samples: bool,
    grid_points: int = GRID_POINTS,
) -> Frame:
    """The picture of the flow as it is now, around a `density` already measured at this step."""
    top = float(np.quantile(density, TOP_QUANTILE))
    window, latent_window = trainer.dataset.window, (LATENT_WINDOW, LATENT_WINDOW)
    latent = measure.to_latent(trainer.flow, trainer.dataset.held_out()[:points])
    grid = measure.grid_image(trainer.flow, window, GRID_LINES, grid_points)
    return Frame(
        step=trainer.step_count,
        seconds=seconds,
        density=to_u8(density, top),
        density_top=top,
        latent=to_u16(latent, latent_window),
        grid=to_u16(grid, latent_window),
        samples=to_u16(draw(trainer, points), window) if with_samples else None,
    )


def draw(trainer: Trainer, n: int) -> np.ndarray:
    """n samples, (n, 2); none at all, (0, 2), where the inverse does not converge: better no point than a wrong one."""
    generator = torch.Generator().manual_seed(SAMPLE_SEED)
    try:
        return measure.samples(trainer.flow, n, generator)
    except NotConverged:
        return np.empty((0, 2), np.float32)
