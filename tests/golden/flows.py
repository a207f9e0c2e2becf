"""Weights and points that are the same everywhere: uniform draws, which no processor rounds in its own way."""

import torch
from torch import Tensor, nn

BY = 0.4
"""How far each number of a flow is moved at most."""


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def moved(flow: nn.Module, seed: int, by: float = BY) -> nn.Module:
    """The flow with all parameters moved, by their names in order: what begins at 0 then matters too."""
    draws = generator(seed)
    for _, parameter in sorted(flow.named_parameters()):
        parameter.add_(by * (2 * torch.rand(parameter.shape, generator=draws, dtype=torch.float64) - 1))
    return flow


def points(n: int, dim: int, seed: int, half: float = 2.0) -> Tensor:
    """n points in a cube, float64."""
    return half * (2 * torch.rand(n, dim, generator=generator(seed), dtype=torch.float64) - 1)
