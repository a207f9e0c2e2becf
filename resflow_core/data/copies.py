"""Data of any even dimension: independent copies of a set in the plane, so that only the dimension differs."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from resflow_core.data.base import HELD_OUT_POINTS, HELD_OUT_SEED, Toy


@dataclass(frozen=True)
class Copies:
    """d / 2 independent points of `toy` side by side, as a point of R^d with d = `dim`.

    Raises ValueError unless d is even and positive.
    """

    toy: Toy
    dim: int

    def __post_init__(self):
        if self.dim < 2 or self.dim % 2:
            raise ValueError(f"dim = {self.dim}: use an even number from 2 on.")

    @property
    def title(self) -> str:
        return f"{self.toy.title}, {self.dim // 2} independent copies"

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws, float32, shape (n, d). Raises ValueError without a `torch.Generator`."""
        return self.toy.sample(n * self.dim // 2, generator).view(n, self.dim)

    def held_out(self) -> Tensor:
        """2,000 draws that are the same in every run, float32, shape (2000, d)."""
        return self._held_out

    @cached_property
    def _held_out(self) -> Tensor:
        return self.sample(HELD_OUT_POINTS, torch.Generator().manual_seed(HELD_OUT_SEED))
