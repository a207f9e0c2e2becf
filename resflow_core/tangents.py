"""The branch and its Jacobian with a backward pass by hand: what training spends its time in.

A layer takes points t and their tangents T_k, the columns of the Jacobian so far (T_k = beta e_k at the start), to

    y = phi(t),   U_k = phi'(t) T_k,   t_next = W y + b,   T_k,next = W U_k.

With d(.) for the gradient of the loss with respect to (.), products by element and sums over the batch, going back

    dW = dt_next y' + sum_k dT_k,next U_k',   db = dt_next,   dy = W' dt_next,   dU_k = W' dT_k,next,
    dT_k = phi'(t) dU_k,   dt = phi'(t) dy + phi''(t) sum_k T_k dU_k.

An activation that arranges its units first does so with t and T_k alike. Values and tangents travel as one stack of
shape (1 + d, batch, width), so that a layer is one matrix product. `Branch.plain_value_and_jacobian` is the same by
automatic differentiation.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from resflow_core.activations import Activation


def value_and_jacobian(
    x: Tensor, activation: Activation, entry_scale: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """g(x), (batch, d), and dg/dx, (batch, d, d), of g(x) = W_n raw(... W_1 raw(beta x) + b_1 ...) + b_n.

    beta is `entry_scale`, a number; W has shape (out, in), b (out,). Once differentiable in every tensor: their
    gradients are constants.
    """
    return _Tangents.apply(activation, x, entry_scale, *weights, *biases)


class _Tangents(torch.autograd.Function):
    @staticmethod
    def forward(ctx, activation, x, entry_scale, *weights_and_biases):
        n = len(weights_and_biases) // 2
        weights, biases, kept = weights_and_biases[:n], weights_and_biases[n:], []
        batch, dim = x.shape
        directions = torch.eye(dim, dtype=x.dtype, device=x.device)[:, None].expand(-1, batch, -1)
        stack = entry_scale * torch.cat([x[None], directions])
        for weight, bias in zip(weights, biases, strict=True):
            pattern = activation.arrangement.pattern(stack[0])
            stack = activation.arrangement.apply(stack, pattern)
            value, slope, curvature = activation.derivatives(stack[0])
            activated = torch.empty_like(stack)
            activated[0] = value
            torch.mul(stack[1:], slope, out=activated[1:])
            kept += [pattern, stack[1:], activated, slope, curvature]
            stack = F.linear(activated, weight)
            stack[0].add_(bias)
        ctx.activation, ctx.n = activation, n
        ctx.save_for_backward(x, entry_scale, *weights, *kept)
        return stack[0], stack[1:].permute(1, 2, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx, d_value, d_jacobian):
        x, entry_scale, *saved = ctx.saved_tensors
        weights, kept = saved[: ctx.n], saved[ctx.n :]
        d_weights, d_biases = [None] * ctx.n, [None] * ctx.n
        d_stack = torch.cat([d_value[None], d_jacobian.permute(2, 0, 1)])
        for i in reversed(range(ctx.n)):
            pattern, tangents, activated, slope, curvature = kept[5 * i : 5 * i + 5]
            d_weights[i] = _outer_products(d_stack.flatten(0, 1), activated.flatten(0, 1))
            d_biases[i] = d_stack[0].sum(0)
            # BLAS takes a narrow right-hand factor several times faster when it is the transpose of a contiguous one.
            d_stack = F.linear(d_stack, weights[i].T.contiguous())  # now (dy, dU_k), and then (dt, dT_k) in place
            d_slope = _sum_of_products(tangents, d_stack[1:])
            d_stack *= slope
            d_stack[0].addcmul_(d_slope, curvature)
            d_stack = ctx.activation.arrangement.transpose(d_stack, pattern)
        d_entry_scale = (x * d_stack[0]).sum() + d_stack[1:].sum(1).trace()
        return None, entry_scale * d_stack[0], d_entry_scale, *d_weights, *d_biases


def _outer_products(left: Tensor, right: Tensor) -> Tensor:
    """left' right for (rows, m) and (rows, n). BLAS is eight times faster with the narrow factor on the left."""
    return left.T @ right if left.shape[1] <= right.shape[1] else (right.T @ left).T


def _sum_of_products(a: Tensor, b: Tensor) -> Tensor:
    """sum_k a_k b_k for (d, batch, width): without the (d, batch, width) product, which would leave the cache."""
    total = a[0] * b[0]
    for left, right in zip(a[1:], b[1:], strict=True):
        total.addcmul_(left, right)
    return total
