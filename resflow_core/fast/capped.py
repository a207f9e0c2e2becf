"""W = cap / ||W||_2 W with its gradient by hand, because every layer computes it in every step."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.fast import second_order
from resflow_core.lipschitz import MOST_GROWTH, Constraint, Norm, Soft, SpectralNorm
from resflow_core.norms.constraints import Hard
from resflow_core.spectral_norm import CACHED_NUMBERS, SLACK, top_singular_triples


def _triples_if_finite(weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`top_singular_triples`, with s = NaN for matrices that are not finite. They have no eigenvectors."""
    finite = weights.detach().isfinite().flatten(1).all(1)[:, None, None]
    s, u, v = top_singular_triples(torch.where(finite, weights, 0.0))
    return torch.where(finite, s, torch.nan), u, v


class Kept(NamedTuple):
    """W, (layers, out, in), and its r, s, u and v, for the backward pass."""

    weights: Tensor
    scale: Tensor
    s: Tensor
    u: Tensor
    v: Tensor


Triples = tuple[Tensor, Tensor, Tensor]


def in_cache(weights: Tensor) -> tuple[Tensor, ...]:
    """As many matrices at a time as stay in the processor's cache while their norms are computed."""
    return weights.split(max(1, CACHED_NUMBERS // weights[0].numel()))


def triples_of(weights: Tensor, breathe: Breathe = without) -> Triples:
    """`top_singular_triples` of a few matrices at a time, with s = NaN for those that are not finite."""
    found: list[Triples] = []
    for some in in_cache(weights):
        if found:
            breathe()
        found.append(_triples_if_finite(some))
    if len(found) == 1:
        return found[0]
    s, u, v = map(torch.cat, zip(*found, strict=True))
    return s, u, v


def forward(weights: Tensor, cap: float, exactly: bool, triples: Triples | None = None) -> tuple[Tensor, Kept]:
    """Y = r W with r = c / ||W||_2 if ||W||_2 > c, or in any case with `exactly`; else Y = W. `triples` are those of
    W, where they are known."""
    s, u, v = (part.to(weights) for part in triples or triples_of(weights))
    scale = torch.where(s == 0, 1.0, cap * (1 - SLACK) / (1 + SLACK) / s)
    scale = scale.clamp(max=MOST_GROWTH if exactly else 1)
    return weights * scale, Kept(weights, scale, s, u, v)


def backward(kept: Kept, d_capped: Tensor, exactly: bool) -> Tensor:
    """With ||W||_2 = s = u'Wv, the gradient is dW = r (dY - <dY, W> / s uv'), without the last part where Y = W."""
    weights, scale, s, u, v = kept
    radial = (d_capped * weights).sum((1, 2), keepdim=True) / torch.where(s == 0, 1.0, s)
    if not exactly:
        radial = torch.where(scale < 1, radial, 0.0)
    return scale * torch.baddbmm(d_capped, radial * u, v.mT, alpha=-1)


class _CappedIn2Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weights, cap, exactly):
        capped, kept = forward(weights, cap, exactly)
        ctx.save_for_backward(*kept)
        ctx.cap, ctx.exactly = cap, exactly
        return capped

    @staticmethod
    def backward(ctx, d_capped):
        if second_order.wanted_again():
            plain = partial(_plainly, ctx.cap, ctx.exactly)
            return second_order.gradients(plain, ctx.saved_tensors[:1], [d_capped])[0], None, None
        return backward(Kept(*ctx.saved_tensors), d_capped, ctx.exactly), None, None


def _plainly(cap: float, exactly: bool, weights: Tensor) -> Tensor:
    """As `forward`, by singular values that autograd differentiates twice."""
    norm = torch.linalg.svdvals(weights)[:, :1, None]
    scale = torch.where(norm == 0, 1.0, cap * (1 - SLACK) / (1 + SLACK) / torch.where(norm == 0, 1.0, norm))
    return weights * scale.clamp(max=MOST_GROWTH if exactly else 1)


# Constraints of the 2-norm whose gradient is by hand, and whether they keep W exactly at its cap.
BY_HAND = {Soft: False, Hard: True}


def weights(constraint: Constraint, raw: Tensor, cap: float, norm: Norm, v: Tensor) -> tuple[Tensor, Tensor]:
    """`constraint.weights` for raw, (layers, out, in). The gradient is by hand for the 2-norm and keys of `BY_HAND`."""
    if isinstance(norm, SpectralNorm) and type(constraint) in BY_HAND and not second_order.in_transform():
        return _CappedIn2Norm.apply(raw, cap, BY_HAND[type(constraint)]), v
    return constraint.weights(raw, cap, norm, v)


@torch.no_grad()
def plain_weights(
    constraint: Constraint, raw: Tensor, cap: float, norm: Norm, v: Tensor, breathe: Breathe = without
) -> Tensor:
    """W as by `weights`, without gradients."""
    if isinstance(norm, SpectralNorm) and type(constraint) in BY_HAND:
        triples = triples_of(raw, breathe)
        return forward(raw, cap, BY_HAND[type(constraint)], triples)[0]
    return constraint.weights(raw, cap, norm, v)[0]
