"""One block of the flow that was trained before, with its branch scaled by any s: what the opening of the page walks
through. Pure."""

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import torch
from torch import Tensor

from app import examples
from app.quantise import Window
from resflow_core.api import flow_file
from resflow_core.flow import Flow
from resflow_core.measure import grid_points
from resflow_core.measure.inverse_iterations import banach, trace
from resflow_core.measure.inversion import FOLD_GRID, STARTS, WALK_STEPS, Walk, walk_to, zero_curves
from resflow_core.measure.invertibility import preimages, residual_det
from resflow_core.residual import Branch


@dataclass(frozen=True, eq=False)
class Folding:
    """f(x) = x + s g(x) over a window of x, as `measure.Inversion` has it."""

    block: int  # from 0
    scale: float  # s
    window: Window
    det: np.ndarray  # (n, n) det(I + s A) over x, row = y ascending
    image: np.ndarray  # (n, n, 2) f(x) at the same x
    fold: np.ndarray  # (m, 2) the curves det = 0 in x, a row of NaN after each
    fold_image: np.ndarray  # (m, 2)
    z: np.ndarray  # (2,)
    preimages: np.ndarray  # (p, 2) x with f(x) = z that were found
    walk: Walk  # Banach's iteration from z to x,
    promised: np.ndarray  # (steps + 1,) and its a priori bound; infinite beyond the guarantee


@cache
def example() -> Flow:
    """The flow that was trained before."""
    return flow_file.from_bytes(examples.flow())


@cache
def _branch(block: int) -> Branch:
    return example().scaled(block, 1.0).blocks[block].branch.double()


@lru_cache(maxsize=8)
def _nodes(block: int, window: Window) -> tuple[Tensor, Tensor, Tensor]:
    """x, g(x) and A on a grid."""
    x = grid_points(window, FOLD_GRID).double()
    with torch.no_grad():
        return x, *_branch(block).value_and_jacobian(x)


class _Scaled:
    """s g, as `preimages` takes it."""

    def __init__(self, branch: Branch, scale: float) -> None:
        self._branch, self._scale = branch, scale

    def __call__(self, x: Tensor) -> Tensor:
        return self._scale * self._branch(x)

    def value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        value, jacobian = self._branch.value_and_jacobian(x)
        return self._scale * value, self._scale * jacobian


@lru_cache(maxsize=256)
@torch.no_grad()
def folding(block: int, window: Window, scale: float, z: tuple[float, float] | None = None) -> Folding:
    """Of this block of the `example`. Without `z`, it is the image of the x with the smallest det."""
    branch = _branch(block)
    x, value, jacobian = _nodes(block, window)
    g, dets, image = _Scaled(branch, scale), residual_det(jacobian, scale), x + scale * value
    least = int(dets.argmin())
    target = image[least] if z is None else torch.tensor(z, dtype=torch.float64)
    det = dets.view(FOLD_GRID, FOLD_GRID).numpy()
    fold = zero_curves(det, window)
    starts = torch.cat([grid_points(window, STARTS).double(), torch.stack([x[least], target])])
    found = preimages(g, target, starts)
    order = branch.orders[0]
    walk = trace(banach, g, target[None], WALK_STEPS, order)
    return Folding(
        block=block,
        scale=scale,
        window=window,
        det=det,
        image=image.view(FOLD_GRID, FOLD_GRID, 2).numpy(),
        fold=fold,
        fold_image=fold + g(torch.from_numpy(fold)).numpy(),
        z=target.numpy(),
        preimages=found.numpy(),
        walk=walk_to(found, walk, order),
        promised=walk.a_priori(scale * branch.lipschitz, order)[:, 0].numpy(),
    )
