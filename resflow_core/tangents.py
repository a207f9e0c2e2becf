"""The branch and its Jacobian with a backward pass by hand: what training spends its time in.

Points are columns here. A layer takes points t, (units, batch), and their tangents T_k, the columns of the Jacobian so
far (T_k = beta e_k at the start), to

    y = phi(t),   U_k = phi'(t) T_k,   t_next = W y + b,   T_k,next = W U_k.

With d(.) for the gradient of the loss with respect to (.), products by element and sums over the batch, going back

    dW = dt_next y' + sum_k dT_k,next U_k',   db = dt_next,   dy = W' dt_next,   dU_k = W' dT_k,next,
    dT_k = phi'(t) dU_k,   dt = phi'(t) dy + phi''(t) sum_k T_k dU_k.

An activation that arranges its units does so first, with t and T_k alike. One that does not has, after the first layer,
T_k = beta phi'(beta x_k) w_k with w_k the k-th column of W_1. The number beta phi'(beta x_k) may wait for the end; what
is left is the same for every point, so the second layer's tangents are

    T_k = W_2 diag(w_k) phi'(t):

one product of the slopes with the weights W_2 diag(w_k), which are small, and no U_k. `Branch.plain_value_and_jacobian`
is the same by automatic differentiation.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from resflow_core.activations import Activation


class Weights(NamedTuple):
    """Of g(x) = W_n raw(... W_1 raw(beta x) + b_1 ...) + b_n for points x as columns.

    beta is a number, W has shape (out, in), b (out, 1). `shared_tangents` are the W_2 diag(w_k), one below the other,
    (d * out, in), where the activation is element-wise, else None.
    """

    entry_scale: Tensor
    weights: Sequence[Tensor]
    biases: Sequence[Tensor]
    shared_tangents: Tensor | None


def value_and_jacobian(x: Tensor, activation: Activation, weights: Weights) -> tuple[Tensor, Tensor]:
    """g(x), (batch, d), and dg/dx, (batch, d, d); once differentiable in every tensor: gradients are constants."""
    entry_scale, matrices, biases, shared_tangents = weights
    return _Tangents.apply(activation, x, entry_scale, shared_tangents, *matrices, *biases)


class _Tangents(torch.autograd.Function):
    @staticmethod
    def forward(ctx, activation, x, entry_scale, shared_tangents, *weights_and_biases):
        n = len(weights_and_biases) // 2
        layers = list(zip(weights_and_biases[:n], weights_and_biases[n:], strict=True))
        x = x.T.contiguous()
        t, kept = entry_scale * x, []
        if shared_tangents is None:
            first = 0
            tangents = (entry_scale * torch.eye(len(x)).to(x)[:, :, None]).expand(-1, -1, x.shape[1])
            columns = x.new_ones(1, 1)
        else:
            first = 2
            y, slope, curvature = activation.derivatives(t)
            kept += [y, slope, curvature]
            columns = entry_scale * slope
            t = torch.addmm(layers[0][1], layers[0][0], y)
            y, slope, curvature = activation.derivatives(t)
            kept += [y, slope, curvature]
            t = torch.addmm(layers[1][1], layers[1][0], y)
            tangents = (shared_tangents @ slope).view(len(x), *t.shape)
        for weight, bias in layers[first:]:
            pattern = activation.arrangement.pattern(t)
            y, slope, curvature = activation.derivatives(activation.arrangement.apply(t, pattern))
            tangents = activation.arrangement.apply(tangents, pattern)
            u = tangents * slope
            kept += [pattern, tangents, y, u, slope, curvature]
            t = torch.addmm(bias, weight, y)
            tangents = _times_each(weight, u)
        ctx.activation, ctx.n, ctx.first = activation, n, first
        ctx.save_for_backward(x, entry_scale, columns, shared_tangents, tangents, *weights_and_biases[:n], *kept)
        return t.T, (tangents * columns[:, None]).permute(2, 1, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx, d_value, d_jacobian):
        x, entry_scale, columns, shared_tangents, last_tangents, *saved = ctx.saved_tensors
        weights, kept = saved[: ctx.n], saved[ctx.n :]
        d_weights, d_biases = [None] * ctx.n, [None] * ctx.n
        d_t, d_jacobian = d_value.T, d_jacobian.permute(2, 1, 0)
        d_columns = _sum_of_products(d_jacobian, last_tangents, 1)
        d_tangents = d_jacobian * columns[:, None]
        for i in reversed(range(ctx.first, ctx.n)):
            weight, (pattern, tangents, y, u, slope, curvature) = weights[i], kept[-6:]
            del kept[-6:]
            d_weights[i] = torch.bmm(d_tangents, u.transpose(1, 2)).sum(0).addmm_(d_t, y.T)
            d_biases[i] = d_t.sum(1, keepdim=True)
            d_t, d_u = weight.T @ d_t, _times_each(weight.T, d_tangents)
            d_slope = _sum_of_products(tangents, d_u, 0)
            d_t.mul_(slope).addcmul_(d_slope, curvature)
            d_t = ctx.activation.arrangement.transpose(d_t, pattern)
            d_tangents = ctx.activation.arrangement.transpose(d_u.mul_(slope), pattern)
        if shared_tangents is None:
            d_entry_scale = (x * d_t).sum() + d_tangents.sum(2).trace()
            return None, (entry_scale * d_t).T, d_entry_scale, None, *d_weights, *d_biases
        entry_y, entry_slope, entry_curvature, y, slope, curvature = kept
        d_tangents = d_tangents.reshape(len(shared_tangents), -1)
        d_shared_tangents = d_tangents @ slope.T
        d_weights[1], d_biases[1] = d_t @ y.T, d_t.sum(1, keepdim=True)
        d_t = (weights[1].T @ d_t).mul_(slope).addcmul_(shared_tangents.T @ d_tangents, curvature)
        d_weights[0], d_biases[0] = d_t @ entry_y.T, d_t.sum(1, keepdim=True)
        d_t = entry_slope * (weights[0].T @ d_t) + entry_scale * entry_curvature * d_columns
        d_entry_scale = (x * d_t + entry_slope * d_columns).sum()
        return None, (entry_scale * d_t).T, d_entry_scale, d_shared_tangents, *d_weights, *d_biases


def _times_each(weight: Tensor, tangents: Tensor) -> Tensor:
    """W T_k for every k, (d, out, batch). `matmul` would move all tangents into one matrix first."""
    return torch.bmm(weight.expand(len(tangents), -1, -1), tangents)


def _sum_of_products(a: Tensor, b: Tensor, dim: int) -> Tensor:
    """(a * b).sum(dim) without the product, which would leave the cache."""
    first, *others = zip(a.unbind(dim), b.unbind(dim), strict=True)
    total = torch.mul(*first)
    for pair in others:
        total.addcmul_(*pair)
    return total
