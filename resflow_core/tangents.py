"""The branch and its Jacobian with a backward pass by hand: what training spends its time in.

A layer takes points z and their tangents T_k, the columns of the Jacobian so far (T_k = e_k at the start), to

    y = phi(beta z) / beta,   U_k = phi'(beta z) T_k,   z_next = W y + b,   T_k,next = W U_k.

With d(.) for the gradient of the loss with respect to (.), products by element and sums over the batch, going back

    dW = dz_next y' + sum_k dT_k,next U_k',   db = dz_next,   dy = W' dz_next,   dU_k = W' dT_k,next,
    dT_k = phi'(beta z) dU_k,
    dz = phi'(beta z) dy + beta phi''(beta z) sum_k T_k dU_k,
    dbeta = (<z, dz> - <y, dy>) / beta,

the last because beta and z enter as beta z but for the factor 1 / beta of y. Values and tangents travel as one stack of
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
    x: Tensor, activation: Activation, scales: Tensor | None, weights: Sequence[Tensor], biases: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """g(x), (batch, d), and dg/dx, (batch, d, d); once differentiable in every tensor: their gradients are constants.

    scales holds every layer's beta, (layers,), or is None where all are 1; W has shape (out, in), b (out,).
    """
    return _Tangents.apply(activation, x, scales, *weights, *biases)


def _activated(stack: Tensor, value: Tensor, slope: Tensor, beta: float) -> Tensor:
    """(y, U_k) of (z, T_k)."""
    out = torch.empty_like(stack)
    torch.div(value, beta, out=out[0])
    torch.mul(stack[1:], slope, out=out[1:])
    return out


class _Tangents(torch.autograd.Function):
    @staticmethod
    def forward(ctx, activation, x, scales, *weights_and_biases):
        n = len(weights_and_biases) // 2
        weights, biases, kept = weights_and_biases[:n], weights_and_biases[n:], []
        ctx.activation, ctx.betas = activation, _betas(scales, n)
        batch, dim = x.shape
        stack = torch.cat([x[None], torch.eye(dim, dtype=x.dtype, device=x.device)[:, None].expand(-1, batch, -1)])
        for beta, weight, bias in zip(ctx.betas, weights, biases, strict=True):
            value, slope = activation.value_and_slope(beta * stack[0])
            kept += [stack, value, slope]
            stack = F.linear(_activated(stack, value, slope, beta), weight)
            stack[0].add_(bias)
        ctx.save_for_backward(*weights, *kept)
        return stack[0], stack[1:].permute(1, 2, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx, d_value, d_jacobian):
        n = len(ctx.betas)
        weights, kept = ctx.saved_tensors[:n], ctx.saved_tensors[n:]
        d_scales, d_weights, d_biases = [None] * n, [None] * n, [None] * n
        d_stack = torch.cat([d_value[None], d_jacobian.permute(2, 0, 1)])
        for i in reversed(range(n)):
            beta, (stack, value, slope) = ctx.betas[i], kept[3 * i : 3 * i + 3]
            activated = _activated(stack, value, slope, beta)
            d_weights[i] = _outer_products(d_stack.flatten(0, 1), activated.flatten(0, 1))
            d_biases[i] = d_stack[0].sum(0)
            # BLAS takes a narrow right-hand factor several times faster when it is the transpose of a contiguous one.
            d_stack = F.linear(d_stack, weights[i].T.contiguous())  # now (dy, dU_k), and then (dz, dT_k) in place
            y_dy = _dot(value, d_stack[0]) / beta
            along = _sum_of_products(stack[1:], d_stack[1:])
            d_stack *= slope
            d_stack[0].addcmul_(along, ctx.activation.curvature(beta * stack[0], value, slope), value=beta)
            d_scales[i] = (_dot(stack[0], d_stack[0]) - y_dy) / beta
        return None, d_stack[0], torch.stack(d_scales) if ctx.needs_input_grad[2] else None, *d_weights, *d_biases


def _betas(scales: Tensor | None, n_layers: int) -> list[float]:
    return [1.0] * n_layers if scales is None else scales.tolist()


def _outer_products(left: Tensor, right: Tensor) -> Tensor:
    """left' right for (rows, m) and (rows, n). BLAS is eight times faster with the narrow factor on the left."""
    return left.T @ right if left.shape[1] <= right.shape[1] else (right.T @ left).T


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return torch.dot(a.flatten(), b.flatten())


def _sum_of_products(a: Tensor, b: Tensor) -> Tensor:
    """sum_k a_k b_k for (d, batch, width): without the (d, batch, width) product, which would leave the cache."""
    total = a[0] * b[0]
    for left, right in zip(a[1:], b[1:], strict=True):
        total.addcmul_(left, right)
    return total
