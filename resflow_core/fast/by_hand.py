"""The exact NLL of a flow and its gradient without autograd, on parameters that are stacked layer by layer.

The loss is, over the points of a batch,

    mean of |z|^2 / 2 + d/2 log 2 pi - sum_i log|det(I + A_i)| - sum of all log scales.

In small flows a step is mostly fixed cost: thousands of operations on small tensors. Here what belongs to one layer of
all blocks is one tensor, (blocks, ...), and each operation on weights is one for all blocks. `folding` says how the
weights are made of the parameters. With F_i = beta_{i+1}, f_i = F_i / (C beta_i) and the constrained weight Y_i,

    W~_i = f_i Y_i,   b~_i = F_i b_i,

so that, with d(.) the gradient of the loss with respect to (.),

    dY_i = f_i dW~_i,   db_i = F_i db~_i,   df_i = <dW~_i, Y_i>,   dF_i = <db~_i, b_i> + df_i / (C beta_i),
    d beta_i = dF_{i-1} - df_i f_i / beta_i,

where t = beta_1 y and A = beta_1 dg/dt add to d beta_1. A scale is beta = beta_0 exp(r tanh(s raw / r)), with r and s
as in `residual.scale_factor`: d raw = s (1 - tanh^2) beta d beta.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.fast import capped, fused_flow
from resflow_core.fast.closed_forms import ClosedForm
from resflow_core.fast.folding import Folded, FoldedBranch, folded
from resflow_core.fast.forward_mode import FoldedWeights
from resflow_core.fast.plane import log_abs_det, log_abs_det_backward
from resflow_core.lipschitz import SpectralNorm
from resflow_core.log_det import Exact, LogDet
from resflow_core.residual import SCALE_RANGE, SCALE_SPEED, scale_factor


class Passed(NamedTuple):
    """A pass of a batch through the blocks: the loss without the log scales, and its gradients with respect to the
    folded weights and ActNorm's, in their shapes. `layers`: all W, then all b."""

    nll: Tensor
    entry_scales: Tensor
    scales: Tensor
    shifts: Tensor
    layers: list[Tensor]

    def plus(self, share: float, other: "Passed") -> "Passed":
        """self + share * other"""

        def sum_of(one: Tensor, more: Tensor) -> Tensor:
            return torch.add(one, more, alpha=share)

        return Passed(
            sum_of(self.nll, other.nll),
            sum_of(self.entry_scales, other.entry_scales),
            sum_of(self.scales, other.scales),
            sum_of(self.shifts, other.shifts),
            list(map(sum_of, self.layers, other.layers)),
        )


class _Made(NamedTuple):
    """How the folded weights were made, for the way back."""

    folded: Folded
    kept: list[capped.Kept]
    constrained: list[Tensor]  # Y
    scales: Tensor  # beta, (layers, blocks)


def supports(flow: Any) -> TypeGuard[fused_flow.FusedFlow]:
    """Whether this module has the gradient of a flow: of the 2-norm, with a constraint whose gradient is by hand."""
    if not isinstance(flow, fused_flow.FusedFlow) or flow.branch is not FoldedBranch:
        return False
    first = flow.branches[0]
    is_by_hand = type(first.linears[0].constraint) in capped.BY_HAND
    return is_by_hand and first.raw_orders is None and all(isinstance(norm, SpectralNorm) for norm in first.norms)


class ExactNLL:
    """The mean NLL in nats of a flow that is `supports`ed, by the exact log det, and its gradient.

    `parameters` and `gradients` have the same names and shapes: what one name within a block, or an ActNorm, stands for
    in all of them, stacked.
    """

    def __init__(
        self,
        flow: fused_flow.FusedFlow,
        parameters: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
    ):
        self._parameters, self._gradients = parameters, gradients
        first: Any = flow.branches[0]
        self._layers = range(len(first.linears))
        self._cap, self._exactly = first.linears[0].cap, capped.BY_HAND[type(first.linears[0].constraint)]
        self._constant = first.closed_form.lipschitz(2)
        self._activation = first.closed_form
        self._initial_scale = first.activation.initial_scale

    def __call__(self, x: Tensor) -> float:
        """The loss of points (batch, d). Its gradient takes the place of what `gradients` hold."""
        return self.of_parts([x])[0]

    def takes(self, log_det: LogDet) -> bool:
        """Whether it has the gradient by this log det."""
        return isinstance(log_det, Exact)

    @torch.no_grad()
    def of_parts(
        self, parts: Sequence[Tensor], log_dets: Sequence[LogDet] = (), breathe: Breathe = without
    ) -> tuple[float, float]:
        """The same for a batch in several parts, twice: the loss, and the exact NLL. The weights are folded once."""
        triples = [capped.triples_of(raw, breathe) for raw in self._raws()]
        made, batch = self._fold(triples), sum(map(len, parts))
        weights, log_scale = made.folded.weights, self._parameters.get("log_scale")
        if log_scale is None:
            scales = weights.entry_scale.new_ones(len(weights.entry_scale) + 1, parts[0].shape[1], 1)
            shifts = torch.zeros_like(scales)
        else:
            scales, shifts = log_scale.exp()[:, :, None], self._parameters["shift"][:, :, None]
        found = _through(self._activation, parts[0], scales, shifts, weights)
        if len(parts) > 1:
            found = found.plus(len(parts[0]) / batch - 1, found)  # its share of the mean
        for x in parts[1:]:
            breathe()
            found = found.plus(len(x) / batch, _through(self._activation, x, scales, shifts, weights))
        self._unfold(made, found.entry_scales, found.layers)
        if log_scale is None:
            return (nll := float(found.nll)), nll
        torch.mul(found.scales, scales, out=self._gradients["log_scale"][:, :, None]).sub_(1.0)
        self._gradients["shift"].copy_(found.shifts[:, :, 0])
        return (nll := float(found.nll - log_scale.sum())), nll

    def _raws(self) -> list[Tensor]:
        return [self._parameters[f"branch.linears.{i}.raw"] for i in self._layers]

    def _fold(self, triples: list[capped.Triples]) -> _Made:
        raws = self._raws()
        biases = [self._parameters[f"branch.linears.{i}.bias"] for i in self._layers]
        constrained, kept = zip(
            *(capped.forward(raw, self._cap, self._exactly, of) for raw, of in zip(raws, triples, strict=True)),
            strict=True,
        )
        scales = raws[0].new_ones(len(raws), len(raws[0]))
        if self._initial_scale is not None:
            scales = self._initial_scale * scale_factor(self._parameters["branch.raw_scales"].T)
        # A flow that is trained has no branch that is scaled.
        made = folded(constrained, biases, scales, torch.ones_like(scales[0]), self._constant)
        return _Made(made, list(kept), list(constrained), scales)

    def _unfold(self, made: _Made, d_entry: Tensor, d_layers: list[Tensor]) -> None:
        """From the gradients with respect to the folded weights, all W and then all b, to those of the parameters."""
        _, factors, following = made.folded
        d_factors, d_following = torch.empty_like(factors), torch.empty_like(factors)
        for i in self._layers:
            d_weight, d_bias = d_layers[i], d_layers[len(self._layers) + i][:, :, 0]
            bias = self._parameters[f"branch.linears.{i}.bias"]
            torch.mul(d_bias, following[i, :, None], out=self._gradients[f"branch.linears.{i}.bias"])
            torch.sum(d_bias * bias, 1, out=d_following[i])
            torch.sum(d_weight * made.constrained[i], (1, 2), out=d_factors[i])
            d_raw = capped.backward(made.kept[i], d_weight * factors[i, :, None, None], self._exactly)
            self._gradients[f"branch.linears.{i}.raw"].copy_(d_raw)
        if self._initial_scale is None:
            return
        d_following += d_factors / (self._constant * made.scales)
        d_scales = d_factors.mul_(factors).div_(made.scales).neg_()
        d_scales[1:] += d_following[:-1]
        d_scales[0] += d_entry
        slopes = scale_factor_slope(self._parameters["branch.raw_scales"].T)
        self._gradients["branch.raw_scales"].copy_(d_scales.mul_(made.scales).mul_(slopes).T)


def scale_factor_slope(raw: Tensor) -> Tensor:
    """The derivative of log `scale_factor`: s (1 - tanh^2(s raw / r))."""
    return SCALE_SPEED * (1 - torch.tanh(SCALE_SPEED / math.log(SCALE_RANGE) * raw) ** 2)


def _through(activation: ClosedForm, x: Tensor, scales: Tensor, shifts: Tensor, weights: FoldedWeights) -> Passed:
    """Take x, (batch, d), through the blocks; scales and shifts are (blocks + 1, d, 1)."""
    entry, kept = weights.entry_scale, list[list[Tensor]]()
    z, jacobians = fused_flow.forward(activation, x.T.contiguous(), scales, shifts, weights, kept)
    nll, d_z, d_a = _loss(z, jacobians * entry[:, None])
    d_entry = (d_a * jacobians).sum((0, 1, 3))
    found = fused_flow.backward(activation, kept, entry, scales, weights.weights, d_z, d_a.mul_(entry[:, None]))
    return Passed(nll, d_entry + found.entry_scales, found.scales, found.shifts, found.layers)


def _loss(z: Tensor, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The loss without the log scales of z, (d, batch), and all A, (d, d, blocks, batch), and its gradient in each."""
    dim, batch = z.shape
    m = a + torch.eye(dim, dtype=a.dtype, device=a.device)[:, :, None, None]
    if dim == 2:
        log_det, det = log_abs_det(m)
        d_a = log_abs_det_backward(m, det, -1 / batch)
    else:
        matrices = m.permute(2, 3, 0, 1)
        log_det = torch.linalg.slogdet(matrices).logabsdet
        d_a = torch.linalg.inv_ex(matrices).inverse.permute(3, 2, 0, 1) / -batch  # not finite where M is singular
    nll = z.square().sum() / (2 * batch) + dim / 2 * math.log(2 * math.pi) - log_det.sum() / batch
    return nll, z / batch, d_a
