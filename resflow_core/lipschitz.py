"""Linear maps with a certified Lipschitz bound in the 2-norm, kept by the layer itself whatever an optimiser does."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Eigenvalues round below the truth in half the cases; the cap is lowered by more than float32 can err.
ROUNDING_MARGIN = 1e-5


def spectral_norm(weight: Tensor) -> Tensor:
    """||W||_2, the largest singular value, from the eigenvalues of the smaller Gram matrix. Differentiable.

    Not power iteration, which is a lower bound: a network "at 0.9" can then be at 1.3.
    """
    tall = weight if weight.shape[0] >= weight.shape[1] else weight.T
    with torch.no_grad():
        v = torch.linalg.eigh(tall.T @ tall).eigenvectors[:, -1]
        u = tall @ v
        u = u / u.norm().clamp(min=torch.finfo(weight.dtype).tiny)
    # sigma = u'Wv, and d sigma = u' dW v: the singular vectors do not move to first order.
    return u @ tall @ v


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
        norm = spectral_norm(self.raw)
        return self.raw * (self.cap * (1 - ROUNDING_MARGIN) / norm).clamp(max=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)
