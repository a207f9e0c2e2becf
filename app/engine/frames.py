"""From a flow to a `Frame`: what the server draws of flows that no browser can."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from app.engine.commands import ViewRequest
from app.engine.reports import Frame
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
# Points of each line.
GRID_POINTS = 41
# Every frame maps the same base noise, so that samples glide with the flow instead of flickering.
SAMPLE_SEED = 2**32 - 2
# A usual inverse takes as long as so many passes with the density.
INVERSE_PASSES = 4
NO_POINTS = np.empty((0, 2), np.float32)


def density_in_pieces(flow: Flow, window: Window, n: int) -> Pieces[np.ndarray]:
    """`measure.density_grid` of a flow whose density takes long."""
    log_prob = yield from _in_parts(partial(measure.log_prob, flow), measure.grid_points(window, n), flow)
    return torch.cat(log_prob).exp().view(n, n).numpy()


def render(flow: Flow, dataset: Dataset, request: ViewRequest, step: int) -> Pieces[Frame]:
    """The picture of the flow as it is after so many steps."""
    density = yield from density_in_pieces(flow, dataset.window, request.grid)
    samples, refusal = (yield from draw(flow, request.points)) if request.samples else (None, "")
    frame = Frame(step, density, NO_POINTS, NO_POINTS, samples, refusal=refusal)
    if not request.ways:
        return frame
    points = dataset.held_out()[: request.points]
    lines = measure.grid_lines(dataset.window, GRID_LINES, GRID_POINTS)
    ways = yield from _in_parts(partial(measure.stages, flow), torch.cat([points, lines.flatten(0, 1)]), flow)
    # A page that has just chosen a flow with fewer blocks may still ask for the depth it had.
    depth = None if request.depth is None else min(request.depth, flow.config.blocks)
    here = np.concatenate(ways, 1)[-1 if depth is None else depth]
    return replace(frame, latent=here[: len(points)], grid=here[len(points) :].reshape(lines.shape), depth=depth)


def _in_parts(function: Callable[[Tensor], Any], points: Tensor, flow: Flow, passes: int = 1) -> Pieces[list[Any]]:
    """What a function, which takes so many passes, finds at some of the points at a time."""
    found: list[Any] = []
    for part in points.split(max(1, points_a_piece(flow.config) // passes)):
        if found:
            yield
        found.append(function(part))
    return found


def classed(hybrid: Hybrid, frame: Frame, window: Window) -> Frame:
    """The picture with the classes that a hybrid gives to the plane and to the samples."""
    probs = measure.class_grid(hybrid, window, CLASS_GRID)
    named = None
    if frame.samples is not None and len(frame.samples):
        named = measure.log_class_probs(hybrid, torch.from_numpy(frame.samples)).argmax(1).numpy().astype(np.uint8)
    return replace(frame, class_probs=probs, sample_classes=named)


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
