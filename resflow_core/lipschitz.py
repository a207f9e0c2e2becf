"""Linear maps with a certified Lipschitz bound in the 2-norm, kept by the layer itself whatever an optimiser does."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from resflow_core.spectral_norm import SLACK, top_singular_triples


class _Capped(torch.autograd.Function):
    """W = c / ||W||_2 W where ||W||_2 > c, by hand because every layer takes it at every step.

    With r = c / ||W||_2 and ||W||_2 = u'Wv, backward: dW = r (dY - <dY, W> / ||W||_2 uv').
    """

    @staticmethod
    def forward(ctx, weights, cap):
        s, u, v = (part.to(weights) for part in top_singular_triples(weights))
        scale = (cap * (1 - SLACK) / (1 + SLACK) / s).clamp(max=1)
        ctx.save_for_backward(weights, scale, s, u, v)
        return weights * scale

    @staticmethod
    @once_differentiable
    def backward(ctx, d_capped):
        weights, scale, s, u, v = ctx.saved_tensors
        radial = (d_capped * weights).sum((1, 2), keepdim=True) / s
        radial = torch.where(scale < 1, radial, 0.0)
        return scale * torch.baddbmm(d_capped, radial * u, v.mT, alpha=-1), None


class LipschitzLinear(nn.Module):
    """x -> W x + b with ||W||_2 <= cap: W = raw * min(1, cap / ||raw||_2), whatever `raw` has become.

    The cap is part of what W is, so no training loop has to restore it. Weights are drawn from `generator`, uniform
    within +-1/sqrt(in_features).
    """

    def __init__(self, in_features: int, out_features: int, cap: float, generator: torch.Generator):
        super().__init__()
        self.cap = cap
        bound = in_features**-0.5
        self.raw = nn.Parameter(torch.empty(out_features, in_features).uniform_(-bound, bound, generator=generator))
        self.bias = nn.Parameter(torch.empty(out_features).uniform_(-bound, bound, generator=generator))
        self._known: tuple[Tensor, Tensor] | None = None

    @property
    def weight(self) -> Tensor:
        """W, shape (out_features, in_features), with gradients to `raw` where they are enabled."""
        return capped_weights([self])[0]

    def forward(self, x: Tensor) -> Tensor:
        """W x + b for rows x, (batch, in_features) -> (batch, out_features)."""
        return F.linear(x, self.weight, self.bias)


def capped_weights(layers: Sequence[LipschitzLinear]) -> Tensor:
    """The W of layers of one shape and cap, (layers, out_features, in_features): all norms in one go."""
    first, raw = layers[0], torch.stack([layer.raw for layer in layers])
    if torch.is_grad_enabled():
        return _Capped.apply(raw, first.cap)
    # Pictures evaluate the same W on many chunks of points. Compared by value: fused optimisers and writes to `.data`
    # do not move the version counter of a tensor.
    if first._known is None or not _same(first._known[0], raw):
        first._known = (raw, _Capped.apply(raw, first.cap))
    return first._known[1]


def _same(a: Tensor, b: Tensor) -> bool:
    """`torch.equal` ignores the type, and raises an error for tensors of two devices."""
    return (a.dtype, a.device) == (b.dtype, b.device) and torch.equal(a, b)
