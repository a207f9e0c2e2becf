"""The base of a flow: the distribution of z. Any one with `log_prob` and `sample` on all of R^d.

A distribution of one number stands for d independent ones. One with the batch shape (d,) has a law for each coordinate,
and one with the event shape (d,) is a joint law.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributions import (
    Categorical,
    Cauchy,
    Distribution,
    Gumbel,
    Independent,
    Laplace,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    StudentT,
    constraints,
)
from torch.distributions.transforms import Transform

from resflow_core.settings import told

WRITTEN: dict[str, tuple[type[Distribution], tuple[str, ...]]] = {
    "Normal": (Normal, ("loc", "scale")),
    "StudentT": (StudentT, ("df", "loc", "scale")),
    "Laplace": (Laplace, ("loc", "scale")),
    "Cauchy": (Cauchy, ("loc", "scale")),
    "Gumbel": (Gumbel, ("loc", "scale")),
    "MultivariateNormal": (MultivariateNormal, ("loc", "scale_tril")),
    "LowRankMultivariateNormal": (LowRankMultivariateNormal, ("loc", "cov_factor", "cov_diag")),
    "Categorical": (Categorical, ("logits",)),
}
"""Distributions that files hold, and the tensors that say which one. `Independent` and `MixtureSameFamily` of them are
held too."""
DEEPEST = 4
"""Distributions within distributions in a file."""


@dataclass(frozen=True, eq=False)
class Base:
    """A distribution of z in R^d. `each` says that it gives a log density for every coordinate, to be added."""

    distribution: Distribution
    features: int
    each: bool

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (n, d) -> (n,), of z's type."""
        found = self.distribution.log_prob(z)
        return (found.sum(-1) if self.each else found).to(z.dtype)

    def draw(self, n: int, generator: torch.Generator, differentiable: bool = False) -> Tensor:
        """n draws of z, (n, d). torch's distributions draw from the global generator, so it is seeded by `generator`
        for the while, and restored."""
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        devices = [tensor.device for tensor in tensors_of(self.distribution) if tensor.is_cuda]
        shape = (n, self.features) if self.each and not self.distribution.batch_shape else (n,)
        with torch.random.fork_rng(devices=sorted({device.index for device in devices})):
            torch.manual_seed(seed)
            return self.distribution.rsample(shape) if differentiable else self.distribution.sample(shape)


def base_of(distribution: Any, features: int) -> Base:
    """The base of a distribution. Raises ValueError unless its support is all of R^features."""
    for needed in ("log_prob", "sample"):
        if not callable(getattr(distribution, needed, None)):
            raise ValueError(
                f"base = {told(distribution)}: pass a distribution with log_prob and sample, e.g. "
                "torch.distributions.StudentT(3.0)."
            )
    batch, event = (tuple(getattr(distribution, f"{kind}_shape", ())) for kind in ("batch", "event"))
    if (batch, event) not in [((), ()), ((features,), ()), ((), (features,))]:
        raise ValueError(
            f"base has the batch shape {batch} and the event shape {event}: use a distribution of one number, of one "
            f"number for each of the {features} coordinates (batch shape ({features},)), or of the whole point (event "
            f"shape ({features},))."
        )
    if any(tensor.requires_grad for tensor in tensors_of(distribution)):
        raise ValueError(
            "base has tensors that require gradients: detach them. To train a base with the flow, pass an nn.Module "
            "whose forward() returns the distribution."
        )
    _check_support(distribution)
    return Base(distribution, features, not event)


def _check_support(distribution: Any) -> None:
    try:
        support = getattr(distribution, "support", None)
    except NotImplementedError:
        return
    if support is None:
        return
    inner = support
    while hasattr(inner, "base_constraint"):
        inner = inner.base_constraint
    if inner not in (constraints.real, constraints.real_vector):
        raise ValueError(
            f"base = {told(type(distribution).__name__)}: its support is {support}, but a flow sends points to all of "
            "R^d. Use one on the whole line, e.g. Normal, StudentT or a MixtureSameFamily of them."
        )


def tensors_of(value: Any) -> Iterator[Tensor]:
    """All tensors that a distribution is made of."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors_of(part)
    elif isinstance(value, Distribution | Transform):
        yield from tensors_of(list(value.__dict__.values()))


def moved(distribution: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """A copy of a distribution, with `function` of all its tensors of floating point: another type or device."""
    memo: dict[int, Any] = {}
    for tensor in tensors_of(distribution):
        memo[id(tensor)] = function(tensor) if tensor.is_floating_point() else tensor
    return copy.deepcopy(distribution, memo)


def written(distribution: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A distribution as JSON, and its tensors by name. Raises ValueError for one that files cannot hold."""
    kind = type(distribution).__name__
    if type(distribution) is Independent:
        inner, tensors = written(distribution.base_dist)
        return {"is": kind, "of": inner, "dims": distribution.reinterpreted_batch_ndims}, tensors
    if type(distribution) is MixtureSameFamily:
        weights, first = written(distribution.mixture_distribution)
        parts, second = written(distribution.component_distribution)
        tensors = {f"weights.{name}": t for name, t in first.items()} | {f"parts.{n}": t for n, t in second.items()}
        return {"is": kind, "weights": weights, "parts": parts}, tensors
    if kind not in WRITTEN or type(distribution) is not WRITTEN[kind][0]:
        raise ValueError(
            f"base = {told(kind)}: a file without code holds {', '.join(WRITTEN)}, and Independent or "
            "MixtureSameFamily of them. Use torch.save(flow, path), whose file runs code when it is read."
        )
    return {"is": kind}, {name: getattr(distribution, name).detach() for name in WRITTEN[kind][1]}


def read(values: Any, tensors: dict[str, Tensor], depth: int = 0) -> Distribution:
    """The distribution that `written` gave. Raises ValueError for all else."""
    kind = values.get("is") if isinstance(values, dict) else None
    if depth < DEEPEST and kind == "Independent" and isinstance(values.get("dims"), int):
        return Independent(read(values.get("of"), tensors, depth + 1), values["dims"])
    if depth < DEEPEST and kind == "MixtureSameFamily":
        weights, parts = (
            read(
                values.get(key),
                {n.removeprefix(f"{key}."): t for n, t in tensors.items() if n.startswith(f"{key}.")},
                depth + 1,
            )
            for key in ("weights", "parts")
        )
        return MixtureSameFamily(cast(Categorical, weights), parts)
    if kind not in WRITTEN or sorted(tensors) != sorted(WRITTEN[kind][1]):
        raise ValueError(f"The base in the file cannot be read: {told(values)}.")
    make: Any = WRITTEN[kind][0]
    return make(**tensors, validate_args=True)


class LazyBase(nn.Module):
    """A base that trains with the flow: a module whose `forward()` returns the distribution."""

    def __init__(self, module: nn.Module, features: int):
        super().__init__()
        self.module, self.features = module, features
        self.now()

    def now(self) -> Base:
        """The base with its present parameters."""
        distribution = self.module()
        batch, event = tuple(distribution.batch_shape), tuple(distribution.event_shape)
        if (batch, event) not in [((), ()), ((self.features,), ()), ((), (self.features,))]:
            raise ValueError(
                f"The base module gives the shapes {batch} and {event}: ((), ({self.features},)) is needed."
            )
        _check_support(distribution)
        return Base(distribution, self.features, not event)
