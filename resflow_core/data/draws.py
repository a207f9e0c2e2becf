"""The two distributions behind the toy sets, drawn as float32 from a passed generator."""

import torch
from torch import Tensor


def uniform(n: int, generator: torch.Generator) -> Tensor:
    """n uniform numbers on [0, 1), (n,)."""
    return torch.rand(n, generator=generator)


def normal(n: int, generator: torch.Generator) -> Tensor:
    """n points from the standard normal distribution of the plane, (n, 2)."""
    return torch.randn(n, 2, generator=generator)
