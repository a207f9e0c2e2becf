"""One flow that generates and classifies: a density of x, and a classifier that reads the flow's latent.

    J = E_{x, y ~ data} [ lambda log p(x) + log p(y|x) ],   log p(x) by the flow f,   p(y|x) = softmax(h(f(x)))_y

(paper, section 5.4, after Nalisnick et al. 2019). lambda = 1 is the joint log-likelihood log p(x, y). y has fewer
dimensions than x, so lambda < 1 gives more weight to the classes. lambda = 0 leaves only the classifier.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from resflow_core.actnorm import ActNorm
from resflow_core.arguments import checked_generator
from resflow_core.flow import FlowMap, NormalizingFlow, standard_normal_log_prob
from resflow_core.log_det import Exact, LogDet
from resflow_core.settings import check, setting

FEWEST_CLASSES, MOST_CLASSES = 2, 20


class DensityConfig(Protocol):
    """What builds a flow: a `FlowConfig`, or that of a baseline. A frozen dataclass."""

    dim: int

    def build(self, generator: torch.Generator) -> NormalizingFlow: ...


@dataclass(frozen=True)
class HybridConfig:
    """The settings of a hybrid. Without a flow (None) it is a classifier of standardised x."""

    flow: DensityConfig | None = None
    classes: int = setting(2, "Classes", "Different labels.", low=FEWEST_CLASSES, high=MOST_CLASSES)
    width: int = setting(
        16,
        "Head width",
        "Units in the hidden layer of the classifier. With 0, straight lines in the latent space separate the classes. "
        "They cannot separate a ring within a ring, because an invertible map keeps it a ring within a ring.",
        low=0,
        high=256,
    )
    hidden_layers: int = setting(
        1, "Hidden layers", "Hidden layers of the classifier, unless its width is 0.", low=1, high=4, rare=True
    )

    def __post_init__(self) -> None:
        check(self)
        if self.flow:
            replace(cast(Any, self.flow))  # a flow that was unpickled has not made its own checks

    @property
    def dim(self) -> int:
        return self.flow.dim if self.flow else 2

    @property
    def head_widths(self) -> list[int]:
        """Units of each of the head's layers, from the latent to the classes."""
        return [self.dim, *[self.width] * (self.hidden_layers if self.width else 0), self.classes]

    def build(self, generator: torch.Generator) -> "Hybrid":
        """The hybrid with weights drawn from `generator`, the flow's first: they are those of the flow alone."""
        return Hybrid(self, checked_generator(generator, "build"))


class Hybrid(nn.Module):
    """A flow and a classifier of its latent."""

    def __init__(self, config: HybridConfig, generator: torch.Generator):
        super().__init__()
        self.config = config
        self.flow = config.flow.build(generator) if config.flow else NormalizingFlow([ActNorm(config.dim)])
        self.head = _head(config.head_widths, generator)

    def log_class_probs(self, x: Tensor) -> Tensor:
        """log p(y|x) in nats for every class, (batch, dim) -> (batch, classes)."""
        return self.classify(self.flow(x))

    def classify(self, z: Tensor) -> Tensor:
        """log p(y|z) in nats for every class, from the latent, (batch, dim) -> (batch, classes)."""
        return self.head(z).log_softmax(1)

    def log_probs(
        self,
        x: Tensor,
        log_det: LogDet | None = None,
        generator: torch.Generator | None = None,
        f: FlowMap | None = None,
    ) -> tuple[Tensor, Tensor]:
        """log p(x), (batch,), as `NormalizingFlow.log_prob` has it, and `log_class_probs`, in one pass. `f` is the map
        of the flow, where it is made already."""
        z, log_dets = (f or self.flow).forward_and_log_det(x, log_det or Exact(), generator)
        return standard_normal_log_prob(z) + log_dets, self.classify(z)

    def losses(
        self,
        x: Tensor,
        y: Tensor,
        weight: float,
        log_det: LogDet,
        generator: torch.Generator | None = None,
        f: FlowMap | None = None,
    ) -> tuple[Tensor, Tensor]:
        """-J of a batch, and its mean -log p(x), in nats: the loss of training, and the part that is scaled by lambda.

        At lambda = 0 the loss does not depend on log p(x), not even by a factor 0: no log det is estimated, and the
        second is exact.
        """
        log_prob, log_classes = self.log_probs(x, log_det if weight else Exact(), generator, f)
        nll = -log_prob.mean()
        class_nll = nn.functional.nll_loss(log_classes, y)
        return class_nll + weight * nll if weight else class_nll, nll

    def initialize(self, x: Tensor, breathe: Callable[[], None] = lambda: None) -> None:
        """As `NormalizingFlow.initialize`."""
        self.flow.initialize(x, breathe)


@torch.no_grad()
def _head(widths: list[int], generator: torch.Generator) -> nn.Sequential:
    """Linear layers, with SiLU between them; weights and biases uniform within +-1/sqrt(in_features)."""
    layers: list[nn.Module] = []
    for m, n in pairwise(widths):
        # Built without weights: torch would draw them from the global generator.
        linear = nn.utils.skip_init(nn.Linear, m, n)
        for parameter in linear.parameters():
            parameter.uniform_(-(m**-0.5), m**-0.5, generator=generator)
        layers += [linear, nn.SiLU()]
    return nn.Sequential(*layers[:-1])
