"""The two laws that every toy set is made of, each (n, ...) float32 from a passed generator."""

import torch
from torch import Tensor


def uniform(n: int, generator: torch.Generator) -> Tensor:
    """n numbers from [0, 1)."""
    return torch.rand(n, generator=generator)


def normal(n: int, generator: torch.Generator) -> Tensor:
    """n points from the standard normal of the plane, (n, 2)."""
    return torch.randn(n, 2, generator=generator)
