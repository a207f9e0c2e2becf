"""A flow with one block changed by hand: its branch scaled, single weights, biases and rows of its layers set.

Weights are changed before the constraint, in the parameters `raw` of W = raw * min(1, cap / ||raw||), because these
are what training moves and what the constraint acts on. What a layer uses after it may be less than was asked for, and
the constraint may change the other weights of the layer too.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from resflow_core.activations import activation_named
from resflow_core.breathe import Breathe, without
from resflow_core.data import Window
from resflow_core.flow import Flow, FlowConfig
from resflow_core.lipschitz import LipschitzLinear, Norm
from resflow_core.measure.inverse_iterations import ITERATIONS, steps_taken
from resflow_core.measure.inversion import FOLD_GRID, GOAL, MOST_STEPS, block_windows, in_double
from resflow_core.measure.invertibility import Regime, breaking_scales, regime, residual_det
from resflow_core.measure.pictures import grid_points
from resflow_core.residual import BRANCHES, Branch
from resflow_core.settings import told

PLACES_GRID = 16
"""Nodes a side of the z whose x Banach's iteration looks for."""

Shapes = tuple[tuple[int, int], ...]
"""(out, in) of every layer of a branch."""


@dataclass(frozen=True)
class Change:
    """One change of the parameters of a layer. Everything is counted from 0.

    `kind` is a key of `KINDS`: "weight" sets raw[row, column], "bias" sets bias[row], and "row" multiplies raw[row, :].
    """

    kind: str
    layer: int
    row: int
    value: float
    column: int = 0  # of a weight


def _set_weight(linear: LipschitzLinear, change: Change) -> None:
    linear.raw[change.row, change.column] = change.value


def _set_bias(linear: LipschitzLinear, change: Change) -> None:
    linear.bias[change.row] = change.value


def _scale_row(linear: LipschitzLinear, change: Change) -> None:
    linear.raw[change.row] *= change.value


KINDS: dict[str, Callable[[LipschitzLinear, Change], None]] = {
    "row": _scale_row,
    "weight": _set_weight,
    "bias": _set_bias,
}
"""In the order in which they are made: a weight that is set keeps its value when its row is scaled."""


@dataclass(frozen=True)
class Edited:
    """A block (from 0) whose branch is multiplied by `scale`, after `changes` of its layers."""

    block: int
    scale: float = 1.0
    changes: tuple[Change, ...] = ()

    def fits(self, config: FlowConfig) -> bool:
        """Whether a flow has this block and everything that is changed in it."""
        shapes = layer_shapes(config)
        return self.block < config.blocks and not any(misfit(change, shapes) for change in self.changes)

    def of(self, flow: Flow) -> Flow:
        """A copy of `flow` that is so; `flow` itself stays as it is. Raises ValueError unless it `fits`."""
        if not self.fits(flow.config):
            raise ValueError(f"{told(self)}: use a block, layers, rows and columns that the flow has.")
        copy = flow.scaled(self.block, self.scale)
        make(copy.blocks[self.block].branch.linears, self.changes)
        return copy


@torch.no_grad()
def make(linears: Any, changes: tuple[Change, ...]) -> None:
    """Make the changes in the layers of a branch, in place."""
    for kind, made in KINDS.items():
        for change in changes:
            if change.kind == kind:
                made(linears[change.layer], change)


def layer_shapes(config: FlowConfig) -> Shapes:
    """Of every branch of a flow."""
    widths = [config.dim, *[config.width] * config.hidden_layers, config.dim]
    shapes = BRANCHES[config.branch].network.shapes(widths, activation_named(config.activation).copies)
    return tuple((rows, columns) for columns, rows in shapes)


def misfit(change: Change, shapes: Shapes) -> str:
    """Why a change is of none of these layers, with what there is, counted from 1; "" if it is of one."""
    if not 0 <= change.layer < len(shapes):
        return f"layer {change.layer + 1}: this flow has layers 1 to {len(shapes)}."
    rows, columns = shapes[change.layer]
    if not 0 <= change.row < rows:
        return f"row {change.row + 1} of layer {change.layer + 1}: it has rows 1 to {rows}."
    if change.kind == "weight" and not 0 <= change.column < columns:
        return f"column {change.column + 1} of layer {change.layer + 1}: it has columns 1 to {columns}."
    return ""


@dataclass(frozen=True, eq=False)
class EditedLayer:
    """One layer of an edited block, before and after its changes; float64."""

    raw: np.ndarray  # (out, in) trained parameters
    asked: np.ndarray  # (out, in) the same with the changes
    used: np.ndarray  # (out, in) W that the constraint makes of `raw`,
    left: np.ndarray  # (out, in) and of `asked`
    bias: np.ndarray  # (out,) trained
    bias_now: np.ndarray  # (out,) with the changes
    norms: tuple[float, float, float, float]  # certified upper bounds for `raw`, `asked`, `used` and `left`
    cap: float

    @property
    def factor(self) -> float:
        """By which the constraint multiplied the layer as it was asked for: its norm after it, as a share."""
        _, asked, _, left = self.norms
        return left / asked if asked else 1.0


@dataclass(frozen=True, eq=False)
class EditedBlock:
    """One block before and after its changes, and where it takes a straight grid over `window`."""

    block: int  # from 0
    scale: float
    layers: tuple[EditedLayer, ...]
    lipschitz: float  # certified bound of the edited branch
    order: float  # of the norm in which it holds
    window: Window  # around the points that come to the trained block, and where it takes them
    before: np.ndarray  # (n, n, 2) x + g(x) as trained, row = y ascending
    after: np.ndarray  # (n, n, 2) f(x) = x + s g(x) as edited
    regime: Regime
    smallest_det: float  # of I + s A over the same x; NaN where A is not finite
    folds_at: float  # s*, the smallest s at which the block with its changes folds; infinite if none is seen
    most_steps: int  # of Banach's iteration to the x of `places` z in the window
    late: int  # of these z from which it does not arrive in `MOST_STEPS`
    places: int
    certified: tuple[float, float]  # bounds of Lip(g) by the layers' certified norms: as trained, and as edited


@torch.no_grad()
def edited_block(flow: Flow, edited: Edited | None, block: int, x: Tensor, breathe: Breathe = without) -> EditedBlock:
    """What `edited` makes of one block (from 0) of a flow in the plane with data x, (m, 2); None, or an edit of another
    block, leaves it as it is. Planes are those of `inversion`. Raises IndexError if the flow has no such block, and
    ValueError as `Edited.of`."""
    here = edited if edited is not None and edited.block == block else Edited(block)
    trained, changed = in_double(flow.blocks[block].branch), in_double(here.of(flow).blocks[block].branch)
    layers = [
        _layer(old, new, norm_old, norm_new)
        for old, new, norm_old, norm_new in zip(
            _linears(trained), _linears(changed), trained.norms, changed.norms, strict=True
        )
    ]
    window, order, lipschitz = block_windows(flow, x)[block], changed.orders[0], changed.lipschitz
    points = grid_points(window, FOLD_GRID).double()
    value, jacobian = changed.value_and_jacobian(points)
    before, after = ((points + g).view(FOLD_GRID, FOLD_GRID, 2).numpy() for g in (trained(points), value))
    det, places = residual_det(jacobian), grid_points(window, PLACES_GRID).double()
    counts = steps_taken(ITERATIONS["banach"], changed, places, GOAL, MOST_STEPS, order, breathe)
    late = counts > MOST_STEPS
    return EditedBlock(
        block=block,
        scale=here.scale,
        layers=tuple(layers),
        lipschitz=lipschitz,
        order=order,
        window=window,
        before=before,
        after=after,
        regime=regime(1.0, lipschitz, det),
        smallest_det=float(det.min()),
        folds_at=here.scale * float(breaking_scales(jacobian).min()),
        most_steps=int(counts[~late].max()) if bool((~late).any()) else MOST_STEPS,
        late=int(late.sum()),
        places=len(places),
        certified=(
            math.prod(trained.layer_bounds([layer.norms[2] for layer in layers])),
            here.scale * math.prod(changed.layer_bounds([layer.norms[3] for layer in layers])),
        ),
    )


def _layer(old: LipschitzLinear, new: LipschitzLinear, norm_old: Norm, norm_new: Norm) -> EditedLayer:
    """A layer as trained and as changed, each in its norm; float64."""
    used, left = old.weight(norm_old), new.weight(norm_new)
    parts = (old.raw, new.raw, used, left, old.bias, new.bias)
    raw, asked, w_used, w_left, bias, bias_now = (part.numpy().copy() for part in parts)
    norms = (
        float(norm_old(old.raw[None])),
        float(norm_new(new.raw[None])),
        float(norm_old(used[None])),
        float(norm_new(left[None])),
    )
    return EditedLayer(raw, asked, w_used, w_left, bias, bias_now, norms, new.cap)


def _linears(branch: Branch) -> list[LipschitzLinear]:
    return [cast(LipschitzLinear, linear) for linear in branch.linears]
