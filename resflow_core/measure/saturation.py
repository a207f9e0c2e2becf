"""The saturated units of a flow: steep and straight. The curvature of such a unit is almost 0, so almost nothing of the
log det's gradient passes through it to the layers before.

A layer takes h to W phi_beta(h) + b with phi_beta(h) = phi(beta h) / beta. Its pre-activations are t = beta h, the
numbers at which phi is evaluated, and

    phi_beta'(h) = phi'(t),   phi_beta''(h) = beta phi''(t).

A unit is saturated at a point if |phi'(t)| >= 1 - delta and beta |phi''(t)| <= epsilon. phi is raw over its Lipschitz
constant in the norm of the layer, so |phi'| <= 1 if that is the 2-norm. If an arrangement makes several numbers from a
unit, its |phi'| and |phi''| are those of `measure.activation`. If phi has no curvature (ReLU, MaxMin), a unit is
saturated wherever it is steep. A MaxMin unit is saturated everywhere.

Every smooth phi is saturated somewhere: at its steepest point, its curvature passes 0. delta decides about tails. The
slope of LipSwish tends to 0.909, that of ELU to 1. The default delta counts only the latter.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resflow_core.activations import Near
from resflow_core.branches.dense import DenseBranch
from resflow_core.breathe import Breathe, without
from resflow_core.flow import Flow
from resflow_core.measure.activation import DELTA, unit_derivatives
from resflow_core.residual import Branch, ResidualBlock, Stack

# Pre-activations, and |slope| and |curvature| of phi_beta there.
Layer = tuple[Tensor, tuple[Tensor, Tensor]]

# A unit is straight up to this curvature. It is steep by DELTA.
EPSILON = 0.01
BINS = 81  # odd, so that one bin is centred at 0
QUANTILES = (0.005, 0.25, 0.5, 0.75, 0.995)
# Points of a part of a map: few, so that others do not wait long.
CHUNK = 2_000


@dataclass(frozen=True, eq=False)
class Saturation:
    """Statistics of the pre-activations t of every block and layer, over all units and points.

    The pre-activations of layer 1 come from the block's input, the points themselves.
    """

    edges: np.ndarray  # (blocks, layers, bins + 1), symmetric
    counts: np.ndarray  # (blocks, layers, bins); values beyond the edges are in the end bins
    quantiles: np.ndarray  # (blocks, layers, 5) of t: `QUANTILES`
    share: np.ndarray  # (blocks, layers) of units and points that are saturated
    by_block: np.ndarray  # (blocks,) the same over all layers of a block
    overall: float  # the same over the whole flow
    straight: float  # share of units and points of the whole flow that are straight, steep or not
    scales: np.ndarray  # (blocks, layers): beta
    constants: np.ndarray  # (blocks, layers): the constants by which raw is divided
    delta: float
    epsilon: float


@torch.no_grad()
def saturation(
    flow: Flow,
    x: Tensor,
    delta: float = DELTA,
    epsilon: float = EPSILON,
    reach: float | None = None,
    breathe: Breathe = without,
) -> Saturation:
    """The `Saturation` of a flow at points, (batch, dim).

    A histogram goes from -reach to reach. By default, reach is the next of 1, 2, 5, 10, ... that contains 99 % of its
    layer.
    """
    flow = copy.deepcopy(flow)  # it may be trained between two parts
    blocks, quantiles, shares, straight, scales, constants = [], [], [], [], [], []
    for branch, layers in _passed(flow, x):
        blocks.append([t for t, _ in layers])
        quantiles.append([np.quantile(t.numpy(), QUANTILES) for t in blocks[-1]])
        shares.append([float(_saturated(*layer, delta, epsilon).double().mean()) for _, layer in layers])
        straight.append([float((curvature <= epsilon).double().mean()) for _, (_, curvature) in layers])
        scales.append(branch.scales.cpu().numpy())
        constants.append(_constants(branch))
        breathe()
    reaches = [[_round(np.abs(q).max()) if reach is None else reach for q in of_block] for of_block in quantiles]
    counts = []
    for layers, of_block in zip(blocks, reaches, strict=True):
        pairs = zip(layers, of_block, strict=True)
        counts.append([torch.histc(t.clamp(-far, far), BINS, -far, far).numpy() for t, far in pairs])
        breathe()
    units = np.array([len(t) for t in blocks[0]])
    share = np.array(shares)
    by_block = share @ units / units.sum()
    return Saturation(
        edges=np.array(reaches)[:, :, None] * np.linspace(-1, 1, BINS + 1),
        counts=np.array(counts).astype(int),
        quantiles=np.array(quantiles),
        share=share,
        by_block=by_block,
        overall=float(by_block.mean()),
        straight=float((np.array(straight) @ units / units.sum()).mean()),
        scales=np.array(scales),
        constants=np.array(constants),
        delta=delta,
        epsilon=epsilon,
    )


@torch.no_grad()
def saturation_map(
    flow: Flow,
    x: Tensor,
    block: int | None = None,
    delta: float = DELTA,
    epsilon: float = EPSILON,
    breathe: Breathe = without,
) -> np.ndarray:
    """The share of saturated units at each point, (batch, dim) -> (batch,): of all layers, or of one block (from 0)."""
    flow, shares = copy.deepcopy(flow), []  # it may be trained between two parts
    for part in x.split(CHUNK):
        saturated, units = torch.zeros(len(part)), 0
        for k, (_, layers) in enumerate(_passed(flow, part, until=block)):
            if block in (None, k):
                saturated += sum(_saturated(*layer, delta, epsilon).sum(0) for _, layer in layers)
                units += sum(len(t) for t, _ in layers)
            breathe()
        shares.append(saturated / units)
    return torch.cat(shares).numpy()


def _saturated(slope: Tensor, curvature: Tensor, delta: float, epsilon: float) -> Tensor:
    return (slope >= 1 - delta) & (curvature <= epsilon)


def _passed(flow: Flow, x: Tensor, until: int | None = None) -> Iterator[tuple[Branch, list[Layer]]]:
    """Every branch as points go through the flow, up to the block `until`, with the `Layer`s that the points meet.

    A layer is t and (|phi_beta'|, |phi_beta''|) of its units, (units, batch) each, on the processor.
    """
    x, branches = x.to(next(flow.parameters())), flow.branches
    networks, k = Stack(branches).network().unstacked(), 0
    for part in flow.parts:
        if not isinstance(part, ResidualBlock):
            x = part(x)
            continue
        near: Any = networks[k].near(x)
        x = x + near.value
        yield part.branch, _layers(part.branch, near.units)
        if k == until:
            return
        k += 1


def _layers(branch: Branch, units: Sequence[Near]) -> list[Layer]:
    """The layers of one block as in `_passed`. A dense branch has no activation in its last layer."""
    layers = []
    for near, beta, constant in zip(units, branch.scales, _constants(branch), strict=True):
        slope, curvature = unit_derivatives(branch.activation, near)
        layers.append((near.t.cpu(), ((slope / constant).cpu(), (curvature * (beta / constant)).cpu())))
    return layers


def _constants(branch: Branch) -> list[float]:
    """The constant of raw in the norm of every activation of a branch. A dense branch measures its units in the norm
    that they are added in."""
    orders = branch.orders[1:-1] if isinstance(branch, DenseBranch) else branch.orders[:-1]
    return [branch.activation.lipschitz(p) for p in orders]


def _round(reach: float) -> float:
    """The next of ..., 0.5, 1, 2, 5, 10, ..., so that an axis does not change with every step."""
    magnitude = 10.0 ** math.floor(math.log10(max(reach, 1e-3)))
    return next(magnitude * k for k in (1, 2, 5, 10) if magnitude * k >= min(reach, 9.99 * magnitude))
