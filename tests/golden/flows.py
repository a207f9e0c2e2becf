"""Weights and points that are the same on every processor: uniform draws in float64."""

import torch
from torch import Tensor, nn

STEEP, BY = 1.5, 0.4
"""Entries of a matrix lie within STEEP / sqrt(columns), so that its norm is above a cap of 1; all others within BY."""


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def drawn(flow: nn.Module, seed: int, share: float = 1.0) -> nn.Module:
    """The flow with all parameters drawn anew, by their names in order: what begins at 0 then matters too."""
    draws = generator(seed)
    for _, parameter in sorted(flow.named_parameters()):
        most = STEEP * parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else BY
        parameter.copy_(share * most * (2 * torch.rand(parameter.shape, generator=draws, dtype=torch.float64) - 1))
    return flow


def points(n: int, dim: int, seed: int, half: float = 2.0) -> Tensor:
    """n points in a cube, float64."""
    return half * (2 * torch.rand(n, dim, generator=generator(seed), dtype=torch.float64) - 1)
