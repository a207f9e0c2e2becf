"""The values of `dense`, with a backward pass by hand, and the weights of all blocks made together.

Points are columns here. With the weights of concatenation, the caps and the scales multiplied into the matrices, a
dense layer only adds units: from h, (units, batch), and the tangents T_k of h in x,

    z = W~ h + b~,   h <- [h; raw(z)],   T_k <- [T_k; raw'(z) W~ T_k],

beside the activation's arrangement of its units. The first d numbers of h are x, so their tangents are the identity and
are never stored. With column scales s_1 = 1, and eta, k, beta and C as in `dense` and `fast.folding`,

    W~_i = beta_i W_i diag(s_i),   b~_i = beta_i b_i,   s_{i+1} = [c eta_1 / k s_i; eta_2 / (C beta_i)].
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from resflow_core.branches.dense import DenseBranch, normalised
from resflow_core.fast import second_order
from resflow_core.fast.closed_forms import ClosedForm, closed_form
from resflow_core.fast.folding import CHUNK, FoldedBranch, Formulas, constrained_weights, folded_together
from resflow_core.fast.forward_mode import Rule, Tangents
from resflow_core.fast.fused_flow import FUSED, FusedFlow
from resflow_core.fast.traces import Slopes, trace, value_and_slopes
from resflow_core.flow import Flow
from resflow_core.lipschitz import LipschitzLinear
from resflow_core.residual import scale_factor


class DenseWeights(NamedTuple):
    """W~, (out, in), and b~, (out, 1), of every layer of a branch; of several, their number comes first."""

    weights: Sequence[Tensor]
    biases: Sequence[Tensor]


def fold(branches: Sequence[DenseBranch]) -> DenseWeights:
    """The folded weights of branches of the same shape, stacked: (branches, out, in) and (branches, out, 1)."""
    first = branches[0]
    layers = cast("list[tuple[LipschitzLinear, ...]]", list(zip(*(one.linears for one in branches), strict=True)))
    weights, biases = _constrained(branches, layers), [torch.stack([one.bias for one in layer]) for layer in layers]
    betas, etas = _betas(branches), _etas(branches)
    kept = etas.new_tensor([one.kept for one in branches])
    lipschitz, copies = closed_form(first.activation).lipschitz, first.activation.copies
    scales = weights[0].new_ones(len(branches), weights[0].shape[2])
    folded, shifted = [], []
    for i, (weight, bias) in enumerate(zip(weights[:-1], biases[:-1], strict=True)):
        beta = betas[:, i, None]
        folded.append(weight * (beta * scales)[:, None])
        shifted.append((bias * beta)[:, :, None])
        constants = etas.new_tensor([[lipschitz(one.orders[i + 1])] for one in branches])
        added = (etas[:, i, 1:] / (constants * beta)).expand(-1, copies * weight.shape[1])
        scales = torch.cat([scales * (kept[:, i, None] * etas[:, i, :1]), added], 1)
    last = etas.new_tensor([[one.scale] for one in branches])
    folded.append(weights[-1] * (last * scales)[:, None])
    shifted.append((biases[-1] * last)[:, :, None])
    return DenseWeights(folded, shifted)


def _constrained(branches: Sequence[DenseBranch], layers: Sequence[tuple[LipschitzLinear, ...]]) -> list[Tensor]:
    """W of every layer, (branches, out, in)."""
    if branches[0].raw_orders is None:
        return [constrained_weights(layer, norm) for layer, norm in zip(layers, branches[0].norms, strict=True)]
    # Learned orders differ from block to block.
    of_each = [[one.norms[i] for one in branches] for i in range(len(layers))]
    return [
        torch.cat([constrained_weights([one], norm) for one, norm in zip(layer, norms, strict=True)])
        for layer, norms in zip(layers, of_each, strict=True)
    ]


def _betas(branches: Sequence[DenseBranch]) -> Tensor:
    """beta of every activation, (branches, layers - 1)."""
    initial = branches[0].activation.initial_scale
    if initial is None:
        return torch.stack([one.scales for one in branches])
    return initial * scale_factor(torch.stack([cast(Tensor, one.raw_scales) for one in branches]))


def _etas(branches: Sequence[DenseBranch]) -> Tensor:
    """eta of every dense layer, (branches, layers - 1, 2)."""
    if branches[0].raw_orders is not None:
        return torch.stack([one.etas for one in branches])
    raw = torch.stack([one.raw_concat for one in branches])
    return normalised(raw.view(len(branches), -1, 2), branches[0].orders[1:-1])


def value(x: Tensor, activation: ClosedForm, weights: DenseWeights) -> Tensor:
    """g(x), (batch, d); differentiable any number of times."""
    h = x.T
    *layers, (weight, bias) = zip(weights.weights, weights.biases, strict=True)
    for inner, shift in layers:
        h = torch.cat([h, activation.raw(torch.addmm(shift, inner, h))])
    return torch.addmm(bias, weight, h).T


def pullback(x: Tensor, activation: ClosedForm, weights: DenseWeights) -> Callable[[Tensor], Tensor]:
    """w -> w'A, for w of the shape of x, (batch, d): from the last layer to the first, with w split into w_h and w_y,

    w <- w_h + W~' (raw'(z) w_y),   beside the activation's arrangement of its units.
    """
    h, slopes, patterns = x.T, [], []
    *layers, (last, _) = zip(weights.weights, weights.biases, strict=True)
    for weight, bias in layers:
        z = torch.addmm(bias, weight, h)
        pattern = activation.arrangement.pattern(z)
        derivatives = activation.derivatives(activation.arrangement.apply(z, pattern))
        y, slope = next(derivatives), next(derivatives)
        slopes.append(slope)
        patterns.append(pattern)
        h = torch.cat([h, y])
    backwards = list(zip([weight for weight, _ in layers], slopes, patterns, strict=True))[::-1]

    def pull(w: Tensor) -> Tensor:
        w = torch.mm(last.T, w.T)
        for weight, slope, pattern in backwards:
            w_h, w_y = w.split([weight.shape[1], len(slope)])
            w = torch.addmm(w_h, weight.T, activation.arrangement.transpose(w_y * slope, pattern))
        return w.T

    return pull


def forward(
    activation: ClosedForm, x: Tensor, weights: DenseWeights, kept: list[Any] | None = None
) -> tuple[Tensor, Tensor]:
    """g, (d, batch), and dg/dx, (d, d, batch), for points x, (d, batch). `kept` gets the tensors for `backward`.

    Tangents, (units, d, batch), are those of the units that dense layers added.
    """
    d, batch = x.shape
    h, tangents = x, x.new_empty(0, d, batch)
    *layers, (last, last_bias) = zip(weights.weights, weights.biases, strict=True)
    for weight, bias in layers:
        z = torch.addmm(bias, weight, h)
        z_tangents = _through(weight, tangents)
        pattern = activation.arrangement.pattern(z)
        derivatives = activation.derivatives(activation.arrangement.apply(z, pattern))
        y, slope = next(derivatives), next(derivatives)
        arranged = activation.arrangement.apply(z_tangents, pattern)
        if kept is not None:
            kept += [pattern, h, tangents, arranged, slope, next(derivatives)]
        h, tangents = torch.cat([h, y]), torch.cat([tangents, arranged * slope[:, None]])
    if kept is not None:
        kept += [h, tangents]
    return torch.addmm(last_bias, last, h), _through(last, tangents)


def _through(weight: Tensor, tangents: Tensor) -> Tensor:
    """W~ T, (out, d, batch), for the tangents of x, which are the identity, and those of all added units."""
    d, batch = tangents.shape[1:]
    of_points = weight[:, :d, None].expand(-1, -1, batch)
    if not len(tangents):
        return of_points
    return of_points + torch.mm(weight[:, d:], tangents.flatten(1)).view(-1, d, batch)


def _through_backward(weight: Tensor, tangents: Tensor, d_out: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of `_through` in W~ and in the tangents."""
    d, flat = tangents.shape[1], d_out.flatten(1)
    d_weight = torch.cat([d_out.sum(2), torch.mm(flat, tangents.flatten(1).T)], 1)
    return d_weight, torch.mm(weight[:, d:].T, flat).view(tangents.shape)


def backward(
    activation: ClosedForm, kept: list[Any], weights: Sequence[Tensor], d_value: Tensor, d_jacobian: Tensor
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """The gradients with respect to x, the W~ and the b~ of `forward`, in their shapes. `kept` is its list.

    With V = W~ T and a prime for what comes after a layer: dV = raw' dT'_y, dz = raw' dh'_y + raw'' sum_k V_k dT'_y,k,
    dW~ = dz h' + sum_k dV_k T_k', db~ = dz, dh = dh'_h + W~' dz, dT = dT'_h + W~' dV.
    """
    *kept, h, tangents = kept
    *inner, last = weights
    d_weight, d_tangents = _through_backward(last, tangents, d_jacobian)
    d_weights = [d_weight.addmm_(d_value, h.T)]  # last layer first
    d_biases = [d_value.sum(1, keepdim=True)]
    d_h = torch.mm(last.T, d_value)
    for weight in reversed(inner):
        *kept, pattern, h, tangents, arranged, slope, curvature = kept
        d_h, d_y = d_h.split([len(h), len(slope)])
        d_tangents, d_u = d_tangents.split([len(tangents), len(slope)])
        d_z = torch.addcmul(d_y * slope, (arranged * d_u).sum(1), curvature)
        d_z = activation.arrangement.transpose(d_z, pattern)
        d_v = activation.arrangement.transpose(d_u * slope[:, None], pattern)
        d_weight, d_before = _through_backward(weight, tangents, d_v)
        d_weights.append(d_weight.addmm_(d_z, h.T))
        d_biases.append(d_z.sum(1, keepdim=True))
        d_h, d_tangents = torch.addmm(d_h, weight.T, d_z), d_tangents + d_before
    return d_h, d_weights[::-1], d_biases[::-1]


RULE = Rule(DenseWeights, forward, backward)


def value_and_jacobian(x: Tensor, activation: ClosedForm, weights: DenseWeights) -> tuple[Tensor, Tensor]:
    """g(x), (batch, d), and dg/dx, (batch, d, d); differentiable any number of times."""
    if torch.is_grad_enabled():
        found, jacobian = Tangents.apply(RULE, activation, x.T.contiguous(), *weights.weights, *weights.biases)
    else:
        chunks = [forward(activation, part.T.contiguous(), weights) for part in x.split(CHUNK)]
        found, jacobian = (torch.cat(parts, -1) for parts in zip(*chunks, strict=True))
    return found.T, jacobian.permute(2, 0, 1)


def value_and_trace(x: Tensor, activation: ClosedForm, weights: DenseWeights) -> tuple[Tensor, Tensor] | None:
    """g(x), (batch, d), and tr A, (batch,), of one or two dense layers; None of more.

    With W_x and W_1, W_2 the columns of the last layer for x and for the units y_i that are added, W_ix and W_iy those
    of the layer i for x and for y_1, and J_i the slopes (`traces`),

        A = W_x + sum_i W_i J_i W_ix + W_2 J_2 W_2y J_1 W_1x.

    No activation stands before the first layer, so W_1x W_2 is one matrix for all points.
    """
    *layers, (last, last_bias) = zip(weights.weights, weights.biases, strict=True)
    if len(layers) > 2:
        return None
    d, h, found = x.shape[1], x.T, list[tuple[Tensor, list[Slopes]]]()
    for weight, bias in layers:
        y, parts = value_and_slopes(activation, torch.addmm(bias, weight, h))
        h = torch.cat([h, y])
        found.append((weight, parts))
    of_x, *of_y = last.split([d, *(len(parts[0].of) for _, parts in found)], 1)
    total = of_x.diagonal().sum()
    for (weight, parts), outer in zip(found, of_y, strict=True):
        for part in parts:
            total = total + (weight[part.sources, :d] * outer.T).sum(1) @ part.of
    if len(found) == 2:
        (first, at_first), (second, at_second) = found
        total = total + trace(first @ of_y[1], at_second, second[:, d:], at_first)
    return torch.addmm(last_bias, last, h).T, total


class FastDenseBranch(FoldedBranch, DenseBranch):
    """A `DenseBranch` that evaluates folded weights. The backward pass of its Jacobian is written by hand."""

    formulas = Formulas(value, value_and_jacobian, pullback, value_and_trace)

    @staticmethod
    def stacked(branches: Sequence[DenseBranch]) -> DenseWeights:
        """The folded weights of several branches of the same shape, stacked."""
        return fold(branches)

    @staticmethod
    def of_each(branches: Sequence[DenseBranch]) -> list[DenseWeights]:
        """The folded weights of each of several branches of the same shape, from one `fold`."""
        return list(_unstacked(fold(branches)))


def _unstacked(stacked: DenseWeights) -> Iterator[DenseWeights]:
    weights, biases = (zip(*(part.unbind() for part in parts), strict=True) for parts in stacked)
    for of_one in zip(weights, biases, strict=True):
        yield DenseWeights(*of_one)


class DenseFlow(FusedFlow):
    """A flow of dense branches that folds the weights of all blocks together."""

    branch = FastDenseBranch

    def forward_and_jacobians(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As `Flow.forward_and_jacobians`."""
        folding = nullcontext() if second_order.in_transform() else folded_together(self.branches)  # type: ignore[arg-type]
        with folding:
            return Flow.forward_and_jacobians(self, x)


FUSED["dense"] = DenseFlow
