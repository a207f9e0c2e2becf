"""Normalizing flows, and the residual flow: blocks and ActNorms in turn, over a standard normal base (paper, section
3)."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from resflow_core.activations import ACTIVATIONS, activation_named
from resflow_core.actnorm import ActNorm
from resflow_core.arguments import check_finite, checked_generator
from resflow_core.bijection import Bijection, Chain
from resflow_core.lipschitz import CONSTRAINTS, NORM_CHAINS, Constraint, Soft
from resflow_core.log_det import LogDet
from resflow_core.residual import BRANCHES, Branch, ResidualBlock
from resflow_core.settings import check, setting, told

# In higher dimensions the exact log det, which judges a flow in the end, takes too long.
MOST_DIM = 256


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

    def build(self, generator: torch.Generator, implementation: str | None = None) -> "Flow":
        """The flow with weights drawn from `generator`, by one of `IMPLEMENTATIONS`: the last, unless one is named.
        They differ in speed alone. Raises ValueError for an unknown one, and without a generator."""
        if implementation is not None and implementation not in IMPLEMENTATIONS:
            raise ValueError(f"implementation = {implementation!r}: use one of {', '.join(IMPLEMENTATIONS)}.")
        return IMPLEMENTATIONS[implementation or [*IMPLEMENTATIONS][-1]](self, checked_generator(generator, "build"))


class Flow(NormalizingFlow):
    """The residual flow of a `FlowConfig`, as the paper writes it."""

    def __init__(
        self,
        config: FlowConfig,
        generator: torch.Generator,
        branch: Callable[..., Branch] | None = None,
        block: Callable[[Branch, int], ResidualBlock] = ResidualBlock,
    ):
        widths = [config.dim, *[config.width] * config.hidden_layers, config.dim]
        parts: list[Bijection] = []
        branch = branch or BRANCHES[config.branch].network
        for _ in range(config.blocks):
            parts += [ActNorm(config.dim)] if config.actnorm else []
            g = branch(widths, config.activation, config.budget, generator, config.norms, config.constraint)
            parts.append(block(g, config.dim))
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
    def actnorms(self) -> list[ActNorm]:
        """One before each block and one at the end, or none."""
        return [part for part in self.parts if isinstance(part, ActNorm)]

    @property
    def actnorm_log_det(self) -> Tensor:
        """The part of log|det dz/dx| that all points share: the sum of every ActNorm's log scales."""
        return torch.stack([norm.log_scale for norm in self.actnorms]).sum() if self.config.actnorm else torch.zeros(())

    def lipschitz_bounds(self) -> list[float]:
        """The certified bound L >= Lip(g) of each block."""
        return [branch.lipschitz for branch in self.branches]

    def scaled(self, block: int, scale: float) -> "Flow":
        """A copy of this flow, with the branch of one block (from 0) multiplied by `scale`."""
        flow = copy.deepcopy(self)
        flow.blocks[block].branch.scale *= scale
        return flow

    def forward_and_jacobians(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z = f(x), (batch, dim), and every block's A = dg/dx at the point that arrives there, (batch, blocks, dim,
        dim)."""
        x, jacobians = self._checked(x), []
        for part in self.parts:
            if isinstance(part, ResidualBlock):
                value, jacobian = part.branch.value_and_jacobian(x)
                jacobians.append(jacobian)
                x = x + value
            else:
                x = part(x)
        return x, torch.stack(jacobians, 1)

    @torch.no_grad()
    def stages(self, x: Tensor) -> list[Tensor]:
        """The points on their way: x, where each residual block leaves them, and z; blocks + 2 times (batch, dim)."""
        here, stages = self._checked(x), [x]
        for part in self.parts:
            here = part(here)
            if isinstance(part, ResidualBlock):
                stages.append(here)
        return [*stages, here]

    def _inverse(self, z: Tensor) -> Tensor:
        bounds = self.lipschitz_bounds()
        for k, bound in enumerate(bounds, 1):
            if not bound < 1:
                raise Uncertified(
                    f"Block {k} has the certified bound {bound:.4g}. At 1 or above, neither the inverse nor the "
                    "iteration to it is certified. Lower its scale, or constrain its layers."
                )
        for part in reversed(self.parts):
            z = part.solve(z, bounds.pop()) if isinstance(part, ResidualBlock) else part.inverse(z)
        return z


IMPLEMENTATIONS: dict[str, Callable[[FlowConfig, torch.Generator], Flow]] = {"paper": Flow}
