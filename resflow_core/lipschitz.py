"""Linear maps with a Lipschitz bound. The layer itself keeps the bound, after any step of an optimiser.

    W = raw * min(1, cap / ||raw||)                                        (Behrmann et al. 2019, equation 5)

||raw|| is replaced by a certified upper bound, so the cap always holds. A `NormChain` says in which norms the layers of
a branch are measured: the 2-norm here, others in `resflow_core.norms`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resflow_core.arguments import checked_points
from resflow_core.settings import check
from resflow_core.spectral_norm import CACHED_NUMBERS, SLACK, certified

Order = float | Tensor
"""p from 1 to inf: a number, or one for every matrix of a stack, (n,)."""

# Enough for any matrix that is not zero, and no float32 overflows.
MOST_GROWTH = 1e30


class Norm(Protocol):
    """A certified upper bound of the induced norm ||W||_{p->q} = sup ||Wx||_q / ||x||_p."""

    @property
    def p(self) -> Order: ...

    @property
    def q(self) -> Order: ...

    def __call__(self, weights: Tensor) -> Tensor:
        """The bound for each of n matrices, (n, out, in) -> (n,), float64; once differentiable."""
        ...


@dataclass(frozen=True)
class SpectralNorm:
    """||W||_2, the largest singular value."""

    p: Order = 2.0
    q: Order = 2.0

    def __call__(self, weights: Tensor) -> Tensor:
        return certified(weights)


def euclidean(x: Tensor, p: float, dim: int) -> Tensor:
    """||x||_2 along `dim`. A guard against overflow would take most of a solver's step, so there is none."""
    return x.square().sum(dim).sqrt()


@dataclass(frozen=True)
class LearnedOrders:
    """Orders as functions of free parameters, `order(raw)`, and back, `raw(p)`."""

    order: Callable[[Tensor], Tensor]
    raw: Callable[[float], float]


@dataclass(frozen=True)
class NormChain:
    """The orders p_0, p_1, ..., p_n = p_0 of the norms between the layers of a branch (paper, appendix D).

    Layer i is measured from p_{i-1} to p_i. Norms multiply along the chain, because the output of one layer is measured
    as the input of the next. The first order is also the last, because x and g(x) are added: L holds in the norm of
    order p_0. The inner orders are all `inner`, or `learned` from there on.
    """

    title: str
    outer: float = 2.0
    inner: float = 2.0
    norm: Callable[[Order, Order], Norm] = SpectralNorm
    vector_norm: Callable[[Tensor, float, int], Tensor] = euclidean
    learned: LearnedOrders | None = None

    def orders(self, layers: int) -> list[float]:
        """p_0, ..., p_n of n layers. For learned orders these are the initial values."""
        return [self.outer, *[self.inner] * (layers - 1), self.outer]


NORM_CHAINS: dict[str, NormChain] = {"2": NormChain("2")}


@dataclass(frozen=True)
class Constraint(ABC):
    """A map from free parameters `raw` to the weights W of a layer, with ||W|| <= cap."""

    title: ClassVar[str]
    certifies: ClassVar[bool] = True  # whether the cap holds for every `raw`
    claim: ClassVar[str] = ""  # if it does not hold: a sentence about it
    carries: ClassVar[bool] = False  # whether a layer carries a vector v from step to step

    def __post_init__(self) -> None:
        check(self)

    @abstractmethod
    def weights(self, raw: Tensor, cap: float, norm: Norm, v: Tensor) -> tuple[Tensor, Tensor]:
        """W of n matrices, (n, out, in), differentiable in `raw`, and the vectors v, (n, in), that the layers carry
        from step to step."""


@dataclass(frozen=True)
class Soft(Constraint):
    """W = raw * min(1, cap / ||raw||): only a matrix above its cap is changed (Behrmann et al. 2019, equation 5)."""

    title: ClassVar[str] = "Soft: at most the cap"

    def weights(self, raw: Tensor, cap: float, norm: Norm, v: Tensor) -> tuple[Tensor, Tensor]:
        return raw * cap_over_norm(raw, cap, norm).clamp(max=1), v


CONSTRAINTS: dict[str, type[Constraint]] = {"soft": Soft}


def cap_over_norm(raw: Tensor, cap: float, norm: Norm) -> Tensor:
    """cap / ||raw||, (n, 1, 1), of raw's type. The cap is lowered by `SLACK`, because W is rounded to that type."""
    return share(cap * (1 - SLACK), norm(raw)).to(raw)


def share(cap: float, norm: Tensor) -> Tensor:
    """cap / norm, (n, 1, 1), float64, at most `MOST_GROWTH`, and 1 for matrices of zeros."""
    norm = norm.double()
    return (cap / torch.where(norm == 0, cap, norm))[:, None, None].clamp(max=MOST_GROWTH)


class LipschitzLinear(nn.Module):
    """x -> W x + b with ||W|| <= cap. The `constraint` makes W from the parameters `raw`.

    The cap is part of the definition of W, so no training loop has to restore it. Initial weights are uniform within
    +-1/sqrt(in_features). The norm is an argument, the 2-norm by default.
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
        self.v: Tensor
        self.register_buffer("v", cold_start(in_features), persistent=constraint.carries)
        self.next_v: Tensor | None = None

    def weight(self, norm: Norm = SpectralNorm()) -> Tensor:
        """W, (out_features, in_features), with gradients to `raw`, as by `constrained`."""
        return constrained([self], self.raw[None], norm)[0]

    def advance(self) -> None:
        """Take over the next v. The training loop calls it after each step."""
        if self.next_v is not None:
            self.v.copy_(self.next_v)

    def forward(self, x: Tensor) -> Tensor:
        """W x + b for rows x, (batch, in_features) -> (batch, out_features), W as measured in the 2-norm. Raises
        ValueError for other points, as a `Bijection` does."""
        return F.linear(checked_points(x, self.raw.shape[1], self.raw), self.weight(), self.bias)


# By the first layer of each stack: what W was made of in the last call without gradients, and W.
_KNOWN: WeakKeyDictionary[LipschitzLinear, tuple[tuple[Tensor, ...], Tensor]] = WeakKeyDictionary()


def constrained(
    layers: Sequence[LipschitzLinear], raw: Tensor, norm: Norm, breathe: Callable[[], None] = lambda: None
) -> Tensor:
    """W, (n, out, in), of n layers of the same shape, cap and constraint with the parameters `raw`, of that shape.

    If gradients are enabled, each layer notes its next v, which `advance` then uses; not within torch.func. If not
    enabled, the W of the last call is returned where nothing has changed: a picture evaluates one W at many points,
    part by part. `breathe` is called after each of several parts of a layer that is too large for the cache.
    """
    first = layers[0]
    v = torch.stack([layer.v for layer in layers]) if first.constraint.carries else first.v[None].expand(len(raw), -1)
    if torch.is_grad_enabled():
        weights, ahead = _constrained(first, raw, norm, v, breathe)
        # In a transform of torch.func they would be its own tensors, which mean nothing once it has ended.
        if first.constraint.carries and not torch._C._are_functorch_transforms_active():
            for layer, of_layer in zip(layers, ahead.detach(), strict=True):
                layer.next_v = of_layer
        return weights
    # Compared by value, because fused optimisers and writes to `.data` do not change the version of a tensor.
    made_of = (raw, v, *(torch.as_tensor(order) for order in (norm.p, norm.q)))
    known = _KNOWN.get(first)
    if known is None or not all(map(_same, known[0], made_of)):
        weights, _ = _constrained(first, raw, norm, v, breathe)
        known = _KNOWN[first] = (tuple(part.clone() for part in made_of), weights)
    return known[1]


def in_cache(weights: Tensor, norm: Norm) -> Sequence[Tensor]:
    """As many matrices at a time as stay in the processor's cache while their norms are computed; all of them where
    each has orders of its own."""
    return weights.split(max(1, CACHED_NUMBERS // weights[0].numel())) if isinstance(norm.p, float) else [weights]


def _constrained(
    first: LipschitzLinear, raw: Tensor, norm: Norm, v: Tensor, breathe: Callable[[], None]
) -> tuple[Tensor, Tensor]:
    parts = in_cache(raw, norm)
    if len(parts) == 1:
        return first.constraint.weights(raw, first.cap, norm, v)
    found = list[tuple[Tensor, Tensor]]()
    for part, of_part in zip(parts, v.split(len(parts[0])), strict=True):
        found.append(first.constraint.weights(part, first.cap, norm, of_part))
        breathe()
    weights, ahead = map(torch.cat, zip(*found, strict=True))
    return weights, ahead


def _same(a: Tensor, b: Tensor) -> bool:
    """As `torch.equal`, which ignores the type, and raises an error for tensors of two devices."""
    return (a.dtype, a.device) == (b.dtype, b.device) and torch.equal(a, b)


def cold_start(n: int) -> Tensor:
    """A random direction, the same for all layers of a size."""
    return torch.randn(n, generator=torch.Generator().manual_seed(0))
