"""From a flow to a `Frame`: measured by the core, quantised to a few kilobytes."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from app.engine.commands import ViewRequest
from app.engine.reports import FRAME_WINDOW, Frame, Stages
from app.quantise import TOP_QUANTILE, from_u16, levels, to_shares, to_u16
from resflow_core import measure
from resflow_core.data import Dataset, Window
from resflow_core.fast.pieces import Pieces
from resflow_core.fixed_point import NotConverged
from resflow_core.flow import Flow, Uncertified
from resflow_core.hybrid import Hybrid
from resflow_core.training.step_cost import points_a_piece

GRID_LINES = 13
# Nodes a side of what a classifier says of the plane.
CLASS_GRID = 80
# Points of each line: while the flow moves, and where it stands still and the picture may be sharp.
GRID_POINTS = 41
STILL_GRID_POINTS = 121
# Every so many of the latter are shown in all stages.
STAGE_STRIDE = 2
# A piece of a sharp picture has at most this many nodes a side, which takes about one time slice.
PIECE = 50
# Every frame maps the same base noise, so that samples glide with the flow instead of flickering.
SAMPLE_SEED = 2**32 - 2
FRAME_PLANE = (FRAME_WINDOW, FRAME_WINDOW)
# A usual inverse takes as long as so many passes with the density.
INVERSE_PASSES = 4
NO_POINTS = np.empty((0, 2), np.uint16)


def density_pieces(flow: Flow, window: Window, n: int) -> Iterator[np.ndarray | None]:
    """The (n, n) density, measured as interlaced coarser grids: yields None after each but the last, then the whole.

    Other experiments train between two pieces. Each piece holds every s-th node in both directions.
    """
    stride = math.ceil(n / PIECE)
    size = math.ceil(n / stride)
    density = np.empty((size * stride, size * stride), np.float32)
    spacings = [(high - low) / (n - 1) for low, high in window]
    for row in range(stride):
        for column in range(stride):
            if row or column:
                yield None
            piece = tuple(
                (low + first * spacing, low + (first + (size - 1) * stride) * spacing)
                for (low, _), spacing, first in zip(window, spacings, (column, row), strict=True)
            )
            density[row::stride, column::stride] = measure.density_grid(flow, piece, size)
    yield density[:n, :n]


def density_in_pieces(flow: Flow, window: Window, n: int) -> Pieces[np.ndarray]:
    """`measure.density_grid` of a flow whose density takes long."""
    log_prob = yield from _in_parts(partial(measure.log_prob, flow), measure.grid_points(window, n), flow)
    return torch.cat(log_prob).exp().view(n, n).numpy()


def render(
    flow: Flow,
    dataset: Dataset,
    request: ViewRequest,
    density: np.ndarray,
    *,
    step: int,
    with_samples: bool,
    still: bool = False,
) -> Pieces[Frame]:
    """The picture of the flow, around a `density` already measured; a `still` one is sharp."""
    finite = density[np.isfinite(density)]
    largest = float(finite.max(initial=0.0))
    frame = Frame(
        step=step,
        density=to_shares(density, largest),
        density_largest=largest,
        density_top=float(np.quantile(finite, TOP_QUANTILE)) if finite.size else 0.0,
        latent=NO_POINTS,
        grid=NO_POINTS,
        samples=None,
    )
    if request.samples and with_samples:
        samples, refusal = yield from draw(flow, request.points)
        frame = replace(frame, samples=to_u16(samples, dataset.window), refusal=refusal)
    if not request.ways:
        return frame
    points = dataset.held_out()[: request.points]
    lines = measure.grid_lines(dataset.window, GRID_LINES, STILL_GRID_POINTS if still else GRID_POINTS)
    ways = yield from _in_parts(partial(measure.stages, flow), torch.cat([points, lines.flatten(0, 1)]), flow)
    way = np.concatenate(ways, 1)
    latent, grid = way[:, : len(points)], way[:, len(points) :].reshape(-1, *lines.shape)
    # A page that has just chosen a flow with fewer blocks may still ask for the depth it had.
    depth = None if request.depth is None else min(request.depth, flow.config.blocks)
    here = -1 if depth is None else depth
    return replace(
        frame,
        latent=to_u16(latent[here], FRAME_PLANE),
        grid=to_u16(grid[here], FRAME_PLANE),
        depth=depth,
        stages=Stages(*(to_u16(way, FRAME_PLANE) for way in (latent, grid[:, :, ::STAGE_STRIDE]))) if still else None,
    )


def _in_parts(function: Callable[[Tensor], Any], points: Tensor, flow: Flow, passes: int = 1) -> Pieces[list[Any]]:
    """What a function, which takes so many passes, finds at some of the points at a time."""
    found: list[Any] = []
    for part in points.split(max(1, points_a_piece(flow.config) // passes)):
        if found:
            yield
        found.append(function(part))
    return found


def classed(hybrid: Hybrid, frame: Frame, window: Window) -> Frame:
    """The picture with the classes that a hybrid gives to the plane and to the samples in it."""
    shares = levels(measure.class_grid(hybrid, window, CLASS_GRID), 255).astype(np.uint8)
    named = None
    if frame.samples is not None and len(frame.samples):
        samples = torch.from_numpy(from_u16(frame.samples, window))
        named = measure.log_class_probs(hybrid, samples).argmax(1).numpy().astype(np.uint8)
    return replace(frame, class_shares=shares, sample_classes=named)


@torch.no_grad()
def draw(flow: Flow, n: int) -> Pieces[tuple[np.ndarray, str]]:
    """n samples, (n, 2), and ""; none at all, (0, 2), and the reason where the inverse is not certified or does not
    converge: better no point than a wrong one."""
    z = torch.randn(n, flow.dim, generator=torch.Generator().manual_seed(SAMPLE_SEED)).to(next(flow.parameters()))
    try:
        samples = yield from _in_parts(flow.inverse, z, flow, INVERSE_PASSES)
    except (NotConverged, Uncertified) as error:
        return np.empty((0, 2), np.float32), str(error)
    return torch.cat(samples).cpu().numpy(), ""
