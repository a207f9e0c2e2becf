"""Data on which the norm of a block matters: one coordinate moves all others, or all others move one.

A shear undoes each, z = f(x), whose Jacobian I + A has determinant 1 and a single column, or a single row, of slopes c:

    one cause     A = c (e_2 + ... + e_d) e_1'      ||A||_inf = c    ||A||_2 = c sqrt(d - 1)    ||A||_1 = c (d - 1)
    one effect    A = c e_1 (e_2 + ... + e_d)'      ||A||_1 = c      ||A||_2 = c sqrt(d - 1)    ||A||_inf = c (d - 1)

So a block whose bound holds in the infinity norm may be sqrt(d - 1) times as steep on the one as in the 2-norm, and one
in the 1-norm on the other.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from resflow_core.data.base import HELD_OUT_POINTS, HELD_OUT_SEED
from resflow_core.flow import standard_normal_log_prob

SIZE, RATE = 0.45, 2.0
"""The shear is x -> SIZE sin(RATE x), whose slope is SIZE * RATE = 0.9 at most: less than 1, so one block of the right
norm can undo it."""


@dataclass(frozen=True)
class Sheared:
    """Points of R^dim: z ~ N(0, I), and x_i = z_i + h(z_1) for all i > 1 (`cause`), or x_1 = z_1 + sum_i h(z_i), with
    h(t) = SIZE sin(RATE t)."""

    cause: bool
    dim: int = 8

    @property
    def title(self) -> str:
        return "One cause" if self.cause else "One effect"

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws, float32, (n, dim)."""
        z = torch.randn(n, self.dim, generator=generator)
        return self._moved(z, 1.0)

    def held_out(self) -> Tensor:
        """Draws that are the same in every run, float32."""
        return self._held_out

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, (n, dim) -> (n,), float64: the shear backwards has determinant 1."""
        return standard_normal_log_prob(self._moved(x.double(), -1.0))

    @cached_property
    def _held_out(self) -> Tensor:
        return self.sample(HELD_OUT_POINTS, torch.Generator().manual_seed(HELD_OUT_SEED))

    def _moved(self, x: Tensor, sign: float) -> Tensor:
        first, others = x[:, :1], x[:, 1:]
        if self.cause:
            return torch.cat([first, others + sign * SIZE * (RATE * first).sin()], 1)
        return torch.cat([first + sign * SIZE * (RATE * others).sin().sum(1, keepdim=True), others], 1)
