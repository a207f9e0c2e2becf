"""Classes that no coordinate shows: a set of the plane beside coordinates of noise, all of them rotated together. A
coupling block keeps half of the coordinates, whichever they are; a residual block has no such halves."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from resflow_core.data import DATASETS

TURN_SEED, JUDGED_SEED, TOLD_SEED, JUDGED = 11, 99, 1_000, 10_000
UNTOLD = -100
"""In the place of a class: the loss of classes leaves such points out (`torch.nn.functional.nll_loss`)."""


@dataclass(frozen=True)
class Rotated:
    """Draws of the set called `data` with their classes, and dim - 2 coordinates of N(0, 1), times a random orthogonal
    matrix that is the same in every run.

    With `told` classes, those are of the same points in every batch, drawn by `seed`; all other points of a batch are
    new and have the class `UNTOLD`.
    """

    data: str = "noisymoons"
    dim: int = 8
    told: int | None = None
    seed: int = 0

    @property
    def title(self) -> str:
        return f"{self.toy.title} among noise, rotated"

    @property
    def toy(self) -> Any:
        return DATASETS[self.data]

    @property
    def classes(self) -> tuple[str, ...]:
        return self.toy.classes

    @cached_property
    def turn(self) -> Tensor:
        """(dim, dim), orthogonal."""
        normal = torch.randn(self.dim, self.dim, generator=torch.Generator().manual_seed(TURN_SEED))
        return torch.linalg.qr(normal)[0]

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws, float32, (n, dim)."""
        return self._beside(self.toy.sample(n, generator), generator)

    def sample_labelled(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n draws with their classes, (n,)."""
        x, y = self._drawn(n, generator)
        if self.told is None:
            return x, y
        known, classes = self._known
        hidden = torch.full((n - len(known),), UNTOLD)
        return torch.cat([known, x[len(known) :]]), torch.cat([classes, hidden])

    @cached_property
    def _known(self) -> tuple[Tensor, Tensor]:
        """The points whose classes are told."""
        return self._drawn(self.told or 0, torch.Generator().manual_seed(TOLD_SEED + self.seed))

    def _drawn(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x, y = self.toy.sample_labelled(n, generator)
        return self._beside(x, generator), y

    @cached_property
    def judged(self) -> tuple[Tensor, Tensor]:
        """Points that nobody is trained on, with their classes: the same in every run."""
        return self._drawn(JUDGED, torch.Generator().manual_seed(JUDGED_SEED))

    def held_out(self) -> Tensor:
        return self.judged[0][:2000]

    def held_out_classes(self) -> Tensor:
        return self.judged[1][:2000]

    def _beside(self, x: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(len(x), self.dim - 2, generator=generator)
        return torch.cat([x, noise], 1) @ self.turn.T
