"""Hybrids that are told the class of a few points alone: how much the density of all others helps the classifier."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from resflow_core.data import HELD_OUT_SEED, Toy
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.measure import classification, log_class_probs
from resflow_core.training.trainer import HybridTrainConfig, Trainer

UNTOLD = -100
"""In the place of a class: the loss of classes leaves such points out (`torch.nn.functional.nll_loss`)."""
NOISE_SEED = HELD_OUT_SEED - 2  # of the noise of held-out points; training draws by seeds far below


@dataclass(frozen=True)
class FewLabels:
    """Draws of `toy` whose class is `UNTOLD`, but for the first `labels` of each batch: always the same held-out
    points, from the one at `first` on. `noise` further coordinates are N(0, 1) and say nothing of the class."""

    toy: Toy
    labels: int
    first: int = 0
    noise: int = 0

    @property
    def title(self) -> str:
        return f"{self.toy.title}, {self.labels} labels"

    @property
    def classes(self) -> tuple[str, ...]:
        return self.toy.classes

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """(n, 2 + noise) points."""
        return self._beside(self.toy.sample(n, generator), generator)

    def sample_labelled(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """As `sample`, with the classes that are told, (n,)."""
        known = slice(self.first, self.first + self.labels)
        x, y = self.sample(n, generator), torch.full((n,), UNTOLD)
        x[: self.labels], y[: self.labels] = self.held_out()[known], self.toy.held_out_classes()[known]
        return x, y

    def held_out(self) -> Tensor:
        """Those of `toy`, with noise that is the same each time."""
        return self._beside(self.toy.held_out(), torch.Generator().manual_seed(NOISE_SEED))

    def _beside(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return torch.cat([x, torch.randn(len(x), self.noise, generator=generator)], 1)


def accuracy(data: FewLabels, flow: FlowConfig, train: HybridTrainConfig, steps: int, seed: int, told: int) -> float:
    """Of a hybrid that is trained for so many steps, in per cent, at all held-out points but the first `told`."""
    config: Any = replace(flow, dim=2 + data.noise)
    trainer = Trainer(HybridConfig(config, len(data.classes)), train, data, seed)
    for _ in range(steps):
        trainer.step()
    x, y = data.held_out()[told:], data.toy.held_out_classes()[told:]
    hybrid: Any = trainer.evaluated_model
    return 100 * classification(log_class_probs(hybrid, x), y).accuracy.value
