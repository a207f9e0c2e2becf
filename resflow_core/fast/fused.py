"""All blocks of a flow with their Jacobians as one function of autograd, with its backward pass by hand.

It takes branches with one hidden layer and an element-wise activation, as the app's flows have them.

It finds the same as `FlowMap.forward_and_jacobians` by itself. In small flows autograd's steps, some thirty small ones
for each block, take two thirds as long again as the computation, so a step without kernels takes 1.5 times as long
(`tests.benchmarks.trained`). Here the work on the Jacobians and the weights is done for all blocks at once.

With points as columns, y = s x + m, t = beta y, u = raw(t), h = W_1 u + b_1, v = raw(h), and the products
P[ij, k] = W_2[i, k] W_1[k, j], a block has

    g = W_2 v + b_2,   A = (P raw'(h)) diag(beta raw'(t)).

Let d(.) be the gradient of a loss with respect to (.). That with respect to the slopes comes from dA alone, so it is
known for all blocks before the way back begins, and autograd takes the curvatures from the slopes. Then, last block
first, with dg the gradient with respect to where the block ends,

    dh = raw'(h) W_2' dg + raw''(h) draw'(h),   dt = raw'(t) W_1' dh + raw''(t) draw'(t),   dy = dg + beta dt.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from resflow_core.activations import ValueAndSlope
from resflow_core.flow import FUSED, FlowMap
from resflow_core.residual import Sequential, products_of


def forward_and_jacobians(f: FlowMap, x: Tensor) -> tuple[Tensor, Tensor] | None:
    """As `FlowMap.forward_and_jacobians`, with gradients; None for a map that it does not know, and in torch.func."""
    network = f.network
    if not isinstance(network, Sequential) or len(network.weights) != 2 or not network.activation.is_elementwise:
        return None
    if not torch.is_grad_enabled() or torch._C._are_functorch_transforms_active():
        return None
    z, jacobians = _Fused.apply(f, x, *f.tensors)
    return z, jacobians


FUSED.append(forward_and_jacobians)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, f: FlowMap, x: Tensor, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        network: Any = f.network
        kept, columns, tangents = list[_Kept](), x.T.contiguous(), list[Tensor]()
        near = _near(network.activation.function)
        products = products_of(*network.weights).unbind()
        for k, g in enumerate(f.networks):
            (inner, outer), (bias, last) = g.weights, g.biases  # type: ignore[misc]
            y = torch.addcmul(f.shifts[k], f.scales[k], columns)
            at_t = near(g.entry_scale * y)  # type: ignore[attr-defined]
            at_h = near(torch.addmm(bias, inner, at_t.value))
            kept.append(_Kept(columns, y, at_t, at_h))
            tangents.append(products[k] @ at_h.slope)
            columns = y + torch.addmm(last, outer, at_h.value)
        z, d = torch.addcmul(f.shifts[-1], f.scales[-1], columns), len(columns)
        all_tangents = torch.stack(tangents, 1).view(d, d, len(kept), -1)
        factors = network.entry_scale[:, None] * torch.stack([one.at_t.slope for one in kept], 1)
        ctx.f, ctx.kept = f, (kept, columns, all_tangents, factors)
        ctx.save_for_backward(x, *tensors)
        return z.T, (all_tangents * factors).permute(2, 3, 0, 1)

    @staticmethod
    def backward(ctx: Any, d_z: Tensor, d_jacobians: Tensor) -> Any:
        f: FlowMap = ctx.f
        if torch.is_grad_enabled():
            return None, *by_autograd(f, FlowMap.jacobians_by_autograd, ctx.saved_tensors, (d_z, d_jacobians))
        kept, last_columns, tangents, factors = ctx.kept
        network: Any = f.network
        (inner, outer), (bias, _), beta = network.weights, network.biases, network.entry_scale
        d_a, d_z = d_jacobians.permute(2, 3, 0, 1), d_z.T
        d_factors = (d_a * tangents).sum(0)  # (d, n, batch)
        d_tangents = (d_a * factors).flatten(0, 1).unbind(1)
        d_slopes = (beta[:, None] * d_factors).unbind(1)
        products, inners, outers = products_of(inner, outer), inner.mT.unbind(), outer.mT.unbind()
        into, found, d_end = products.mT.unbind(), list[_Gradients](), f.scales[-1] * d_z
        for k, one in reversed([*enumerate(kept)]):
            d_h = torch.addcmul(one.at_h.bent(into[k] @ d_tangents[k]), one.at_h.slope, outers[k] @ d_end)
            d_t = torch.addcmul(one.at_t.bent(d_slopes[k]), one.at_t.slope, inners[k] @ d_h)
            d_y = torch.addcmul(d_end, beta[k], d_t)
            d_weights = d_tangents[k] @ one.at_h.slope.T, d_h @ one.at_t.value.T, d_end @ one.at_h.value.T
            found.append(_Gradients(d_end, d_y, d_t, *d_weights, d_h.sum_to_size(bias.shape[1:])))
            d_end = f.scales[k] * d_y
        d_ends, d_ys, d_ts, d_products, d_inner, d_outer, d_bias = zip(*reversed(found), strict=True)
        d_products = torch.stack(d_products).unflatten(1, (len(d_z), len(d_z)))  # (n, d, d, units)
        d_inner = torch.stack(d_inner) + (d_products * outer[:, :, None]).sum(1).mT
        d_outer = torch.stack(d_outer) + (d_products * inner.mT[:, None]).sum(2)
        d_beta = (torch.stack(d_ts) * torch.stack([one.y for one in kept])).sum((1, 2))
        d_beta += (d_factors * torch.stack([one.at_t.slope for one in kept], 1)).sum((0, 2))
        d_shifts = torch.stack([*d_ys, d_z])
        d_scales = d_shifts * torch.stack([*(one.columns for one in kept), last_columns])
        d_last = torch.stack(d_ends).sum_to_size(network.biases[1].shape)
        d_affine = *_as(f.scales, d_scales), *_as(f.shifts, d_shifts)
        return None, d_end.T, *d_affine, None, d_beta, d_inner, d_outer, torch.stack(d_bias), d_last


def _as(parameters: Sequence[Tensor], gradients: Tensor) -> list[Tensor]:
    """The gradients, (n, d, batch), in the shapes of these parameters: sums over the batch, unless they differ from
    point to point."""
    sums = gradients.sum(2, keepdim=True)
    pairs = zip(parameters, sums.unbind(), gradients.unbind(), strict=True)
    return [total if parameter.shape[1] == 1 else each for parameter, total, each in pairs]


class _Bent(NamedTuple):
    """raw at pre-activations, its slope there, and `bent(d)`: raw'' times d."""

    value: Tensor
    slope: Tensor
    bent: Callable[[Tensor], Tensor]


class _Kept(NamedTuple):
    """Of a block, for the way back: x and y, (d, batch), and the activation at t and at h."""

    columns: Tensor
    y: Tensor
    at_t: _Bent
    at_h: _Bent


class _Gradients(NamedTuple):
    """With respect to what a block has."""

    end: Tensor
    y: Tensor
    t: Tensor
    products: Tensor
    inner: Tensor
    outer: Tensor
    bias: Tensor


def _near(function: ValueAndSlope) -> Callable[[Tensor], _Bent]:
    """A function near pre-activations, with the curvature that it yields, or autograd's."""

    def known(t: Tensor) -> _Bent:
        value, slope, curvature = function(t)
        return _Bent(value, slope, curvature.mul)

    def differentiated(t: Tensor) -> _Bent:
        with torch.enable_grad():
            t = t.detach().requires_grad_()
            value, slope = function(t)
        if not slope.requires_grad:
            return _Bent(value.detach(), slope, torch.zeros_like)
        return _Bent(value.detach(), slope.detach(), lambda d: torch.autograd.grad(slope, t, d, retain_graph=True)[0])

    return known if len(list(function(torch.zeros(1)))) > 2 else differentiated


def by_autograd(f: FlowMap, function: Any, inputs: Sequence[Tensor], d_outputs: Sequence[Tensor]) -> list[Any]:
    """The gradients of `function(map, x)` in x and the `tensors` of f, which are its `inputs`, with their graph: for a
    gradient by hand that is differentiated in its turn."""
    # A view of each: an input may be computed from another one, and partial derivatives are wanted.
    x, *tensors = views = [tensor.view_as(tensor) for tensor in inputs]
    outputs = function(f.at(tensors), x)
    wanted = [view for view in views if view.requires_grad]
    found = iter(torch.autograd.grad(outputs, wanted, d_outputs, create_graph=True, materialize_grads=True))
    return [next(found) if view.requires_grad else None for view in views]
