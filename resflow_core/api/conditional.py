"""Conditional flows: the map f(x; c), invertible in x for every context c.

    u = (x - m(c)) exp(-s(c)),   then blocks u + g(u; c),   g(u; c) = W_n phi(... W_1 phi(u) + b_1 + h_1(c) ...)

The context moves the biases, so the Lipschitz constant of g in u does not depend on it. m, s and all h are small
networks. |s| stays below `MOST_LOG_SCALE`, so that a context far from those in training cannot blow the density up.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from resflow_core.bijection import Bijection
from resflow_core.fixed_point import VectorNorm, solve_banach
from resflow_core.flow import Flow, FlowConfig, FlowMap
from resflow_core.lipschitz import LipschitzLinear
from resflow_core.log_det import Exact, LogDet
from resflow_core.residual import Branch, Network, Sequential, Stack

T = TypeVar("T")

WIDTH = 32
MOST_LOG_SCALE = 3.0


@torch.no_grad()
def _network(inputs: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
    """A hidden layer of `WIDTH` units. The last layer starts at 0, so that the context has no effect at first."""
    first, last = nn.utils.skip_init(nn.Linear, inputs, WIDTH), nn.utils.skip_init(nn.Linear, WIDTH, outputs)
    for parameter in first.parameters():
        parameter.uniform_(-1, 1, generator=generator).mul_(inputs**-0.5)
    for parameter in last.parameters():
        parameter.zero_()
    return nn.Sequential(first, nn.Tanh(), last)


class ConditionalAffine(Bijection):
    """u = (x - m(c)) exp(-s(c)), log det = -sum s(c), for the contexts c that `ConditionalFlow.at` sets."""

    def __init__(self, dim: int, context: int, generator: torch.Generator):
        super().__init__(dim)
        self.network = _network(context, 2 * dim, generator)
        self.context: Tensor | None = None  # one for each row, (batch, context)

    def centre_and_log_scale(self) -> tuple[Tensor, Tensor]:
        """m and s, (batch, dim) each."""
        centre, raw = self.network(_set(self.context)).chunk(2, -1)
        return centre, MOST_LOG_SCALE * torch.tanh(raw / MOST_LOG_SCALE)

    def _forward(self, x: Tensor) -> Tensor:
        centre, log_scale = self.centre_and_log_scale()
        return (x - centre) * torch.exp(-log_scale)

    def _inverse(self, z: Tensor) -> Tensor:
        centre, log_scale = self.centre_and_log_scale()
        return z * torch.exp(log_scale) + centre

    def _forward_and_log_det(
        self, x: Tensor, log_det: LogDet, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        centre, log_scale = self.centre_and_log_scale()
        return (x - centre) * torch.exp(-log_scale), -log_scale.sum(1)


class ConditionalBranch(Branch):
    """g(x; c): a branch whose biases the context moves.

    Its network h is `of_context`. A state dict names it `network`, as files do.
    """

    def __init__(self, *args: Any, context: int, **kwargs: Any):
        super().__init__(*args, **kwargs)
        generator = args[3]
        self.outputs = [linear.bias.numel() for linear in cast("list[LipschitzLinear]", [*self.linears])]
        self.of_context = _network(context, sum(self.outputs), generator)
        self.context: Tensor | None = None  # one for each row, (batch, context)

    @staticmethod
    def joined(branches: Stack, weights: Sequence[Tensor]) -> Network:
        """The network of these branches, with biases for each row, (branches, units, batch)."""
        network, first = cast(Sequential, Branch.joined(branches, weights)), cast(ConditionalBranch, branches.first)
        (w_1, b_1), (w_2, b_2) = (
            [branches.parameters[f"of_context.{i}.{name}"] for name in ("weight", "bias")] for i in (0, 2)
        )
        hidden = torch.tanh(w_1 @ _set(first.context).T + b_1[:, :, None])
        moved = (w_2 @ hidden + b_2[:, :, None]).split(first.outputs, 1)
        return replace(network, biases=[bias + by for bias, by in zip(network.biases, moved, strict=True)])

    def state_dict(self, *args: Any, prefix: str = "", **kwargs: Any) -> Any:
        found = super().state_dict(*args, prefix=prefix, **kwargs)
        _rename(found, f"{prefix}of_context.", f"{prefix}network.")
        return found

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        _rename(state_dict, f"{prefix}network.", f"{prefix}of_context.")
        super()._load_from_state_dict(state_dict, prefix, *args)


def _rename(state_dict: dict[str, Any], old: str, new: str) -> None:
    for name in [name for name in state_dict if name.startswith(old)]:
        state_dict[new + name.removeprefix(old)] = state_dict.pop(name)


def _set(context: Tensor | None) -> Tensor:
    if context is None:
        raise ValueError("The points have no contexts: call the flow within `with flow.at(contexts):`.")
    return context


class ConditionalMap(FlowMap):
    """f(x; c) at fixed weights and contexts. Each row has scales, shifts and biases of its own."""

    def inverse(self, z: Tensor, bounds: Sequence[float], norms: Sequence[VectorNorm]) -> Tensor:
        """As `FlowMap.inverse`. Banach's iteration keeps all rows to the end, as their contexts need it."""
        z = self._unscaled(-1, z)
        for k, g in reversed([*enumerate(self.networks)]):
            z = self._unscaled(k, solve_banach(g, z, bounds[k], norm=norms[k]))
        return z


class ConditionalFlow(Flow):
    """A residual flow of x, given a context. Its methods work within `at(contexts)`.

    Raises ValueError for a flow of other branches than "residual".
    """

    def __init__(self, config: FlowConfig, context: int, generator: torch.Generator):
        if config.branch != "residual":
            raise ValueError(f'branch = {config.branch!r}: a flow with a context needs branch="residual".')
        super().__init__(config, generator, partial(ConditionalBranch, context=context))
        self.context = context
        self.bijections.insert(0, ConditionalAffine(config.dim, context, generator))

    @property
    def affine(self) -> ConditionalAffine:
        """The first part, u = (x - m(c)) exp(-s(c))."""
        return cast(ConditionalAffine, self.bijections[0])

    @contextmanager
    def at(self, contexts: Tensor) -> Iterator[None]:
        """A context manager. Within it the rows of all points have these contexts, (batch, context)."""
        parts = [part for part in self.modules() if isinstance(part, ConditionalBranch | ConditionalAffine)]
        before = self.affine.context
        try:
            for part in parts:
                part.context = contexts
            yield
        finally:
            for part in parts:
                part.context = before

    def map(
        self, parameters: Mapping[str, Tensor] | None = None, breathe: Callable[[], None] = lambda: None
    ) -> ConditionalMap:
        """As `Flow.map`, at the present contexts. Its first scale and shift have the affine map in them:

        s_0 u + m_0 = s_0 exp(-s(c)) x + (m_0 - s_0 exp(-s(c)) m(c))
        """
        f, (centre, log_scale) = super().map(parameters, breathe), self.affine.centre_and_log_scale()
        scale = f.scales[0] * torch.exp(-log_scale.T)
        return ConditionalMap(
            [scale, *f.scales[1:]],
            [f.shifts[0] - scale * centre.T, *f.shifts[1:]],
            f.log_det_of_scales - log_scale.sum(1),
            f.network,
        )

    def _chunks(self, x: Tensor, tangents: int = 1) -> Sequence[Tensor]:
        """All points: a map is made for the contexts of these rows."""
        return [x]

    def _forward(self, x: Tensor) -> Tensor:
        return torch.cat([*self._in_parts(super()._forward, x)])

    def _forward_and_log_det(
        self, x: Tensor, log_det: LogDet, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        if not isinstance(log_det, Exact):
            return super()._forward_and_log_det(x, log_det, generator)
        of_part = super()._forward_and_log_det
        found = self._in_parts(lambda rows: of_part(rows, log_det, generator), x, self.dim)
        z, log_dets = map(torch.cat, zip(*found, strict=True))
        return z, log_dets

    def _inverse(self, z: Tensor) -> Tensor:
        return torch.cat([*self._in_parts(super()._inverse, z)])

    def _in_parts(self, of_part: Callable[[Tensor], T], x: Tensor, tangents: int = 1) -> Iterator[T]:
        """The results at some points at a time, each with their contexts."""
        parts = super()._chunks(x, tangents)
        for rows, contexts in zip(parts, _set(self.affine.context).split(max(1, len(parts[0]))), strict=True):
            with self.at(contexts):
                yield of_part(rows)
