"""Linear maps with a certified Lipschitz bound in the 2-norm, kept by the layer itself whatever an optimiser does."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

# The norm that is claimed lies below the true one by this much at most, which is proven; caps are lowered by it, and by
# it again for the rounding of W to float32.
SLACK = 1e-5
# Matrices up to this size are diagonalised; of larger ones, a subspace of this dimension approaches the top one.
BLOCK = 8
# (G^16)^2 shrinks what is 20 % below the top singular value by 0.8^64 = 6e-7; what is nearer matters little.
SQUARINGS, ROUNDS = 4, 2


@torch.no_grad()
def top_singular_triples(weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """s = u'Wv, (n, 1, 1), for unit vectors u, (n, out, 1), and v, (n, in, 1), with s <= ||W||_2 <= (1 + SLACK) s.

    For n matrices at once, (n, out, in); float64, no gradients. Power iteration alone gives a lower bound: a network
    "at 0.9" can be at 1.3. Here the upper bound is proven for each matrix by a Cholesky factorisation of
    ((1 + SLACK) s)^2 I - W'W; one that has none is diagonalised instead.
    """
    if weights.shape[1] < weights.shape[2]:
        s, v, u = top_singular_triples(weights.mT)
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
    return torch.linalg.eigh(gram).eigenvectors[:, :, -1:]


def _nearly_top_eigenvectors(gram: Tensor) -> Tensor:
    """Unit vectors near the top eigenvectors of G, (n, in, 1), by subspace iteration with a high power of G.

    In float32, for speed: however near they come, the norm is certified afterwards.
    """
    gram32 = power = _of_unit_trace(gram).float()
    for _ in range(SQUARINGS):
        power = _of_unit_trace(power @ power)
    basis = torch.randn(gram.shape[-1], BLOCK, generator=torch.Generator().manual_seed(0)).to(power)
    for _ in range(ROUNDS):
        basis = torch.linalg.qr(power @ basis).Q
    v = (basis @ _top_eigenvectors(basis.mT @ gram32 @ basis)).to(gram)
    return v / torch.linalg.vector_norm(v, dim=1, keepdim=True)


def _of_unit_trace(matrices: Tensor) -> Tensor:
    trace = matrices.diagonal(dim1=1, dim2=2).sum(1)
    return matrices / trace.clamp(min=torch.finfo(trace.dtype).tiny)[:, None, None]


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
