"""All blocks of a flow and their Jacobians in one function, with a backward pass by hand.

Point by point this is `resflow_core.fast.forward_mode`, block after block,

    y_i = s_i x_i + m_i,   x_{i+1} = y_i + g_i(y_i),   A_i = dg_i/dx at y_i,

where s_i, m_i are ActNorm's scale and shift. In small flows each function known to autograd costs as much as what it
computes; here a whole flow is one, and what the blocks have in common is done for all of them at once.
"""

from collections.abc import Sequence
from itertools import chain, islice

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from resflow_core.activations import Activation
from resflow_core.fast import forward_mode
from resflow_core.fast.forward_mode import Weights

# Without gradients nothing is kept, and the tangents of so many numbers stay in the processor's cache.
CHUNK_NUMBERS = 2**18


def forward_and_jacobians(
    x: Tensor, activation: Activation, scales: Tensor, shifts: Tensor, weights: Weights
) -> tuple[Tensor, Tensor]:
    """z, (batch, d), and every A_i, (batch, n, d, d), of n blocks; once differentiable in every tensor.

    `scales` and `shifts` have shape (n + 1, d): one before each block and one after the last. `weights` are stacked.
    """
    scales, shifts = scales[:, :, None], shifts[:, :, None]
    if torch.is_grad_enabled():
        tensors = (scales, shifts, *weights.weights, *weights.biases)
        z, jacobians = _OnePass.apply(activation, x.T.contiguous(), weights.entry_scale, *tensors)
    else:
        size = max(1, CHUNK_NUMBERS // max(bias.numel() // len(bias) for bias in weights.biases) // x.shape[1])
        chunks = [_forward(activation, part.T.contiguous(), scales, shifts, weights) for part in x.split(size)]
        z, jacobians = (torch.cat(parts, -1) for parts in zip(*chunks, strict=True))
    return z.T, (jacobians * weights.entry_scale[:, None]).permute(3, 2, 0, 1)


def _forward(activation, x, scales, shifts, weights, kept: list[list] | None = None):
    """z, (d, batch), and dg_i/dt at t = beta_i y_i, (d, d, n, batch). What `backward` needs of every block, x and y
    first, and at last the x after them, is added to `kept`.
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


class _OnePass(torch.autograd.Function):
    @staticmethod
    def forward(ctx, activation, x, entry_scales, scales, shifts, *weights_and_biases):
        n_layers, kept = len(weights_and_biases) // 2, []
        weights = Weights(entry_scales, weights_and_biases[:n_layers], weights_and_biases[n_layers:])
        outputs = _forward(activation, x, scales, shifts, weights, kept)
        ctx.activation, ctx.n_layers, ctx.sizes = activation, n_layers, [len(part) for part in kept]
        ctx.save_for_backward(entry_scales, scales, *weights.weights, *chain.from_iterable(kept))
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx, d_z, d_jacobians):
        entry_scales, scales, *saved = ctx.saved_tensors
        weights = list(zip(*(weight.unbind() for weight in saved[: ctx.n_layers]), strict=True))
        saved = iter(saved[ctx.n_layers :])
        *kept, (last,) = ([*islice(saved, size)] for size in ctx.sizes)
        # Of every block: what its parts were given and the gradients of what they gave, last block first.
        arrivals, d_normed, entries, d_entries, d_layers = [last], [d_z], [], [], []
        d_y = scales[-1] * d_z
        for i in reversed(range(len(kept))):
            x, y, *of_branch = kept[i]
            d_t, d_weights, d_biases = forward_mode.backward(
                ctx.activation, of_branch, weights[i], d_y, d_jacobians[:, :, i]
            )
            d_y = torch.addcmul(d_y, entry_scales[i], d_t)
            for part, of_block in zip(
                (arrivals, d_normed, entries, d_entries, d_layers), (x, d_y, y, d_t, d_weights + d_biases), strict=True
            ):
                part.append(of_block)
            d_y = scales[i] * d_y
        d_normed, d_entries = _stacked(d_normed), _stacked(d_entries)
        d_scales, d_shifts = (d_normed * _stacked(arrivals)).sum(2, keepdim=True), d_normed.sum(2, keepdim=True)
        d_entry_scales = (d_entries * _stacked(entries)).sum((1, 2))
        return None, d_y, d_entry_scales, d_scales, d_shifts, *map(_stacked, zip(*d_layers, strict=True))


def _stacked(last_first: Sequence[Tensor]) -> Tensor:
    return torch.stack(last_first[::-1])
