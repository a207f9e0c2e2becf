"""Digits with their classes: scikit-learn's 1,797 images of 8 x 8 pixels as logits (`resflow_core.data.digits`), split
into folds, so that each image is judged once by a model that has not seen it."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from resflow_core.data.base import HELD_OUT_SEED
from resflow_core.data.digits import DIM, NOISE_SEED, dequantised, to_logits
from resflow_core.extras import extra

FOLDS = 5


@dataclass(frozen=True)
class Written:
    """The images without those of one fold of `FOLDS`, to train on. Raises ModuleNotFoundError if scikit-learn is not
    installed."""

    fold: int = 0
    title: ClassVar[str] = "Digits"
    dim: ClassVar[int] = DIM
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws, float32, (n, 64): a random image each, with its own noise."""
        return self.sample_labelled(n, generator)[0]

    def sample_labelled(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n draws with their classes, (n,)."""
        levels, classes = self._split[0]
        drawn = torch.randint(len(levels), (n,), generator=generator)
        return _logits(levels[drawn], generator), classes[drawn]

    @cached_property
    def judged(self) -> tuple[Tensor, Tensor]:
        """The images of the fold, with the same noise in every run, and their classes."""
        levels, classes = self._split[1]
        return _logits(levels, torch.Generator().manual_seed(NOISE_SEED)), classes

    def held_out(self) -> Tensor:
        return self.judged[0]

    def held_out_classes(self) -> Tensor:
        return self.judged[1]

    @cached_property
    def _split(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Images and classes to train on, and those of the fold."""
        with extra("data"):
            from sklearn.datasets import load_digits  # importing it costs a second

        images = load_digits()
        levels, classes = torch.from_numpy(images.data), torch.from_numpy(images.target).long()
        order = torch.randperm(len(levels), generator=torch.Generator().manual_seed(HELD_OUT_SEED))
        in_fold = torch.arange(len(levels)) % FOLDS == self.fold
        train, judged = order[~in_fold], order[in_fold]
        return (levels[train], classes[train]), (levels[judged], classes[judged])


def _logits(levels: Tensor, generator: torch.Generator) -> Tensor:
    return to_logits(dequantised(levels, generator))[0].float()
