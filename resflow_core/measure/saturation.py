"""Which units of a flow are saturated: steep and straight, so that by their curvature nothing of the log det's gradient
reaches what comes before them.

A layer takes h to W phi_beta(h) + b with phi_beta(h) = phi(beta h) / beta. Its pre-activations are t = beta h, the
numbers that phi is evaluated at, and

    phi_beta'(h) = phi'(t),   phi_beta''(h) = beta phi''(t).

A unit is saturated at a point where |phi'(t)| >= 1 - delta and beta |phi''(t)| <= epsilon. phi is raw over its
Lipschitz constant in the norm that the layer is measured in, thus |phi'| <= 1 where that is the 2-norm; |phi'| and
|phi''| of a unit from which an arrangement makes several numbers are those of `measure.activation`. Where phi has no
curvature (ReLU, MaxMin) a unit is saturated wherever it is steep: MaxMin's everywhere.

Every smooth phi is saturated in some place, the steepest, where its curvature passes 0. delta decides about tails:
LipSwish's slope tends to 0.909, ELU's to 1. The default counts the latter only.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from resflow_core.fast.closed_forms import closed_form
from resflow_core.fast.folding import fold
from resflow_core.fast.forward_mode import FoldedWeights
from resflow_core.flow import Flow
from resflow_core.measure.activation import DELTA, unit_derivatives
from resflow_core.residual import Branch, ResidualBlock

# Pre-activations, with the steepness and the curvature of phi_beta there.
Layer = tuple[Tensor, tuple[Tensor, Tensor]]

# A unit is straight up to this curvature; from when on it is steep says DELTA.
EPSILON = 0.01
BINS = 81  # odd: one lies around 0
QUANTILES = (0.005, 0.25, 0.5, 0.75, 0.995)
# Points between two yields of a map: few enough that whoever waits does not wait long.
CHUNK = 2_000


@dataclass(frozen=True, eq=False)
class Saturation:
    """Of the pre-activations t of every block and layer, over all units and points. Layer 1's come from the block's
    input, the points themselves."""

    edges: np.ndarray  # (blocks, layers, bins + 1), symmetric
    counts: np.ndarray  # (blocks, layers, bins); what lies beyond the edges is in the end bins
    quantiles: np.ndarray  # (blocks, layers, 5) of t: `QUANTILES`
    share: np.ndarray  # (blocks, layers) of units and points that are saturated
    by_block: np.ndarray  # (blocks,) the same over all layers of a block
    overall: float  # and of the flow
    scales: np.ndarray  # (blocks, layers): beta
    constants: np.ndarray  # (blocks, layers): what raw is divided by
    delta: float
    epsilon: float


@torch.no_grad()
def saturation(
    flow: Flow, x: Tensor, delta: float = DELTA, epsilon: float = EPSILON, reach: float | None = None
) -> Iterator[Saturation | None]:
    """Of a flow at points, (batch, dim): None after each block, and the record at last.

    A histogram goes from -reach to reach, by default the next of 1, 2, 5, 10, ... that holds 99 % of its layer.
    """
    flow = copy.deepcopy(flow)  # it may be trained between two pieces
    blocks, quantiles, shares, scales, constants = [], [], [], [], []
    for branch, layers in _passed(flow, x):
        blocks.append([t for t, _ in layers])
        quantiles.append([np.quantile(t.numpy(), QUANTILES) for t in blocks[-1]])
        shares.append([float(_saturated(*layer, delta, epsilon).double().mean()) for _, layer in layers])
        scales.append(branch.scales.cpu().numpy())
        constants.append([closed_form(branch.activation).lipschitz(p) for p in branch.orders[:-1]])
        yield None
    reaches = [[_round(np.abs(q).max()) if reach is None else reach for q in of_block] for of_block in quantiles]
    counts = []
    for layers, of_block in zip(blocks, reaches, strict=True):
        pairs = zip(layers, of_block, strict=True)
        counts.append([torch.histc(t.clamp(-far, far), BINS, -far, far).numpy() for t, far in pairs])
        yield None
    units = np.array([len(t) for t in blocks[0]])
    share = np.array(shares)
    by_block = share @ units / units.sum()
    yield Saturation(
        edges=np.array(reaches)[:, :, None] * np.linspace(-1, 1, BINS + 1),
        counts=np.array(counts).astype(int),
        quantiles=np.array(quantiles),
        share=share,
        by_block=by_block,
        overall=float(by_block.mean()),
        scales=np.array(scales),
        constants=np.array(constants),
        delta=delta,
        epsilon=epsilon,
    )


@torch.no_grad()
def saturation_map(
    flow: Flow, x: Tensor, block: int | None = None, delta: float = DELTA, epsilon: float = EPSILON
) -> Iterator[np.ndarray | None]:
    """The share of saturated units at each of the points, (batch, dim) -> (batch,): of all layers of the flow, or of
    one block (from 0). None after each block of a chunk of points, and the shares at last.
    """
    flow, shares = copy.deepcopy(flow), []  # it may be trained between two pieces
    for part in x.split(CHUNK):
        saturated, units = torch.zeros(len(part)), 0
        for k, (_, layers) in enumerate(_passed(flow, part, until=block)):
            if block in (None, k):
                saturated += sum(_saturated(*layer, delta, epsilon).sum(0) for _, layer in layers)
                units += sum(len(t) for t, _ in layers)
            yield None
        shares.append(saturated / units)
    yield torch.cat(shares).numpy()


def _saturated(slope: Tensor, curvature: Tensor, delta: float, epsilon: float) -> Tensor:
    return (slope >= 1 - delta) & (curvature <= epsilon)


def _passed(flow: Flow, x: Tensor, until: int | None = None) -> Iterator[tuple[Branch, list[Layer]]]:
    """As points go through the flow: every branch with, layer by layer, t and (|phi_beta'|, |phi_beta''|) of its units,
    (units, batch) each, on the processor; up to the block `until`.
    """
    x, k = x.to(next(flow.parameters())), 0
    weights = fold([block.branch for block in flow.blocks]).unstacked()
    for part in flow.bijections:
        if not isinstance(part, ResidualBlock):
            x = part(x)
            continue
        layers, value = _layers(part.branch, weights[k], x)
        x = x + value
        yield part.branch, layers
        if k == until:
            return
        k += 1


def _layers(branch: Branch, weights: FoldedWeights, x: Tensor) -> tuple[list[Layer], Tensor]:
    """One block's layers as in `_passed`, and g(x), (batch, dim). Folded weights have every beta in them but the
    first, the entry's, so that what arrives at a layer is t."""
    t, layers = weights.entry_scale * x.T, []
    for weight, bias, beta, p in zip(weights.weights, weights.biases, branch.scales, branch.orders, strict=False):
        y, slope, curvature = unit_derivatives(closed_form(branch.activation), t)
        constant = closed_form(branch.activation).lipschitz(p)
        layers.append((t.cpu(), ((slope / constant).cpu(), (curvature * (beta / constant)).cpu())))
        t = torch.addmm(bias, weight, y)
    return layers, t.T


def _round(reach: float) -> float:
    """The next of ..., 0.5, 1, 2, 5, 10, ..., so that an axis does not move with every step."""
    magnitude = 10.0 ** math.floor(math.log10(max(reach, 1e-3)))
    return next(magnitude * k for k in (1, 2, 5, 10) if magnitude * k >= min(reach, 9.99 * magnitude))
