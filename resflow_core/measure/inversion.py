"""The inverse of one block as a picture: the number of iterations, the folds of the map, and the walk to one x."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.data import Window
from resflow_core.extras import extra
from resflow_core.fixed_point import NotConverged
from resflow_core.flow import Flow, Uncertified
from resflow_core.measure.inverse_iterations import ITERATIONS, Trace, fate, steps_taken, trace
from resflow_core.measure.invertibility import Regime, breaking_scales, preimages, regime, residual_det
from resflow_core.measure.pictures import grid_points
from resflow_core.norms.induced import vector_norm
from resflow_core.residual import Branch, ResidualBlock

# An iteration has arrived if its residual is at most GOAL. It stops after MOST_STEPS.
GOAL, MOST_STEPS = 1e-6, 300
WALK_STEPS = 120
# Nodes on a side of the grids for the folds of all blocks, and for the map of iterations.
FOLD_GRID, STEPS_GRID = 60, 48
STARTS = 16
# A window leaves out this share of the points on each side, and adds a margin.
SHARE, MARGIN = 0.005, 0.15
MOST_SAMPLES = 200


@dataclass(frozen=True, eq=False)
class Walk:
    """The first steps of an iteration from x_0 = z, with norms in the branch's order."""

    x: np.ndarray  # x_n, (steps + 1, 2)
    residual: np.ndarray  # ||z - x_n - g(x_n)||, (steps + 1,)
    error: np.ndarray  # ||x_n - x*||, (steps + 1,); NaN if no x* was found
    fate: str


@dataclass(frozen=True, eq=False)
class Inversion:
    """The picture of f(x) = x + s g(x), with g the branch of one residual block; float64. Both planes have the same
    window.
    """

    block: int  # from 0
    scale: float  # s
    lipschitz: float  # certified bound of Lip(s g) in its norm
    order: float  # order of that norm
    window: Window
    regime: Regime
    breaking: np.ndarray  # (blocks,): the smallest s at which each block folds in a window around its data
    det: np.ndarray  # (n, n) det(I + s A) over x, row = y ascending
    image: np.ndarray  # (n, n, 2) f(x) at the same x
    fold: np.ndarray  # (m, 2) the curves det = 0 in x, a row of NaN after each
    fold_image: np.ndarray  # (m, 2) the images of these curves under f
    steps: np.ndarray  # (k, k) over z: steps to a residual of `GOAL`; NaN if `MOST_STEPS` are not enough
    method: str  # the iteration that takes them, a key of `ITERATIONS`
    z: np.ndarray  # (2,)
    preimages: np.ndarray  # (p, 2) x with f(x) = z that were found
    walks: dict[str, Walk]  # one for each key of `ITERATIONS`
    a_priori: np.ndarray  # (steps + 1,) bounds for Banach's iteration, infinite if L >= 1
    a_posteriori: np.ndarray
    refusal: str  # why the flow gives no samples, or ""


@torch.no_grad()
def inversion(
    flow: Flow,
    x: Tensor,
    block: int | None,
    scale: float,
    z: tuple[float, float] | None,
    method: str,
    altered: Flow | None = None,
    breathe: Breathe = without,
) -> Inversion:
    """The `Inversion` of a flow in the plane with data x, (m, 2), with the branch of one block multiplied by `scale`.

    `altered`: the same flow with other weights in that block, whose inverse is then drawn. The windows stay those of
    `flow`, so that the pictures of both can be compared. Without `block`, it is the block that folds at the smallest s.
    Without `z`, it is the image of the point with the smallest det(I + s A). Raises KeyError if `ITERATIONS` has no
    such method, IndexError if the flow has no such block, and ModuleNotFoundError without contourpy (the extra
    "measure").
    """
    windows = block_windows(flow, x)
    breaking = []
    flow = altered or flow
    for other, window in zip(flow.blocks, windows, strict=True):
        jacobian = in_double(other.branch).value_and_jacobian(grid_points(window, FOLD_GRID).double())[1]
        breaking.append(float(breaking_scales(jacobian).min()))
        breathe()
    if block is None:
        block = int(np.argmin(breaking))
    flow, window = flow.scaled(block, scale), windows[block]
    branch = flow.blocks[block].branch
    g, lipschitz, order = in_double(branch), branch.lipschitz, branch.orders[0]
    nodes = grid_points(window, FOLD_GRID).double()
    value, jacobian = g.value_and_jacobian(nodes)
    det = residual_det(jacobian)
    least = int(det.argmin())
    target = (nodes + value)[least] if z is None else torch.tensor(z, dtype=torch.float64)
    fold = zero_curves(det.view(FOLD_GRID, FOLD_GRID).numpy(), window)
    breathe()
    starts = torch.cat([grid_points(window, STARTS).double(), torch.stack([nodes[least], target])])
    found = preimages(g, target, starts, breathe=breathe)
    walks = {name: trace(iteration, g, target[None], WALK_STEPS, order) for name, iteration in ITERATIONS.items()}
    breathe()
    places = grid_points(window, STEPS_GRID).double()
    counts = steps_taken(ITERATIONS[method], g, places, GOAL, MOST_STEPS, order, breathe)
    steps = torch.where(counts > MOST_STEPS, torch.nan, counts.double())
    return Inversion(
        block=block,
        scale=scale,
        lipschitz=lipschitz,
        order=order,
        window=window,
        regime=regime(1.0, lipschitz, det),
        breaking=np.array(breaking),
        det=det.view(FOLD_GRID, FOLD_GRID).numpy(),
        image=(nodes + value).view(FOLD_GRID, FOLD_GRID, 2).numpy(),
        fold=fold,
        fold_image=fold + g(torch.from_numpy(fold)).numpy(),
        steps=steps.view(STEPS_GRID, STEPS_GRID).numpy(),
        method=method,
        z=target.numpy(),
        preimages=found.numpy(),
        walks={name: walk_to(found, walk, order) for name, walk in walks.items()},
        a_priori=walks["banach"].a_priori(lipschitz, order)[:, 0].numpy(),
        a_posteriori=walks["banach"].a_posteriori(lipschitz)[:, 0].numpy(),
        refusal=_refusal(flow),
    )


def walk_to(found: Tensor, walk: Trace, order: float) -> Walk:
    """A walk to that of the x with f(x) = z that were `found`, (p, 2), which is nearest to its end. The error is the
    distance to it, in the norm of `order`."""
    x, residual = walk.x[:, 0], walk.residual[:, 0]
    error = torch.full_like(residual, torch.nan)
    if len(found) and bool(x[-1].isfinite().all()):
        nearest = found[(found - x[-1]).norm(dim=1).argmin()]
        error = vector_norm(x - nearest, order, -1)
    return Walk(x.numpy(), residual.numpy(), error.numpy(), fate(x, residual, GOAL))


def block_windows(flow: Flow, x: Tensor) -> list[Window]:
    """For every block, a square around its input and its output."""
    here, windows = x.to(next(flow.parameters())), []
    for part in flow.bijections:
        there = part(here)
        if isinstance(part, ResidualBlock):
            windows.append(_square(torch.cat([here, there])))
        here = there
    return windows


def _square(points: Tensor) -> Window:
    low, high = points.double().cpu().quantile(torch.tensor([SHARE, 1 - SHARE], dtype=torch.float64), dim=0)
    centre, reach = (low + high) / 2, float((high - low).max()) / 2 * (1 + 2 * MARGIN)
    return tuple((float(c) - reach, float(c) + reach) for c in centre)


def in_double(branch: Branch) -> Branch:
    return copy.deepcopy(branch).cpu().double()


def zero_curves(values: np.ndarray, window: Window) -> np.ndarray:
    """The curves on which values on a grid are 0: (m, 2), with a row of NaN after each curve."""
    with extra("measure"):
        import contourpy

    axes = [np.linspace(low, high, len(values)) for low, high in window]
    gap = np.full((1, 2), np.nan)
    curves = contourpy.contour_generator(*axes, values).lines(0.0)
    return np.concatenate([part for curve in curves for part in (curve, gap)] or [np.empty((0, 2))])


def _refusal(flow: Flow) -> str:
    try:
        flow.sample(MOST_SAMPLES, torch.Generator().manual_seed(0))
    except (NotConverged, Uncertified) as error:
        return str(error)
    return ""
