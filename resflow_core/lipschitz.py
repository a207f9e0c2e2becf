"""Linear maps with a Lipschitz bound, kept by the layer itself whatever an optimiser does."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from resflow_core.norms.induced import power_method, upper_bound
from resflow_core.norms.norm_orders import Order
from resflow_core.settings import check, setting
from resflow_core.spectral_norm import SLACK, bjorck, top_singular_triples


@dataclass(frozen=True)
class Constraint(ABC):
    """How a layer's W comes from its free parameters `raw`, so that ||W||_{p->q} <= cap."""

    title: ClassVar[str]
    certifies: ClassVar[bool] = True  # whether the cap is kept whatever `raw` has become
    claim: ClassVar[str] = ""  # where it does not: what is said of it instead
    carries: ClassVar[bool] = False  # whether a layer carries a vector v from step to step

    def __post_init__(self):
        check(self)

    @abstractmethod
    def weights(self, raw: Tensor, cap: float, p: Order, q: Order, v: Tensor) -> tuple[Tensor, Tensor]:
        """W, (n, out, in), of n matrices, differentiable in `raw`, and the vectors v, (n, in), that the layers carry
        from step to step."""


@dataclass(frozen=True)
class Soft(Constraint):
    """W = raw min(1, cap / ||raw||): only what is above its cap is changed (Behrmann et al. 2019, equation 5)."""

    title: ClassVar[str] = "Soft: at most the cap"

    def weights(self, raw, cap, p, q, v):
        return _capped(raw, cap, p, q), v


@dataclass(frozen=True)
class Hard(Constraint):
    """W = raw cap / ||raw|| by the bound of the norm: every layer uses all of its cap (Miyato et al. 2018)."""

    title: ClassVar[str] = "Hard: at the cap"

    def weights(self, raw, cap, p, q, v):
        return _capped(raw, cap, p, q, exactly=True), v


@dataclass(frozen=True)
class Bjorck(Constraint):
    """W = cap times the orthonormal matrix nearest to raw, scaled down to the cap in other norms than 2 -> 2: all its
    singular values are equal (Anil et al. 2019)."""

    title: ClassVar[str] = "Björck: orthonormal"
    steps: int = setting(8, "Björck steps", "Steps towards an orthonormal matrix.", low=1, high=30)

    def weights(self, raw, cap, p, q, v):
        # Whatever the steps reach is below 1 in the 2-norm only.
        return _capped(cap * bjorck(raw, self.steps).to(raw), cap, p, q), v


@dataclass(frozen=True)
class Power(Constraint):
    """W = raw min(1, cap / s) with s from a few steps of power iteration: what public code does. s lies below the
    norm, so that W may exceed its cap."""

    title: ClassVar[str] = "Power iteration"
    certifies: ClassVar[bool] = False
    claim: ClassVar[str] = "Power iteration claims {budget:g}, but it only knows norms from below"
    carries: ClassVar[bool] = True
    iterations: int = setting(
        1, "Iterations", "Steps of power iteration at each training step. The fewer, the farther a norm gets.",
        low=1, high=50,
    )  # fmt: skip
    warm: bool = setting(True, "Warm start", "Goes on from the last step's vector; cold, from the same random one.")

    def weights(self, raw, cap, p, q, v):
        u, ahead = power_method(raw, p, q, v, self.iterations)
        norm = torch.einsum("no,noi,ni->n", u.to(raw), raw, ahead.to(raw))
        return raw * _share(cap, norm).clamp(max=1).to(raw), ahead.to(v) if self.warm else v


@dataclass(frozen=True)
class Off(Constraint):
    """W = raw: nothing is claimed."""

    title: ClassVar[str] = "Off: no constraint"
    certifies: ClassVar[bool] = False
    claim: ClassVar[str] = "Nothing constrains the layers"

    def weights(self, raw, cap, p, q, v):
        return raw, v


CONSTRAINTS: dict[str, type[Constraint]] = {
    "soft": Soft,
    "hard": Hard,
    "bjorck": Bjorck,
    "power": Power,
    "off": Off,
}


MOST_GROWTH = 1e30


def _capped(raw: Tensor, cap: float, p: Order, q: Order, exactly: bool = False) -> Tensor:
    """raw, scaled so that an upper bound of its norm is at most the cap, or is it."""
    if isinstance(p, float) and p == q == 2:
        return _CappedIn2Norm.apply(raw, cap, exactly)
    share = _share(cap * (1 - SLACK), upper_bound(raw, p, q)).to(raw)
    return raw * (share if exactly else share.clamp(max=1))


def _share(cap: float, norm: Tensor) -> Tensor:
    """cap / norm, (n, 1, 1), float64; 1 for matrices of zeros, and never so much that float32 would overflow."""
    norm = norm.double()
    return torch.where(norm == 0, 1.0, cap / torch.where(norm == 0, 1.0, norm))[:, None, None].clamp(max=MOST_GROWTH)


def _triples_if_finite(weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`top_singular_triples`, with s = NaN for matrices that are not finite, which have no eigenvectors."""
    finite = weights.detach().isfinite().flatten(1).all(1)[:, None, None]
    s, u, v = top_singular_triples(torch.where(finite, weights, 0.0))
    return torch.where(finite, s, torch.nan), u, v


class _CappedIn2Norm(torch.autograd.Function):
    """W = c / ||W||_2 W where ||W||_2 > c (or in any case), by hand because every layer takes it at every step.

    With r = c / ||W||_2 and ||W||_2 = u'Wv, backward: dW = r (dY - <dY, W> / ||W||_2 uv').
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


class LipschitzLinear(nn.Module):
    """x -> W x + b with ||W||_{p->q} <= cap, as its `constraint` makes W of `raw`.

    The cap is part of what W is, so no training loop has to restore it. Weights are drawn from `generator`, uniform
    within +-1/sqrt(in_features). In which norms W is measured is said by whoever asks for it, 2 -> 2 unless it is.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        cap: float,
        generator: torch.Generator,
        constraint: Constraint = Soft(),
    ):
        super().__init__()
        self.cap, self.constraint = cap, constraint
        bound = in_features**-0.5
        self.raw = nn.Parameter(torch.empty(out_features, in_features).uniform_(-bound, bound, generator=generator))
        self.bias = nn.Parameter(torch.empty(out_features).uniform_(-bound, bound, generator=generator))
        self.register_buffer("v", cold_start(in_features), persistent=constraint.carries)
        self.next_v: Tensor | None = None
        self._known: tuple[tuple, Tensor] | None = None

    def advance(self) -> None:
        """After a step of training: go on from the v that the weights were made with."""
        if self.next_v is not None:
            self.v.copy_(self.next_v)

    def weight(self, p: Order = 2.0, q: Order = 2.0) -> Tensor:
        """W, shape (out_features, in_features), with gradients to `raw` where they are enabled."""
        return constrained_weights([self], p, q)[0]

    def forward(self, x: Tensor) -> Tensor:
        """W x + b for rows x, (batch, in_features) -> (batch, out_features), W as measured in the 2-norm."""
        return F.linear(x, self.weight(), self.bias)


def cold_start(n: int) -> Tensor:
    """A random direction, the same for all layers of a size."""
    return torch.randn(n, generator=torch.Generator().manual_seed(0))


def constrained_weights(layers: Sequence[LipschitzLinear], p: Order = 2.0, q: Order = 2.0) -> Tensor:
    """The W of layers of one shape, cap and constraint, (layers, out_features, in_features): all norms in one go.

    Where gradients are enabled, layers note the next v, which is theirs once somebody calls `advance`.
    """
    first, raw, v = layers[0], torch.stack([layer.raw for layer in layers]), torch.stack([layer.v for layer in layers])
    if torch.is_grad_enabled():
        weights, ahead = first.constraint.weights(raw, first.cap, p, q, v)
        if ahead is not v:
            for layer, row in zip(layers, ahead, strict=True):
                layer.next_v = row
        return weights
    # Pictures evaluate the same W on many chunks of points. Compared by value: fused optimisers and writes to `.data`
    # do not move the version counter of a tensor.
    key = (raw, v, *(torch.as_tensor(order) for order in (p, q)))
    if first._known is None or not all(map(_same, first._known[0], key)):
        first._known = (key, first.constraint.weights(raw, first.cap, p, q, v)[0])
    return first._known[1]


def _same(a: Tensor, b: Tensor) -> bool:
    """`torch.equal` ignores the type, and raises an error for tensors of two devices."""
    return (a.dtype, a.device) == (b.dtype, b.device) and torch.equal(a, b)
