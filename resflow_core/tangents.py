"""The branch and its Jacobian with a backward pass by hand: what training spends its time in.

Points are columns here. A layer takes points t, (units, batch), and their tangents T_k, the columns of the Jacobian so
far (T_k = beta e_k at the start), to

    y = phi(t),   U_k = phi'(t) T_k,   t_next = W y + b,   T_k,next = W U_k.

With d(.) for the gradient of the loss with respect to (.), products by element and sums over the batch, going back

    dW = dt_next y' + sum_k dT_k,next U_k',   db = dt_next,   dy = W' dt_next,   dU_k = W' dT_k,next,
    dT_k = phi'(t) dU_k,   dt = phi'(t) dy + phi''(t) sum_k T_k dU_k.

An activation that arranges its units does so first, with t and T_k alike. One that does not has, after the first layer,
T_k = beta phi'(beta x_k) w_k with w_k the k-th column of W_1. The number beta phi'(beta x_k) is left to the end, where
it multiplies the k-th column of the Jacobian; until then the tangents start as the w_k, the same at every point.
`Branch.plain_value_and_jacobian` is all of this by automatic differentiation.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from resflow_core.activations import Activation


class Weights(NamedTuple):
    """Of g(x) = W_n raw(... W_1 raw(beta x) + b_1 ...) + b_n for points x as columns.

    beta is a number, `entry_scale`; W has shape (out, in), b (out, 1).
    """

    entry_scale: Tensor
    weights: Sequence[Tensor]
    biases: Sequence[Tensor]


def value(x: Tensor, activation: Activation, weights: Weights) -> Tensor:
    """g(x), (batch, d); differentiable any number of times."""
    t = weights.entry_scale * x.T
    for weight, bias in zip(weights.weights, weights.biases, strict=True):
        t = torch.addmm(bias, weight, activation.raw(t))
    return t.T


def value_and_jacobian(x: Tensor, activation: Activation, weights: Weights) -> tuple[Tensor, Tensor]:
    """g(x), (batch, d), and dg/dx, (batch, d, d); once differentiable in every tensor: gradients are constants."""
    if torch.is_grad_enabled():
        return _Tangents.apply(activation, x, weights.entry_scale, *weights.weights, *weights.biases)
    value, tangents, column_scales = _forward(activation, x.T.contiguous(), weights)
    return value.T, _jacobian(tangents, column_scales)


def _forward(activation: Activation, x: Tensor, weights: Weights, kept: list | None = None):
    """g(x) for x, (d, batch), the last tangents, (d, d, batch), and what their columns are yet to be multiplied by.

    Tangents have shape (units, d, batch), or (units, d, 1) while they are the same at every point. What the backward
    pass needs is added to `kept`.
    """
    layers = list(zip(weights.weights, weights.biases, strict=True))
    t, column_scales = weights.entry_scale * x, None
    if activation.is_elementwise:
        (weight, bias), *layers = layers
        derivatives = activation.derivatives(t)
        y, slope = next(derivatives), next(derivatives)
        if kept is not None:
            kept += [y, slope, next(derivatives)]
        column_scales = weights.entry_scale * slope
        t, tangents = torch.addmm(bias, weight, y), weight[:, :, None]
    else:
        tangents = (weights.entry_scale * torch.eye(len(x)).to(x))[:, :, None].expand(-1, *x.shape)
    for weight, bias in layers:
        pattern = activation.arrangement.pattern(t)
        derivatives = activation.derivatives(activation.arrangement.apply(t, pattern))
        tangents = activation.arrangement.apply(tangents, pattern)
        y, slope = next(derivatives), next(derivatives)
        if kept is not None:
            kept += [pattern, tangents, y, slope, next(derivatives)]
        t = torch.addmm(bias, weight, y)
        tangents = (weight @ (tangents * slope[:, None]).flatten(1)).view(len(t), *x.shape)
    return t, tangents, column_scales


def _jacobian(tangents: Tensor, column_scales: Tensor | None) -> Tensor:
    return (tangents if column_scales is None else tangents * column_scales).permute(2, 0, 1)


class _Tangents(torch.autograd.Function):
    @staticmethod
    def forward(ctx, activation, x, entry_scale, *weights_and_biases):
        n, x, kept = len(weights_and_biases) // 2, x.T.contiguous(), []
        weights = Weights(entry_scale, weights_and_biases[:n], weights_and_biases[n:])
        value, tangents, column_scales = _forward(activation, x, weights, kept)
        ctx.activation, ctx.n = activation, n
        ctx.save_for_backward(x, entry_scale, tangents, column_scales, *weights.weights, *kept)
        return value.T, _jacobian(tangents, column_scales)

    @staticmethod
    @once_differentiable
    def backward(ctx, d_value, d_jacobian):
        x, entry_scale, last_tangents, column_scales, *saved = ctx.saved_tensors
        weights, kept = saved[: ctx.n], saved[ctx.n :]
        d_weights, d_biases = [], []  # last layer first
        d_t, d_jacobian = d_value.T, d_jacobian.permute(1, 2, 0)
        d_tangents = d_jacobian if column_scales is None else d_jacobian * column_scales
        while len(kept) >= 5:
            *kept, pattern, tangents, y, slope, curvature = kept
            u = tangents * slope[:, None]  # to keep it would fill the cache
            weight, d_tangents = weights[-1 - len(d_weights)], d_tangents.flatten(1)
            d_weights.append(torch.addmm(d_tangents @ u.flatten(1).T, d_t, y.T))
            d_biases.append(d_t.sum(1, keepdim=True))
            d_y, d_u = weight.T @ d_t, (weight.T @ d_tangents).view(u.shape)
            d_t = d_y.mul_(slope).addcmul_(_sum_of_products(tangents, d_u), curvature)
            d_t = ctx.activation.arrangement.transpose(d_t, pattern)
            d_tangents = ctx.activation.arrangement.transpose(d_u.mul_(slope[:, None]), pattern)
        if column_scales is None:
            d_entry_scale = (x * d_t).sum() + d_tangents.sum(2).trace()
        else:
            y, slope, curvature = kept
            d_weights.append(torch.addmm(d_tangents.sum(2), d_t, y.T))
            d_biases.append(d_t.sum(1, keepdim=True))
            d_column_scales = (d_jacobian * last_tangents).sum(0)
            d_t = slope * (weights[0].T @ d_t) + curvature * (entry_scale * d_column_scales)
            d_entry_scale = (x * d_t + slope * d_column_scales).sum()
        return None, (entry_scale * d_t).T, d_entry_scale, *d_weights[::-1], *d_biases[::-1]


def _sum_of_products(a: Tensor, b: Tensor) -> Tensor:
    """(a * b).sum(1) without the product, which would leave the cache."""
    first, *others = zip(a.unbind(1), b.unbind(1), strict=True)
    total = torch.mul(*first)
    for pair in others:
        total.addcmul_(*pair)
    return total
