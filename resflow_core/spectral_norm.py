"""The spectral norm ||W||_2, the largest singular value, with a certificate for each matrix.

Everything is computed in float64. A matrix with a NaN or infinite entry has the norm NaN, and the other matrices of its
stack keep theirs. Without this rule the bound of such a matrix could be 0.
"""

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function

# The true norm exceeds the claimed one by at most this share, which is proven. Caps are lowered by it, and once more
# for the rounding of W to float32.
SLACK = 1e-5
# Matrices up to this size are diagonalised. For larger ones, a subspace of this dimension approaches the top vector.
BLOCK = 8
# Matrices with so many numbers at a time stay in the processor's cache: 32 of 256 x 256 take a third of the time so.
CACHED_NUMBERS = 2**18
# (G^16)^2 shrinks a direction 20 % below the top singular value by 0.8^64 = 6e-7. Nearer ones hardly change the norm.
SQUARINGS, ROUNDS = 4, 2


@torch.no_grad()
def top_singular_triples(weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """s = u'Wv, (n, 1, 1), for unit vectors u, (n, out, 1), and v, (n, in, 1), with s <= ||W||_2 <= (1 + SLACK) s.

    For n matrices at once, (n, out, in), in float64 and without gradients. Power iteration gives only a lower bound: a
    network "at 0.9" can be at 1.3. Here a Cholesky factorisation of ((1 + SLACK) s)^2 I - W'W proves the upper bound
    for each matrix. If it fails, the matrix is diagonalised instead.
    """
    if weights.shape[1] < weights.shape[2]:
        s, v, u = top_singular_triples(weights.mT)
        return s, u, v
    if len(weights) > (most := max(1, CACHED_NUMBERS // weights[0].numel())):
        s, u, v = map(torch.cat, zip(*map(top_singular_triples, weights.split(most)), strict=True))
        return s, u, v
    weights = weights.double()
    gram = weights.mT @ weights
    if gram.shape[-1] <= BLOCK:
        return _triples(weights, _top_eigenvectors(gram))
    s, u, v = _triples(weights, _nearly_top_eigenvectors(gram))
    bounds = ((1 + SLACK) * s) ** 2 * torch.eye(gram.shape[-1]).to(gram)
    failed = torch.linalg.cholesky_ex(bounds - gram).info != 0
    if failed.any():
        for part, exact in zip((s, u, v), _triples(weights[failed], _top_eigenvectors(gram[failed])), strict=True):
            part[failed] = exact
    return s, u, v


def _triples(weights: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    u = weights @ v
    s = torch.linalg.vector_norm(u, dim=1, keepdim=True)
    return s, u / s.clamp(min=torch.finfo(s.dtype).tiny), v


def _top_eigenvectors(gram: Tensor) -> Tensor:
    """Unit vectors, (n, in, 1)."""
    if gram.shape[-1] == 2:
        # [[a, b], [b, c]] stretches most at half the angle of (a - c, 2b).
        angle = torch.atan2(2 * gram[:, 0, 1], gram[:, 0, 0] - gram[:, 1, 1]) / 2
        return torch.stack([angle.cos(), angle.sin()], 1)[:, :, None]
    return torch.linalg.eigh(gram).eigenvectors[:, :, -1:]


def _nearly_top_eigenvectors(gram: Tensor) -> Tensor:
    """Unit vectors near the top eigenvectors of G, (n, in, 1), by subspace iteration with a high power of G.

    In float32, for speed. The norm is certified afterwards, so the result need not be exact. The small matrix at the
    end is diagonalised in float64: that of a matrix of rank one may have denormal entries, with which `eigh` fails.
    """
    gram32 = power = _of_unit_trace(gram).float()
    for _ in range(SQUARINGS):
        power = _of_unit_trace(power @ power)
    basis = torch.randn(gram.shape[-1], BLOCK, generator=torch.Generator().manual_seed(0)).to(power)
    for _ in range(ROUNDS):
        basis = torch.linalg.qr(power @ basis).Q
    v = basis.to(gram) @ _top_eigenvectors((basis.mT @ gram32 @ basis).to(gram))
    return v / torch.linalg.vector_norm(v, dim=1, keepdim=True)


def _of_unit_trace(matrices: Tensor) -> Tensor:
    trace = matrices.diagonal(dim1=1, dim2=2).sum(1)
    return matrices / trace.clamp(min=torch.finfo(trace.dtype).tiny)[:, None, None]


def normalised(weights: Tensor) -> tuple[Tensor, Tensor]:
    """(W / m, m) with m = max |w_ij|, float64, shapes (..., out, in) and (...). Powers of W / m neither over- nor
    underflow.

    m is a constant to autograd, because homogeneous functions of W do not depend on it. A matrix that is not finite
    becomes zeros with m = NaN, so m times anything of it is NaN. A zero matrix stays zero, with m = 0.
    """
    weights = weights.double()
    largest = weights.detach().abs().amax((-2, -1), keepdim=True)
    unit = weights / torch.where(largest > 0, largest, 1.0)  # 1 for NaN too
    unit, largest = torch.where(largest.isfinite(), unit, 0.0), largest - largest + largest  # inf - inf is NaN
    return unit, largest[..., 0, 0]


def certified(weights: Tensor) -> Tensor:
    """An upper bound (1 + SLACK) u'Wv of ||W||_2, at most the share SLACK above it, (n, out, in) -> (n,), float64.

    Its gradient is (1 + SLACK) uv'; differentiable any number of times.
    """
    if not torch._C._are_functorch_transforms_active():
        return (1 + SLACK) * cast(Tensor, _TopSingularValue.apply(weights)[0])
    # The tangents of a Function are constants to an outer `jacfwd`, so only the value is its own.
    unit, largest = normalised(weights)
    s = largest * torch.linalg.svdvals(unit)[..., 0]
    value = cast(Tensor, _TopSingularValue.apply(weights.detach())[0])
    return (1 + SLACK) * (s + (value - s).detach())


class _TopSingularValue(Function):
    """s = u'Wv of n matrices, (n, out, in) -> (n,), and u and v. The gradient is uv'. Where it is differentiated in its
    turn, u and v are no constants, so they are taken from a differentiable SVD."""

    generate_vmap_rule = True

    @staticmethod
    def forward(weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        unit, largest = normalised(weights)
        s, u, v = top_singular_triples(unit)
        return largest * s[:, 0, 0], u, v

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*inputs, *output[1:])
        ctx.save_for_forward(*inputs, *output[1:])  # the same: vmap knows one list

    @staticmethod
    def backward(ctx: Any, d_s: Tensor, *_: Any) -> Tensor:
        weights, u, v = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return ((d_s[:, None, None] * u) @ v.mT).to(weights)
        u, v = _differentiable_vectors(weights)
        return (d_s[:, None, None] * (u @ v.mT)).to(weights)

    @staticmethod
    def jvp(ctx: Any, d_weights: Tensor) -> Any:
        weights, u, v = ctx.saved_tensors
        if torch.is_grad_enabled():
            u, v = _differentiable_vectors(weights)
        return (u * (d_weights.double() @ v)).sum((1, 2)), None, None


def _differentiable_vectors(weights: Tensor) -> tuple[Tensor, Tensor]:
    """The top singular vectors, (n, out, 1) and (n, in, 1), as functions of the weights."""
    u, _, v = torch.linalg.svd(normalised(weights)[0], full_matrices=False)
    return u[:, :, :1], v[:, :1].mT
