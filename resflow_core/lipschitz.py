"""Linear maps with a certified Lipschitz bound in the 2-norm, kept by the layer itself whatever an optimiser does."""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

# A computed norm is below the truth in half the cases; the cap is lowered by more than float32 can err.
ROUNDING_MARGIN = 1e-5


@torch.no_grad()
def top_singular_triple(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """||W||_2, the largest singular value, and its unit singular vectors u, v: W v = ||W||_2 u. No gradients.

    From the eigenvectors of the smaller Gram matrix. What power iteration gives after a few steps can be far below the
    norm: a network "at 0.9" is then at 1.3. This is below by rounding only, which `ROUNDING_MARGIN` covers.
    """
    if weight.shape[0] < weight.shape[1]:
        norm, v, u = top_singular_triple(weight.T)
        return norm, u, v
    v = torch.linalg.eigh(weight.T @ weight).eigenvectors[:, -1]
    u = weight @ v
    norm = torch.linalg.vector_norm(u)
    return norm, u / norm.clamp(min=torch.finfo(weight.dtype).tiny), v


class _Rescaled(torch.autograd.Function):
    """cap * W / ||W||_2 for ||W||_2 = u'Wv, by hand because every layer takes it at every step.

    With s = cap / ||W||_2, backward: dW = s (dY - <dY, W> / ||W||_2 uv').
    """

    @staticmethod
    def forward(ctx, weight, u, v, norm, cap):
        ctx.save_for_backward(weight, u, v)
        ctx.norm, ctx.scale = norm, cap / norm
        return weight * ctx.scale

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        weight, u, v = ctx.saved_tensors
        radial = float((gradient * weight).sum()) / ctx.norm
        return torch.addr(gradient, u, v, beta=ctx.scale, alpha=-ctx.scale * radial), None, None, None, None


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
        if torch.is_grad_enabled():
            return self._capped()
        # Pictures evaluate one W on many chunks of points. Compared by value: fused optimisers and writes to `.data`
        # do not move the version counter of a tensor.
        if self._known is None or not torch.equal(self._known[0], self.raw):
            self._known = (self.raw.clone(), self._capped())
        return self._known[1]

    def _capped(self) -> Tensor:
        norm, u, v = top_singular_triple(self.raw)
        norm, cap = norm.item(), self.cap * (1 - ROUNDING_MARGIN)
        return self.raw if norm <= cap else _Rescaled.apply(self.raw, u, v, norm, cap)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)
