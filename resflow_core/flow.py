"""Normalizing flows, and the residual flow: blocks and ActNorms in turn, over a standard normal base (paper, section
3)."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from resflow_core.activations import ACTIVATIONS, activation_named
from resflow_core.actnorm import ActNorm
from resflow_core.arguments import check_finite, checked_generator
from resflow_core.bijection import Bijection, Chain
from resflow_core.fixed_point import VectorNorm, solve
from resflow_core.lipschitz import CONSTRAINTS, NORM_CHAINS, Constraint, Soft
from resflow_core.log_det import Drawn, Exact, LogDet, Roulette, Truncated, drawn, from_jacobians
from resflow_core.residual import BRANCHES, Branch, Network, ResidualBlock, Stack
from resflow_core.settings import check, setting, told

# In higher dimensions the exact log det, which judges a flow in the end, takes too long.
MOST_DIM = 256
PLANE = 2
# Without gradients nothing is kept, and the tangents of this many numbers fit into the processor's cache.
CHUNK_NUMBERS = 2**18


class NormalizingFlow(Chain):
    """A density on R^dim: log p(x) = log N(f(x); 0, I) + sum over the parts of log|det| (paper, equation 2).

    `forward`, `inverse`, `forward_and_log_det` and `forward_and_log_dets` are those of a `Chain`.
    """

    @torch.no_grad()
    def initialize(self, x: Tensor, breathe: Callable[[], None] = lambda: None) -> None:
        """Initialise each ActNorm on these points, (batch, dim), as they arrive there; `breathe` after each part.

        Raises ValueError as `ActNorm.initialize`, and for points that are not finite.
        """
        check_finite(self._checked(x))
        for part in self.parts:
            if isinstance(part, ActNorm):
                part.initialize(x)
            x = part(x)
            breathe()

    def log_prob(self, x: Tensor, log_det: LogDet | None = None, generator: torch.Generator | None = None) -> Tensor:
        """log p(x) in nats, (batch,), or its estimate if `log_det` is an estimator.

        It is NaN or -inf at a point that is not finite. Raises ValueError as `forward_and_log_det`.
        """
        z, log_dets = self.forward_and_log_det(x, log_det, generator)
        return standard_normal_log_prob(z) + log_dets

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n independent samples x = f^-1(z), z ~ N(0, I), (n, dim), on the flow's device.

        Raises ValueError for a wrong n or generator, and the errors of `inverse`.
        """
        if not isinstance(n, Integral) or n < 0:
            raise ValueError(f"n = {told(n)}: use a whole number of at least 0.")
        generator, like = checked_generator(generator, "sample"), next(self.parameters())
        z = torch.randn(n, self.dim, generator=generator, device=generator.device).to(like)
        return self.inverse(z)


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I) in nats, (batch, d) -> (batch,)."""
    return -0.5 * (z.square().sum(1) + z.shape[1] * math.log(2 * math.pi))


class Uncertified(ValueError):
    """The Lipschitz bound of a block is not below 1, so no inverse is certified."""


@dataclass(frozen=True)
class FlowConfig:
    """The settings of a residual flow. A flow with other settings is another flow."""

    blocks: int = setting(24, "Blocks", "Residual blocks, one after another.", low=1, high=32)
    width: int = setting(32, "Width", "Units in each hidden layer of a block.", low=2, high=256)
    hidden_layers: int = setting(1, "Hidden layers", "Hidden layers in each block.", low=1, high=4, rare=True)
    activation: str = setting(
        "sine", "Activation", "The nonlinear function inside the blocks.", choices=ACTIVATIONS, written=activation_named
    )
    budget: float = setting(
        0.99,
        "Lipschitz budget L",
        "Bound on the Lipschitz constant of each block; the constraint keeps it. Below 1 every block is invertible.",
        low=0.05,
        high=0.999,
    )
    actnorm: bool = setting(
        True, "ActNorm", "A learned scale and shift before each block and after the last.", rare=True
    )
    norms: str = setting(
        "2",
        "Norms",
        "Orders of the norms in which the layers of a block are constrained.",
        choices=NORM_CHAINS,
        rare=True,
    )
    constraint: Constraint = setting(
        Soft(), "Constraint", "How a layer's norm is kept at its cap.", choices=CONSTRAINTS, rare=True
    )
    dim: int = 2
    branch: str = setting(
        "residual",
        "Layers of a block",
        "How the layers inside a block are joined. Dense: each one gets the outputs of all layers before it.",
        choices=BRANCHES,
        rare=True,
    )

    def __post_init__(self) -> None:
        check(self)
        if type(self.dim) is not int or not 1 <= self.dim <= MOST_DIM:
            raise ValueError(f"dim = {self.dim!r}: use a whole number from 1 to {MOST_DIM}.")

    def build(self, generator: torch.Generator) -> "Flow":
        """The flow with weights drawn from `generator`. Raises ValueError without one."""
        return Flow(self, checked_generator(generator, "build"))


@dataclass(frozen=True, eq=False)
class FlowMap:
    """The map f of a residual flow at fixed weights, over n blocks: x <- s_i x + m_i, then x <- x + g_i(x), and
    s_n x + m_n at the end. All that is computed of the parameters alone is computed once, for any number of points."""

    scales: Sequence[Tensor]  # s_0, ..., s_n, (dim, 1) each; (dim, batch) where they differ from point to point
    shifts: Sequence[Tensor]  # m_0, ..., m_n
    log_det_of_scales: Tensor  # sum of the log s_i, () or (batch,)
    network: Network  # of all branches, stacked
    kernels: Any = None  # those of the flow

    @cached_property
    def networks(self) -> Sequence[Network]:
        """g_0, ..., g_{n-1}."""
        return self.network.unstacked()

    def stages(self, x: Tensor) -> list[Tensor]:
        """x, where each residual block leaves it, and z; n + 2 times (batch, dim)."""
        stages = [x]
        for k, g in enumerate(self.networks):
            y = self._scaled(k, stages[-1])
            stages.append(y + g(y))
        return [*stages, self._scaled(-1, stages[-1])]

    def __call__(self, x: Tensor) -> Tensor:
        """z, (batch, dim)."""
        return self.stages(x)[-1]

    def forward_and_jacobians(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z, (batch, dim), and every A = dg/dx, (n, batch, dim, dim), at the points that arrive there."""
        found = (fused(self, x) for fused in FUSED)
        return next((one for one in found if one is not None), None) or self.jacobians_by_autograd(x)

    def jacobians_by_autograd(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The same without `FUSED`; differentiable any number of times."""
        columns = x.T.contiguous()

        def through_the_blocks() -> Iterator[Any]:
            nonlocal columns
            for scale, shift, g in zip(self.scales, self.shifts, self.networks, strict=False):
                y = torch.addcmul(shift, scale, columns)
                near = g.near_columns(y)
                columns = y + near.columns
                yield near

        jacobians = self.network.jacobians(through_the_blocks())
        return self._scaled(-1, columns.T), jacobians

    def forward_and_log_dets(
        self, x: Tensor, log_det: LogDet, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """z, (batch, dim), and the log det of each block, (n, batch)."""
        # Beyond the plane, one block after the other stays in the cache; with gradients `FUSED` is faster still.
        if needs_jacobians(log_det, x.shape[1]) and (x.shape[1] == PLANE or torch.is_grad_enabled()):
            z, jacobians = self.forward_and_jacobians(x)
            return z, from_jacobians(log_det, jacobians, x, generator)
        log_dets = []
        for k, g in enumerate(self.networks):
            y = self._scaled(k, x)
            value, of_block = log_det.value_and_log_det(g, y, generator)
            log_dets.append(of_block)
            x = y + value
        return self._scaled(-1, x), torch.stack(log_dets)

    def forward_and_log_det(
        self, x: Tensor, log_det: LogDet, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """z, (batch, dim), and log|det dz/dx| or its estimate, (batch,)."""
        if self.kernels and needs_jacobians(log_det, x.shape[1]) and self.kernels.differentiates(x):
            z, of_blocks = self.kernels.differentiable(self, x, drawn(log_det, len(self.networks), x, generator))
            return z, of_blocks + self.log_det_of_scales
        z, log_dets = self.forward_and_log_dets(x, log_det, generator)
        return z, log_dets.sum(0) + self.log_det_of_scales

    def inverse(self, z: Tensor, bounds: Sequence[float], norms: Sequence[VectorNorm]) -> Tensor:
        """x with f(x) = z, for bounds L of the blocks in these norms. Raises `NotConverged`."""
        z = self._unscaled(-1, z)
        for k, g in reversed([*enumerate(self.networks)]):
            z = self._unscaled(k, solve(g, z, bounds[k], norm=norms[k]))
        return z

    def _scaled(self, k: int, x: Tensor) -> Tensor:
        return torch.addcmul(self.shifts[k].T, self.scales[k].T, x)

    def _unscaled(self, k: int, y: Tensor) -> Tensor:
        return (y - self.shifts[k].T) / self.scales[k].T

    @property
    def tensors(self) -> list[Tensor]:
        """All that the map depends on."""
        return [*self.scales, *self.shifts, self.log_det_of_scales, *self.network.parameters()]

    def at(self, tensors: Sequence[Tensor]) -> "FlowMap":
        """The same map with other `tensors`."""
        n, rest = len(self.scales), iter(tensors)
        scales, shifts, log_det = [*islice(rest, n)], [*islice(rest, n)], next(rest)
        return FlowMap(scales, shifts, log_det, self.network.at(rest), self.kernels)


FUSED: list[Callable[[FlowMap, Tensor], tuple[Tensor, Tensor] | None]] = []
"""Faster ways to `FlowMap.forward_and_jacobians`, each None where it has none (`resflow_core.fast.fused`)."""


def needs_jacobians(log_det: LogDet, dim: int) -> bool:
    """Whether a log det is made of A: the exact one, and in the plane each estimate, since A costs less there than its
    vector-Jacobian products."""
    return isinstance(log_det, Exact) or (dim == PLANE and isinstance(log_det, Truncated | Roulette | Drawn))


class Flow(NormalizingFlow):
    """The residual flow of a `FlowConfig`: its parameters, in blocks and ActNorms, and its maps. With `kernels`, an
    instance of `fast.compiled.CompiledValues`, values are theirs where they have them."""

    kernels: Any = None

    def __init__(self, config: FlowConfig, generator: torch.Generator, branch: Callable[..., Branch] | None = None):
        widths = [config.dim, *[config.width] * config.hidden_layers, config.dim]
        parts: list[Bijection] = []
        branch = branch or BRANCHES[config.branch].network
        for _ in range(config.blocks):
            parts += [ActNorm(config.dim)] if config.actnorm else []
            g = branch(widths, config.activation, config.budget, generator, config.norms, config.constraint)
            parts.append(ResidualBlock(g, config.dim))
        parts += [ActNorm(config.dim)] if config.actnorm else []
        super().__init__(parts)
        self.config = config

    @property
    def blocks(self) -> list[ResidualBlock]:
        """The residual blocks, in order."""
        return [part for part in self.parts if isinstance(part, ResidualBlock)]

    @property
    def branches(self) -> list[Branch]:
        """The branch g of each block."""
        return [block.branch for block in self.blocks]

    @property
    def first_branch(self) -> Branch:
        """That of the first block, found without looking at the others."""
        return next(part.branch for part in self.parts if isinstance(part, ResidualBlock))

    @property
    def actnorms(self) -> list[ActNorm]:
        """One before each block and one at the end, or none."""
        return [part for part in self.parts if isinstance(part, ActNorm)]

    @property
    def stacked_names(self) -> list[str]:
        """The names within a block of the parameters that a `map` depends on: learned orders are constants to it."""
        of_branch = [f"branch.{name}" for name, _ in self.first_branch.named_parameters() if name != "raw_orders"]
        return [*of_branch, *(["log_scale", "shift"] if self.config.actnorm else [])]

    def map(
        self, parameters: Mapping[str, Tensor] | None = None, breathe: Callable[[], None] = lambda: None
    ) -> FlowMap:
        """f at the present weights, or at others: `parameters` by their names within a block, stacked over the blocks.
        `breathe` is called where the norms of its layers take long."""
        of_branch, branches = None, self.branches
        if parameters is not None:
            of_branch = {name.removeprefix("branch."): value for name, value in parameters.items()}
        network = Stack(branches, of_branch).network(breathe)
        if not self.config.actnorm:
            ones = network.weights[0].new_ones(self.dim, 1)
            n = len(branches) + 1
            return FlowMap([ones] * n, [torch.zeros_like(ones)] * n, ones.new_zeros(()), network, self.kernels)
        log_scale, shift = (
            torch.stack([getattr(norm, name) for norm in self.actnorms]) if parameters is None else parameters[name]
            for name in ("log_scale", "shift")
        )
        scales, shifts = log_scale.exp()[:, :, None].unbind(), shift[:, :, None].unbind()
        return FlowMap(scales, shifts, log_scale.sum(), network, self.kernels)

    def lipschitz_bounds(self) -> list[float]:
        """The certified bound L >= Lip(g) of each block."""
        return Stack(self.branches).lipschitz_bounds()

    def scaled(self, block: int, scale: float) -> "Flow":
        """A copy of this flow, with the branch of one block (from 0) multiplied by `scale`."""
        flow = copy.deepcopy(self)
        flow.blocks[block].branch.scale *= scale
        return flow

    @property
    def actnorm_log_det(self) -> Tensor:
        """The part of log|det dz/dx| that all points share: the sum of every ActNorm's log scales."""
        return torch.stack([norm.log_scale for norm in self.actnorms]).sum() if self.config.actnorm else torch.zeros(())

    def forward_and_jacobians(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z = f(x), (batch, dim), and every block's A = dg/dx at the point that arrives there, (batch, blocks, dim,
        dim)."""
        x = self._checked(x)
        if self.kernels and self.kernels.takes(self, x):
            return self.kernels.forward_and_jacobians(self, x)
        f = self.map()
        z, jacobians = zip(*map(f.forward_and_jacobians, self._chunks(x, self.dim)), strict=True)
        return torch.cat(z), torch.cat(jacobians, 1).transpose(0, 1)

    @torch.no_grad()
    def stages(self, x: Tensor) -> list[Tensor]:
        """The points on their way: x, where each residual block leaves them, and z; blocks + 2 times (batch, dim)."""
        x = self._checked(x)
        if self.kernels and self.kernels.takes(self, x):
            return self.kernels.stages(self, x)
        return self.map().stages(x)

    def _chunks(self, x: Tensor, tangents: int = 1) -> Sequence[Tensor]:
        """The points, of which some at a time are computed without gradients."""
        return [x] if torch.is_grad_enabled() else x.split(max(1, CHUNK_NUMBERS // self.config.width // tangents))

    def _forward(self, x: Tensor) -> Tensor:
        return torch.cat([*map(self.map(), self._chunks(x))])

    def _forward_and_log_det(
        self, x: Tensor, log_det: LogDet, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        if not isinstance(log_det, Exact):
            return self.map().forward_and_log_det(x, log_det, generator)
        if self.kernels and self.kernels.takes(self, x):
            z, log_dets = self.kernels.forward_and_log_det(self, x)
            return z, log_dets + self.actnorm_log_det
        f = self.map()
        found = [f.forward_and_log_det(part, log_det, generator) for part in self._chunks(x, self.dim)]
        z, log_dets = map(torch.cat, zip(*found, strict=True))
        return z, log_dets

    def _inverse(self, z: Tensor) -> Tensor:
        bounds = self.lipschitz_bounds()
        for k, bound in enumerate(bounds, 1):
            if not bound < 1:
                raise Uncertified(
                    f"Block {k} has the certified bound {bound:.4g}. At 1 or above, neither the inverse nor the "
                    "iteration to it is certified. Lower its scale, or constrain its layers."
                )
        if self.kernels and self.kernels.takes(self, z) and (x := self.kernels.inverse(self, z, bounds)) is not None:
            return x
        return self.map().inverse(z, bounds, [branch.norm_of for branch in self.branches])
