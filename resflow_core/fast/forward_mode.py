"""The branch and its Jacobian, with a backward pass by hand. Training spends most of its time here.

Points are columns here. A branch g(x) = W_n raw(... W_1 raw(beta x) + b_1 ...) + b_n starts from t = beta x. A layer
takes points t, (units, batch), and their tangents T_k, the columns of the Jacobian of t in beta x, to

    y = raw(t),   U_k = raw'(t) T_k,   t_next = W y + b,   T_k,next = W U_k.

Let d(.) be the gradient of the loss with respect to (.). With element-wise products, and sums over the batch, the
backward pass is

    dW = dt_next y' + sum_k dT_k,next U_k',   db = dt_next,   dy = W' dt_next,   dU_k = W' dT_k,next,
    dT_k = raw'(t) dU_k,   dt = raw'(t) dy + raw''(t) sum_k T_k dU_k.

An activation that arranges its units does so first, with t and all T_k. For an element-wise activation, the first layer
gives T_k = raw'(t_k) w_k, with w_k the k-th column of W_1. The number raw'(t_k) is left out until the end, where it
multiplies the k-th column of the Jacobian. So the tangents start as the w_k, which are the same at every point.
`resflow_core.residual.Branch.value_and_jacobian` does all of this by automatic differentiation.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from resflow_core.fast import second_order
from resflow_core.fast.closed_forms import ClosedForm
from resflow_core.fast.traces import trace, value_and_slopes


class FoldedWeights(NamedTuple):
    """The weights of g(x) = W_n raw(... W_1 raw(beta x) + b_1 ...) + b_n for points x as columns.

    beta is the number `entry_scale`. W has shape (out, in), and b has shape (out, 1). Weights of several branches are
    stacked: the number of branches comes first in every shape.
    """

    entry_scale: Tensor
    weights: Sequence[Tensor]
    biases: Sequence[Tensor]

    def unstacked(self) -> list["FoldedWeights"]:
        """The weights of each branch, from stacked ones."""
        weights, biases = (zip(*(part.unbind() for part in parts), strict=True) for parts in self[1:])
        return [FoldedWeights(*parts) for parts in zip(self.entry_scale.unbind(), weights, biases, strict=True)]


def value(x: Tensor, activation: ClosedForm, weights: FoldedWeights) -> Tensor:
    """g(x), (batch, d); differentiable any number of times."""
    t = weights.entry_scale * x.T
    for weight, bias in zip(weights.weights, weights.biases, strict=True):
        t = torch.addmm(bias, weight, activation.raw(t))
    return t.T


def pullback(x: Tensor, activation: ClosedForm, weights: FoldedWeights) -> Callable[[Tensor], Tensor]:
    """w -> w'A, for w of the shape of x, (batch, d): through the layers from the last to the first,

    w <- raw'(t) W' w,   beside the activation's arrangement of its units.
    """
    t, slopes, patterns = weights.entry_scale * x.T, [], []
    for weight, bias in zip(weights.weights, weights.biases, strict=True):
        pattern = activation.arrangement.pattern(t)
        derivatives = activation.derivatives(activation.arrangement.apply(t, pattern))
        y, slope = next(derivatives), next(derivatives)
        slopes.append(slope)
        patterns.append(pattern)
        t = torch.addmm(bias, weight, y)
    slopes[0] = weights.entry_scale * slopes[0]
    layers = list(zip(weights.weights, slopes, patterns, strict=True))[::-1]

    def pull(w: Tensor) -> Tensor:
        w = w.T
        for weight, slope, pattern in layers:
            w = activation.arrangement.transpose(torch.mm(weight.T, w).mul_(slope), pattern)
        return w.T

    return pull


def value_and_trace(x: Tensor, activation: ClosedForm, weights: FoldedWeights) -> tuple[Tensor, Tensor] | None:
    """g(x), (batch, d), and tr A, (batch,), of one hidden layer (`traces`); None of more."""
    if len(weights.weights) > 2:
        return None
    (inner, outer), (shift, last) = weights.weights, weights.biases
    y, at_x = value_and_slopes(activation, weights.entry_scale * x.T)
    y, at_h = value_and_slopes(activation, torch.addmm(shift, inner, y))
    return torch.addmm(last, outer, y).T, weights.entry_scale * trace(outer, at_h, inner, at_x)


def value_and_jacobian(x: Tensor, activation: ClosedForm, weights: FoldedWeights) -> tuple[Tensor, Tensor]:
    """g(x), (batch, d), and dg/dx, (batch, d, d); differentiable any number of times, but for beta."""
    t = weights.entry_scale * x.T.contiguous()
    if torch.is_grad_enabled():
        value, jacobian = Tangents.apply(RULE, activation, t, *weights.weights, *weights.biases)
    else:
        value, jacobian = forward(activation, t, weights)
    return value.T, (weights.entry_scale * jacobian).permute(2, 0, 1)


def forward(
    activation: ClosedForm, t: Tensor, weights: FoldedWeights, kept: list | None = None
) -> tuple[Tensor, Tensor]:
    """g, (d, batch), and dg/dt, (d, d, batch), for t = beta x, (d, batch). `kept` gets the tensors for `backward`.

    Tangents have shape (units, d, batch), or (units, d, 1) while they are the same at every point.
    """
    shape, layers = t.shape, list(zip(weights.weights, weights.biases, strict=True))
    if activation.is_elementwise:
        (weight, bias), *layers = layers
        derivatives = activation.derivatives(t)
        y, column_scales = next(derivatives), next(derivatives)
        if kept is not None:
            kept += [y, column_scales, next(derivatives)]
        t, tangents = torch.addmm(bias, weight, y), weight[:, :, None]
    else:
        tangents = torch.eye(len(t)).to(t)[:, :, None].expand(-1, *shape)
    for weight, bias in layers:
        pattern = activation.arrangement.pattern(t)
        derivatives = activation.derivatives(activation.arrangement.apply(t, pattern))
        tangents = activation.arrangement.apply(tangents, pattern)
        y, slope = next(derivatives), next(derivatives)
        if kept is not None:
            kept += [pattern, tangents, y, slope, next(derivatives)]
        t = torch.addmm(bias, weight, y)
        tangents = torch.mm(weight, (tangents * slope[:, None]).flatten(1)).view(len(t), *shape)
    if not activation.is_elementwise:
        return t, tangents
    if kept is not None:
        kept.append(tangents)
    return t, tangents * column_scales


def backward(
    activation: ClosedForm, kept: list, weights: Sequence[Tensor], d_value: Tensor, d_jacobian: Tensor
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """The gradients with respect to t, the W and the b of `forward`, in their shapes. `kept` is its list.

    `d_value`, (d, batch), and `d_jacobian`, (d, d, batch), are the gradients with respect to the outputs of `forward`.
    """
    d_weights, d_biases = [], []  # last layer first
    d_t, d_tangents = d_value, d_jacobian
    if activation.is_elementwise:
        *kept, last_tangents = kept
        d_column_scales, d_tangents = (d_jacobian * last_tangents).sum(0), d_jacobian * kept[1]
    while len(kept) >= 5:
        *kept, pattern, tangents, y, slope, curvature = kept
        u = tangents * slope[:, None]  # keeping it would fill the cache
        weight, d_tangents = weights[-1 - len(d_weights)], d_tangents.flatten(1)
        d_weights.append(torch.addmm(torch.mm(d_tangents, u.flatten(1).T), d_t, y.T))
        d_biases.append(d_t.sum(1, keepdim=True))
        d_y, d_u = torch.mm(weight.T, d_t), torch.mm(weight.T, d_tangents).view(u.shape)
        d_t = d_y.mul_(slope).addcmul_(_sum_of_products(tangents, d_u), curvature)
        d_t = activation.arrangement.transpose(d_t, pattern)
        d_tangents = activation.arrangement.transpose(d_u.mul_(slope[:, None]), pattern)
    if activation.is_elementwise:
        y, slope, curvature = kept
        d_weights.append(torch.addmm(d_tangents.sum(2), d_t, y.T))
        d_biases.append(d_t.sum(1, keepdim=True))
        d_t = torch.mm(weights[0].T, d_t).mul_(slope).addcmul_(curvature, d_column_scales)
    return d_t, d_weights[::-1], d_biases[::-1]


class Rule(NamedTuple):
    """A value with tangents, and its gradient by hand, as functions of folded weights."""

    weights: Callable[..., Any]  # matrices and shifts of all layers -> what the others take
    forward: Callable[..., tuple[Tensor, Tensor]]  # activation, points, weights[, kept] -> value, Jacobian
    backward: Callable[..., tuple[Tensor, list[Tensor], list[Tensor]]]  # activation, kept, matrices and two gradients


class Tangents(torch.autograd.Function):
    """`apply(rule, activation, points, *matrices, *shifts)`: value and Jacobian, differentiable any number of times."""

    @staticmethod
    def forward(ctx, rule, activation, t, *weights_and_biases):
        n, kept = len(weights_and_biases) // 2, []
        outputs = rule.forward(activation, t, rule.weights(weights_and_biases[:n], weights_and_biases[n:]), kept)
        ctx.rule, ctx.activation, ctx.n = rule, activation, n
        ctx.save_for_backward(t, *weights_and_biases, *kept)
        return outputs

    @staticmethod
    def backward(ctx, d_value, d_jacobian):
        if second_order.wanted_again():
            inputs, plain = ctx.saved_tensors[: 1 + 2 * ctx.n], partial(_plainly, ctx.rule, ctx.activation, ctx.n)
            return None, None, *second_order.gradients(plain, inputs, (d_value, d_jacobian))
        weights, kept = ctx.saved_tensors[1 : 1 + ctx.n], list(ctx.saved_tensors[1 + 2 * ctx.n :])
        d_t, d_weights, d_biases = ctx.rule.backward(ctx.activation, kept, weights, d_value, d_jacobian)
        return None, None, d_t, *d_weights, *d_biases


def _plainly(rule, activation, n, t, *weights_and_biases):
    return rule.forward(activation, t, rule.weights(weights_and_biases[:n], weights_and_biases[n:]))


def _beyond_entry(weights, biases):
    """Of the layers alone: `t` has the scale of the entry in it."""
    return FoldedWeights(None, weights, biases)


RULE = Rule(_beyond_entry, forward, backward)


def _sum_of_products(a: Tensor, b: Tensor) -> Tensor:
    """(a * b).sum(1) without storing the product, which does not fit into the cache."""
    first, *others = zip(a.unbind(1), b.unbind(1), strict=True)
    total = torch.mul(*first)
    for pair in others:
        total.addcmul_(*pair)
    return total
