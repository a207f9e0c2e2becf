"""From a flow to a `Frame`: what the server draws of flows that no browser can."""

from dataclasses import replace
from functools import partial

import numpy as np
import torch

from app.engine.commands import ViewRequest
from app.engine.reports import Frame
from resflow_core import measure
from resflow_core.breathe import Breathe, without
from resflow_core.data import Dataset, Window
from resflow_core.fast.compiled import INVERSE_PASSES
from resflow_core.fixed_point import NotConverged
from resflow_core.flow import Flow, Uncertified
from resflow_core.hybrid import Hybrid

GRID_LINES = 13
# Nodes a side of what a classifier says of the plane.
CLASS_GRID = 80
# Points of each line.
GRID_POINTS = 41
# Every frame maps the same base noise, so that samples glide with the flow instead of flickering.
SAMPLE_SEED = 2**32 - 2
NO_POINTS = np.empty((0, 2), np.float32)


def render(flow: Flow, dataset: Dataset, request: ViewRequest, step: int, breathe: Breathe = without) -> Frame:
    """The picture of the flow as it is after so many steps."""
    density = measure.density_grid(flow, dataset.window, request.grid, breathe)
    samples, refusal = draw(flow, request.points, breathe) if request.samples else (None, "")
    frame = Frame(step, density, NO_POINTS, NO_POINTS, samples, refusal=refusal)
    if not request.ways:
        return frame
    points = dataset.held_out()[: request.points]
    lines = measure.grid_lines(dataset.window, GRID_LINES, GRID_POINTS)
    ways = measure.by_parts(partial(measure.stages, flow), torch.cat([points, lines.flatten(0, 1)]), flow, breathe)
    # A page that has just chosen a flow with fewer blocks may still ask for the depth it had.
    depth = None if request.depth is None else min(request.depth, flow.config.blocks)
    here = np.concatenate(ways, 1)[-1 if depth is None else depth]
    return replace(frame, latent=here[: len(points)], grid=here[len(points) :].reshape(lines.shape), depth=depth)


def classed(hybrid: Hybrid, frame: Frame, window: Window) -> Frame:
    """The picture with the classes that a hybrid gives to the plane and to the samples."""
    probs = measure.class_grid(hybrid, window, CLASS_GRID)
    named = None
    if frame.samples is not None and len(frame.samples):
        named = measure.log_class_probs(hybrid, torch.from_numpy(frame.samples)).argmax(1).numpy().astype(np.uint8)
    return replace(frame, class_probs=probs, sample_classes=named)


@torch.no_grad()
def draw(flow: Flow, n: int, breathe: Breathe = without) -> tuple[np.ndarray, str]:
    """n samples, (n, 2), and ""; none at all, (0, 2), and the reason where the inverse is not certified or does not
    converge: better no point than a wrong one."""
    z = torch.randn(n, flow.dim, generator=torch.Generator().manual_seed(SAMPLE_SEED)).to(next(flow.parameters()))
    try:
        samples = measure.by_parts(flow.inverse, z, flow, breathe, INVERSE_PASSES)
    except (NotConverged, Uncertified) as error:
        return np.empty((0, 2), np.float32), str(error)
    return torch.cat(samples).cpu().numpy(), ""
