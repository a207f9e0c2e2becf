"""All blocks of a flow and their Jacobians in one function, with a backward pass by hand.

Point by point this is `resflow_core.fast.forward_mode`, block after block,

    y_i = s_i x_i + m_i,   x_{i+1} = y_i + g_i(y_i),   A_i = dg_i/dx at y_i,

with s_i, m_i the scale and shift of ActNorm. In small flows, the overhead of an autograd function costs as much as its
computation. Here a whole flow is one function, and the common work of the blocks is done for all of them at once.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from resflow_core.activations import activation_named
from resflow_core.fast import forward_mode, second_order
from resflow_core.fast.broyden import solve_broyden
from resflow_core.fast.closed_forms import ClosedForm, NoClosedForm, closed_form
from resflow_core.fast.folding import FoldedBranch, folded_together, lipschitz_bounds
from resflow_core.fast.forward_mode import FoldedWeights
from resflow_core.fast.plane import residual_log_det
from resflow_core.fixed_point import solve_banach
from resflow_core.flow import IMPLEMENTATIONS, Flow, FlowConfig
from resflow_core.log_det import Drawn, Exact, LogDet, Roulette, Truncated, drawn, from_jacobians, keeps_graphs
from resflow_core.residual import Branch, ResidualBlock

# Without gradients nothing is kept, and the tangents of this many numbers fit into the processor's cache.
CHUNK_NUMBERS = 2**18
# Broyden's method has a d x d matrix for every point. In higher dimensions it does not save time.
BROYDEN_UP_TO_DIM = 8
PLANE = 2


class FastBlock(ResidualBlock):
    """A `ResidualBlock` that is inverted by Broyden's method if d <= `BROYDEN_UP_TO_DIM`."""

    def solve(self, z: Tensor, lipschitz: float) -> Tensor:
        """x with x + g(x) = z, (batch, d) -> (batch, d). Raises `NotConverged` and ValueError as `solve_banach`."""
        solver = solve_broyden if self.dim <= BROYDEN_UP_TO_DIM else solve_banach
        return solver(self.branch, z, lipschitz, size=self.branch.size)


class Values(Protocol):
    """Another way to what a flow computes without gradients (`compiled`). All take the flow and points, (batch, d)."""

    def folded(self, flow: "FusedFlow") -> tuple[np.ndarray, np.ndarray, Any] | None:
        """What the flow's `folded` returns, as arrays that the next call overwrites; None if torch folds as fast."""
        ...

    def takes(self, flow: "FusedFlow", x: Tensor) -> bool:
        """Whether it can do that with these points just now."""
        ...

    def forward_and_log_det(self, flow: "FusedFlow", x: Tensor) -> tuple[Tensor, Tensor]:
        """z and log|det dz/dx| without ActNorm's part."""
        ...

    def differentiates(self, flow: "FusedFlow", x: Tensor) -> bool:
        """Whether it has the gradients at these points just now."""
        ...

    def differentiable(self, flow: "FusedFlow", x: Tensor, log_det: LogDet) -> tuple[Tensor, Tensor]:
        """As `forward_and_log_det` with gradients, by the exact log det or one of which all is drawn."""
        ...

    def forward_and_jacobians(self, flow: "FusedFlow", x: Tensor) -> tuple[Tensor, Tensor]: ...

    def stages(self, flow: "FusedFlow", x: Tensor) -> list[Tensor]: ...

    def inverse(self, flow: "FusedFlow", z: Tensor, bounds: list[float]) -> Tensor | None:
        """None where it is not certified at every point."""
        ...


class FusedFlow(Flow):
    """A `Flow` that computes all its blocks in one function and folds their weights together. With `values`, what needs
    no gradient is theirs."""

    values: Values | None = None
    branch: type[FoldedBranch] = FoldedBranch

    def __init__(self, config: FlowConfig, generator: torch.Generator):
        super().__init__(config, generator, self.branch, FastBlock)

    @property
    def first_branch(self) -> Branch:
        """That of the first block, found without looking at the others."""
        return next(part.branch for part in self.parts if isinstance(part, ResidualBlock))

    def lipschitz_bounds(self) -> list[float]:
        return lipschitz_bounds(self.branches)

    def folded(self) -> tuple[Tensor, Tensor, Any]:
        """ActNorm's scales and shifts, (blocks + 1, dim), and the folded weights of all branches, stacked."""
        branches = self.branches
        if norms := self.actnorms:
            log_scales, shifts = (
                torch.stack(parts) for parts in zip(*((n.log_scale, n.shift) for n in norms), strict=True)
            )
            scales = log_scales.exp()
        else:
            like: Tensor = branches[0].linears[0].bias  # type: ignore[assignment]
            scales = like.new_ones(len(branches) + 1, self.dim)
            shifts = torch.zeros_like(scales)
        return scales, shifts, self.branch.stacked(branches)

    def forward_and_jacobians(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As `Flow.forward_and_jacobians`."""
        x = self._checked(x)
        if second_order.in_transform():
            return super().forward_and_jacobians(x)
        if self.values and self.values.takes(self, x):
            return self.values.forward_and_jacobians(self, x)
        return forward_and_jacobians(x, self.branches[0].closed_form, *self.folded())

    @torch.no_grad()
    def stages(self, x: Tensor) -> list[Tensor]:
        x = self._checked(x)
        if self.values and self.values.takes(self, x):
            return self.values.stages(self, x)
        with folded_together(self.branches):  # type: ignore[arg-type]
            return super().stages(x)

    def folding(self, log_det: LogDet) -> AbstractContextManager[None]:
        """In this context the weights of all branches are folded once, where the log det is differentiated when all
        blocks are done. What is differentiated block by block would go through the fold of all of them each time."""
        if keeps_graphs(log_det):
            return folded_together(self.branches)  # type: ignore[arg-type]
        return nullcontext()

    def _inverse(self, z):
        if self.values and self.values.takes(self, z) and max(bounds := self.lipschitz_bounds()) < 1:
            x = self.values.inverse(self, z, bounds)
            if x is not None:
                return x
        with folded_together(self.branches):
            return super()._inverse(z)  # or it says why there is none

    def _forward_and_log_det(self, x, log_det, generator):
        if not (isinstance(log_det, Exact) or made_of_jacobians(log_det, self.dim)) or second_order.in_transform():
            return super()._forward_and_log_det(x, log_det, generator)
        if self.values and self.values.differentiates(self, x):
            z, log_dets = self.values.differentiable(self, x, drawn(log_det, len(self.blocks), x, generator))
        elif not isinstance(log_det, Exact):
            z, jacobians = self.forward_and_jacobians(x)
            log_dets = from_jacobians(log_det, jacobians.transpose(0, 1), x, generator).sum(0)
        elif self.values and self.values.takes(self, x):
            z, log_dets = self.values.forward_and_log_det(self, x)
        else:
            z, jacobians = self.forward_and_jacobians(x)
            log_dets = residual_log_det(jacobians).sum(1)
        return z, log_dets + self.actnorm_log_det


def made_of_jacobians(log_det: LogDet, dim: int) -> bool:
    """Whether an estimate is made of A: in the plane that costs less than its vector-Jacobian products."""
    return dim == PLANE and isinstance(log_det, Truncated | Roulette | Drawn)


def fastest(config: FlowConfig, generator: torch.Generator) -> Flow:
    """The entry of `FUSED` for its branches, or the paper's `Flow` if there is none, or the activation has no closed
    form."""
    return (_fused(config) or Flow)(config, generator)


def forms_jacobians(config: FlowConfig) -> bool:
    """Whether `fastest` makes estimates of the log det from A itself: in the plane."""
    return config.dim == PLANE and _fused(config) is not None


def _fused(config: FlowConfig) -> type[Flow] | None:
    try:
        closed_form(activation_named(config.activation))
    except NoClosedForm:
        return None
    return FUSED.get(config.branch)


FUSED: dict[str, type[Flow]] = {"residual": FusedFlow}
IMPLEMENTATIONS["fused"] = fastest


def forward_and_jacobians(
    x: Tensor, activation: ClosedForm, scales: Tensor, shifts: Tensor, weights: FoldedWeights
) -> tuple[Tensor, Tensor]:
    """z, (batch, d), and all A_i, (batch, n, d, d), of n blocks; differentiable any number of times.

    `scales` and `shifts` have shape (n + 1, d): one row before each block and one after the last. `weights` are
    stacked.
    """
    scales, shifts = scales[:, :, None], shifts[:, :, None]
    if torch.is_grad_enabled():
        tensors = (scales, shifts, *weights.weights, *weights.biases)
        z, jacobians = _FusedFlow.apply(activation, x.T.contiguous(), weights.entry_scale, *tensors)
    else:
        size = max(1, CHUNK_NUMBERS // max(bias.numel() // len(bias) for bias in weights.biases) // x.shape[1])
        chunks = [forward(activation, part.T.contiguous(), scales, shifts, weights) for part in x.split(size)]
        z, jacobians = (torch.cat(parts, -1) for parts in zip(*chunks, strict=True))
    return z.T, (jacobians * weights.entry_scale[:, None]).permute(3, 2, 0, 1)


def forward(
    activation: ClosedForm,
    x: Tensor,
    scales: Tensor,
    shifts: Tensor,
    weights: FoldedWeights,
    kept: list[list] | None = None,
) -> tuple[Tensor, Tensor]:
    """z, (d, batch), and dg_i/dt at t = beta_i y_i, (d, d, n, batch).

    `kept` gets the tensors for `backward`: a list for each block that begins with x and y, and then the last x.
    """
    jacobians = []
    for scale, shift, branch in zip(scales, shifts, weights.unstacked(), strict=False):
        y = torch.addcmul(shift, scale, x)
        of_block = None if kept is None else [x, y]
        value, jacobian = forward_mode.forward(activation, branch.entry_scale * y, branch, of_block)
        jacobians.append(jacobian)
        if kept is not None:
            kept.append(of_block)
        x = y + value
    if kept is not None:
        kept.append([x])
    return torch.addcmul(shifts[-1], scales[-1], x), torch.stack(jacobians, 2)


class Gradients(NamedTuple):
    """Of a loss, with respect to what `forward` takes, in its shapes. `layers`: all W, then all b."""

    x: Tensor
    entry_scales: Tensor
    scales: Tensor
    shifts: Tensor
    layers: list[Tensor]


def backward(
    activation: ClosedForm,
    kept: Sequence[list[Tensor]],
    entry_scales: Tensor,
    scales: Tensor,
    weights: Sequence[Tensor],
    d_z: Tensor,
    d_jacobians: Tensor,
) -> Gradients:
    """From the gradients with respect to the outputs of `forward`; `kept` is its list, `weights` are stacked."""
    *kept, (last,) = kept
    of_blocks = list(zip(*(weight.unbind() for weight in weights), strict=True))
    # For every block, last block first: the inputs of its parts, and the gradients of their outputs.
    arrivals, d_normed = [last], [d_z]
    entries: list[Tensor] = []
    d_entries: list[Tensor] = []
    d_layers: list[list[Tensor]] = []
    d_y = scales[-1] * d_z
    for i in reversed(range(len(kept))):
        x, y, *of_branch = kept[i]
        d_t, d_weights, d_biases = forward_mode.backward(activation, of_branch, of_blocks[i], d_y, d_jacobians[:, :, i])
        d_y = torch.addcmul(d_y, entry_scales[i], d_t)
        for part, of_block in zip(
            (arrivals, d_normed, entries, d_entries, d_layers), (x, d_y, y, d_t, d_weights + d_biases), strict=True
        ):
            part.append(of_block)
        d_y = scales[i] * d_y
    normed = _stacked(d_normed)
    return Gradients(
        d_y,
        (_stacked(d_entries) * _stacked(entries)).sum((1, 2)),
        (normed * _stacked(arrivals)).sum(2, keepdim=True),
        normed.sum(2, keepdim=True),
        [_stacked(layer) for layer in zip(*d_layers, strict=True)],
    )


class _FusedFlow(torch.autograd.Function):
    @staticmethod
    def forward(ctx, activation, x, entry_scales, scales, shifts, *weights_and_biases):
        n_layers, kept = len(weights_and_biases) // 2, []
        weights = FoldedWeights(entry_scales, weights_and_biases[:n_layers], weights_and_biases[n_layers:])
        outputs = forward(activation, x, scales, shifts, weights, kept)
        ctx.activation, ctx.n_layers, ctx.sizes = activation, n_layers, [len(part) for part in kept]
        ctx.save_for_backward(x, entry_scales, scales, shifts, *weights_and_biases, *chain.from_iterable(kept))
        return outputs

    @staticmethod
    def backward(ctx, d_z, d_jacobians):
        if second_order.wanted_again():
            inputs = ctx.saved_tensors[: 4 + 2 * ctx.n_layers]
            plain = partial(_plainly, ctx.activation, ctx.n_layers)
            return None, *second_order.gradients(plain, inputs, (d_z, d_jacobians))
        _, entry_scales, scales, _, *saved = ctx.saved_tensors
        weights, saved = saved[: ctx.n_layers], iter(saved[2 * ctx.n_layers :])
        kept = [[*islice(saved, size)] for size in ctx.sizes]
        found = backward(ctx.activation, kept, entry_scales, scales, weights, d_z, d_jacobians)
        return None, *found[:4], *found.layers


def _plainly(activation, n_layers, x, entry_scales, scales, shifts, *weights_and_biases):
    weights = FoldedWeights(entry_scales, weights_and_biases[:n_layers], weights_and_biases[n_layers:])
    return forward(activation, x, scales, shifts, weights)


def _stacked(last_first: Sequence[Tensor]) -> Tensor:
    return torch.stack(last_first[::-1])
