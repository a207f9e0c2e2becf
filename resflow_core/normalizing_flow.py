"""Normalizing flows: what all of them share, whatever their layers are."""

import math

import torch
from torch import Tensor

from resflow_core.actnorm import ActNorm
from resflow_core.bijection import Chain
from resflow_core.log_det import LogDet


class NormalizingFlow(Chain):
    """A density on R^dim: log p(x) = log N(f(x); 0, I) + sum over the parts of log|det| (paper, equation 1).

    `forward`, `inverse`, `forward_and_log_det` are a `Chain`'s, `forward_and_log_dets` gives every part's log det.
    """

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Initialise each ActNorm, in order, on these points as they arrive there; shape (batch, dim)."""
        for part in self.bijections:
            if isinstance(part, ActNorm):
                part.initialize(x)
            x = part(x)

    def log_prob(self, x: Tensor, log_det: LogDet | None = None, generator: torch.Generator | None = None) -> Tensor:
        """log p(x) in nats, shape (batch,); with an estimating `log_det`, an estimate of it."""
        z, log_dets = self.forward_and_log_det(x, log_det, generator)
        return standard_normal_log_prob(z) + log_dets

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n independent draws x = f^-1(z), z ~ N(0, I); shape (n, dim), on the flow's device."""
        like = next(self.parameters())
        z = torch.randn(n, self.dim, generator=generator, device=generator.device).to(like)
        return self.inverse(z)

    def advance(self) -> None:
        """After a step of training: whatever goes on from one step to the next does so. Here nothing does."""

    def order_loss(self) -> Tensor:
        """What is descended beside the NLL, and depends on parameters that the NLL leaves alone. Here 0."""
        return torch.zeros(())


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I) in nats, (batch, d) -> (batch,)."""
    return -0.5 * (z.square().sum(1) + z.shape[1] * math.log(2 * math.pi))
