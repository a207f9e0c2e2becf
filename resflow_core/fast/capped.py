"""W = cap / ||W||_2 W with its gradient by hand, because every layer computes it in every step."""

from functools import partial

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from resflow_core.lipschitz import MOST_GROWTH, Constraint, Norm, Soft, SpectralNorm
from resflow_core.norms.constraints import Hard
from resflow_core.spectral_norm import SLACK, top_singular_triples


def _triples_if_finite(weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`top_singular_triples`, with s = NaN for matrices that are not finite. They have no eigenvectors."""
    finite = weights.detach().isfinite().flatten(1).all(1)[:, None, None]
    s, u, v = top_singular_triples(torch.where(finite, weights, 0.0))
    return torch.where(finite, s, torch.nan), u, v


class _CappedIn2Norm(torch.autograd.Function):
    """Y = c / ||W||_2 W if ||W||_2 > c, or in any case with `exactly`; W is (layers, out, in).

    With r = c / ||W||_2 and ||W||_2 = u'Wv, the gradient is dW = r (dY - <dY, W> / ||W||_2 uv').
    """

    @staticmethod
    def forward(ctx, weights, cap, exactly):
        s, u, v = (part.to(weights) for part in _triples_if_finite(weights))
        scale = torch.where(s == 0, 1.0, cap * (1 - SLACK) / (1 + SLACK) / s)
        scale = scale.clamp(max=MOST_GROWTH if exactly else 1)
        ctx.save_for_backward(weights, scale, s, u, v)
        ctx.exactly = exactly
        return weights * scale

    @staticmethod
    @once_differentiable
    def backward(ctx, d_capped):
        weights, scale, s, u, v = ctx.saved_tensors
        radial = (d_capped * weights).sum((1, 2), keepdim=True) / torch.where(s == 0, 1.0, s)
        if not ctx.exactly:
            radial = torch.where(scale < 1, radial, 0.0)
        return scale * torch.baddbmm(d_capped, radial * u, v.mT, alpha=-1), None, None


def _capped(raw: Tensor, cap: float, v: Tensor, exactly: bool) -> tuple[Tensor, Tensor]:
    return _CappedIn2Norm.apply(raw, cap, exactly), v


# For the 2-norm: how a constraint makes W, (raw, cap, v) -> (W, v).
BY_HAND = {Soft: partial(_capped, exactly=False), Hard: partial(_capped, exactly=True)}


def weights(constraint: Constraint, raw: Tensor, cap: float, norm: Norm, v: Tensor) -> tuple[Tensor, Tensor]:
    """`constraint.weights` for raw, (layers, out, in). The gradient is by hand for the 2-norm and keys of `BY_HAND`."""
    if isinstance(norm, SpectralNorm) and type(constraint) in BY_HAND:
        return BY_HAND[type(constraint)](raw, cap, v)
    return constraint.weights(raw, cap, norm, v)
