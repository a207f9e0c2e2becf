"""The residual flow: blocks and ActNorms in turn, over a standard normal base."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from resflow_core.activations import ACTIVATIONS
from resflow_core.actnorm import ActNorm
from resflow_core.branch import Branch, fold, folded_together, lipschitz_bounds, order_loss
from resflow_core.expressions import activation_named
from resflow_core.fast import fused_flow
from resflow_core.fast.plane import log_abs_det_of_identity_plus
from resflow_core.lipschitz import CONSTRAINTS, Constraint, Soft
from resflow_core.log_det import Exact
from resflow_core.normalizing_flow import NormalizingFlow
from resflow_core.norms.norm_orders import CHAINS
from resflow_core.residual import ResidualBlock
from resflow_core.settings import check, setting

# Beyond, the exact log det, by which flows are judged in the end, takes too long.
MOST_DIM = 256


class Uncertified(ValueError):
    """A block's Lipschitz bound is not below 1, so that no inverse is certified."""


@dataclass(frozen=True)
class FlowConfig:
    """Everything that says which flow is built. Changing a field means another flow."""

    blocks: int = setting(24, "Blocks", "Residual blocks, one after another.", low=1, high=32)
    width: int = setting(32, "Width", "Units in each hidden layer of a block.", low=2, high=256)
    hidden_layers: int = setting(1, "Hidden layers", "Hidden layers in each block.", low=1, high=4, rare=True)
    activation: str = setting(
        "sine", "Activation", "Nonlinearity inside the blocks.", choices=ACTIVATIONS, written=activation_named
    )
    budget: float = setting(
        0.99,
        "Lipschitz budget L",
        "Bound on each block's Lipschitz constant, as the constraint keeps it. Below 1 every block is invertible.",
        low=0.05,
        high=0.999,
    )
    actnorm: bool = setting(
        True, "ActNorm", "A learnt scale and shift before each block and after the last.", rare=True
    )
    norms: str = setting(
        "2",
        "Norms",
        "Orders of the norms in which the layers of a block are constrained.",
        choices=CHAINS,
        rare=True,
    )
    constraint: Constraint = setting(
        Soft(), "Constraint", "How a layer's norm is kept at its cap.", choices=CONSTRAINTS, rare=True
    )
    dim: int = 2

    def __post_init__(self):
        check(self)
        if type(self.dim) is not int or not 1 <= self.dim <= MOST_DIM:
            raise ValueError(f"dim = {self.dim!r}: use a whole number from 1 to {MOST_DIM}.")

    def build(self, generator: torch.Generator) -> "Flow":
        """The flow with weights drawn from `generator`."""
        return Flow(self, generator)


class Flow(NormalizingFlow):
    """The residual flow of a `FlowConfig` (paper, section 3)."""

    def __init__(self, config: FlowConfig, generator: torch.Generator):
        widths = [config.dim, *[config.width] * config.hidden_layers, config.dim]
        parts = []
        for _ in range(config.blocks):
            parts += [ActNorm(config.dim)] if config.actnorm else []
            branch = Branch(widths, config.activation, config.budget, generator, config.norms, config.constraint)
            parts.append(ResidualBlock(branch, config.dim))
        parts += [ActNorm(config.dim)] if config.actnorm else []
        super().__init__(parts)
        self.config = config

    @property
    def blocks(self) -> list[ResidualBlock]:
        """The residual blocks, in order."""
        return [part for part in self.bijections if isinstance(part, ResidualBlock)]

    @property
    def actnorms(self) -> list[ActNorm]:
        """One before each block and one at the end, or none."""
        return [part for part in self.bijections if isinstance(part, ActNorm)]

    def _folded_together(self):
        return folded_together([block.branch for block in self.blocks])

    def scaled(self, block: int, scale: float) -> "Flow":
        """A copy of this flow, with the branch of one block (from 0) multiplied by `scale`."""
        flow = copy.deepcopy(self)
        flow.blocks[block].branch.scale *= scale
        return flow

    def _inverse(self, z):
        bounds = lipschitz_bounds([block.branch for block in self.blocks])
        for k, bound in enumerate(bounds, 1):
            if not bound < 1:
                raise Uncertified(
                    f"Block {k} has the certified bound {bound:.4g}. At 1 or above nothing certifies an inverse, or "
                    "that the iteration finds it. Lower its scale, or constrain its layers."
                )
        with self._folded_together():
            for part in reversed(self.bijections):
                z = part.solve(z, bounds.pop()) if isinstance(part, ResidualBlock) else part.inverse(z)
        return z

    def _forward_and_log_det(self, x, log_det, generator):
        if isinstance(log_det, Exact):
            z, jacobians = self.forward_and_jacobians(x)
            return z, log_abs_det_of_identity_plus(jacobians).sum(1) + self.actnorm_log_det
        return super()._forward_and_log_det(x, log_det, generator)

    @property
    def actnorm_log_det(self) -> Tensor:
        """The part of log|det dz/dx| that all points share: the sum of every ActNorm's log scales."""
        return torch.stack([norm.log_scale for norm in self.actnorms]).sum() if self.config.actnorm else torch.zeros(())

    def order_loss(self) -> Tensor:
        """What learned orders descend while the weights descend the NLL; it depends on nothing else. 0 without them."""
        branches = [block.branch for block in self.blocks]
        return order_loss(branches) if branches[0].chain.learned else torch.zeros(())

    @torch.no_grad()
    def advance(self) -> None:
        """After a step of training: layers whose constraint goes on from one step to the next do so."""
        for block in self.blocks:
            for linear in block.branch.linears:
                linear.advance()

    @torch.no_grad()
    def stages(self, x: Tensor) -> list[Tensor]:
        """The points on their way: x, where each residual block leaves them, and z; blocks + 2 times (batch, dim)."""
        here, stages = self._checked(x), [x]
        with self._folded_together():
            for part in self.bijections:
                here = part(here)
                if isinstance(part, ResidualBlock):
                    stages.append(here)
        return [*stages, here]

    def forward_and_jacobians(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z = f(x), (batch, dim), and every block's A = dg/dx where the points have got to, (batch, blocks, dim, dim);
        once differentiable.
        """
        x = self._checked(x)
        branches = [block.branch for block in self.blocks]
        if norms := self.actnorms:
            scales, shifts = (
                torch.stack(parts) for parts in zip(*((n.log_scale, n.shift) for n in norms), strict=True)
            )
            scales = scales.exp()
        else:
            scales = x.new_ones(len(branches) + 1, self.dim)
            shifts = torch.zeros_like(scales)
        return fused_flow.forward_and_jacobians(x, branches[0].activation, scales, shifts, fold(branches))
