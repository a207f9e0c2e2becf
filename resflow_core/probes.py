"""Hutchinson's probes (1990): random vectors v with E vv' = I, so that tr(M) = E v'Mv."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


def gaussian(v: Tensor, generator: torch.Generator) -> Tensor:
    """v ~ N(0, I): the paper's probe."""
    return v.normal_(generator=generator)


def rademacher(v: Tensor, generator: torch.Generator) -> Tensor:
    """Independent signs. The diagonal of A^k adds no noise, so the variance never exceeds that of Gaussian probes."""
    return v.random_(2, generator=generator).mul_(2).sub_(1)


def sphere(v: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform on the sphere of radius sqrt(d). Multiples of the identity add no noise."""
    gaussian(v, generator)
    return v.mul_(math.sqrt(v.shape[-1]) / torch.linalg.vector_norm(v, dim=-1, keepdim=True))


def orthogonal(v: Tensor, generator: torch.Generator) -> Tensor:
    """Probes that are orthogonal to each other, each of norm sqrt(d) and jointly uniform. d of them give the trace.

    They come from the QR factorisation of a Gaussian matrix. Q is uniform (Haar) if the diagonal of R is made positive.
    More than d probes come in independent groups of d.
    """
    n_probes, batch, d = v.shape
    width = min(n_probes, d)
    groups = math.ceil(n_probes / width)
    q, r = torch.linalg.qr(gaussian(v.new_empty(groups * batch, d, width), generator))
    columns = q * torch.diagonal(r, dim1=-2, dim2=-1).sign()[:, None] * math.sqrt(d)
    by_group = columns.view(groups, batch, d, width).permute(0, 3, 1, 2)
    return v.copy_(by_group.reshape(groups * width, batch, d)[:n_probes])


@dataclass(frozen=True)
class Probe:
    """The distribution of v. `fill(v, generator)` fills v, (n_probes, batch, d), with independent probes of each point,
    and returns it."""

    fill: Callable[[Tensor, torch.Generator], Tensor]

    def draw(self, shape: tuple[int, int, int], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
        """New probes, (n_probes, batch, d)."""
        return self.fill(torch.empty(shape, dtype=dtype, device=generator.device), generator)


PROBES: dict[str, Probe] = {
    "gaussian": Probe(gaussian),
    "rademacher": Probe(rademacher),
    "sphere": Probe(sphere),
    "orthogonal": Probe(orthogonal),
}
