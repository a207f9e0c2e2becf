"""Powers of A, (batch, d, d). In two dimensions no power is computed. With t = tr A and D = det A,

    A^k = u_k A - D u_{k-1} I,   u_0 = 0, u_1 = 1, u_{k+1} = t u_k - D u_{k-1}              (Cayley and Hamilton)

so every sum of powers is sum_k c_k A^k = x A + y I, with two scalars x and y for each matrix.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

# A product whose norm is below this share of the product of its factors' norms is rounding.
BLIND = 1e-13


def powers(trace: Tensor, det: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """(u_k, u_{k-1}) for k = 1, 2, ..., without end, from t = tr A and D = det A of one shape."""
    u, u_before = torch.ones_like(trace), torch.zeros_like(trace)
    while True:
        yield u, u_before
        u, u_before = trace * u - det * u_before, u


def matrix_powers(a: Tensor) -> Iterator[Tensor]:
    """I, A, A^2, ..., without end, for A of shape (batch, d, d)."""
    power = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device).expand_as(a)
    while True:
        yield power
        power = power @ a


def spectral_radius(a: Tensor) -> Tensor:
    """The largest |eigenvalue|, (..., d, d) -> (...). For d = 2 from m +- sqrt(s), m = tr A / 2, s = m^2 - det A.

    For d = 2, an s at the level of rounding counts as 0. Otherwise its root would be about 1e-8, and the radius of a
    nilpotent matrix would not be 0.
    """
    if a.shape[-1] != 2:
        return torch.linalg.eigvals(a).abs().amax(-1)
    (a, b), (c, d) = (row.unbind(-1) for row in a.unbind(-2))
    m, half_gap, product = (a + d) / 2, (a - d) / 2, b * c
    s = half_gap**2 + product
    rounding = 4 * torch.finfo(s.dtype).eps * (half_gap**2 + product.abs())
    s = torch.where(s.abs() <= rounding, 0.0, s)
    return torch.where(s >= 0, m.abs() + s.abs().sqrt(), (m**2 - s).abs().sqrt())


def radius_seen(a: Tensor, b: Tensor, *, from_both_sides: bool) -> Tensor:
    """The factor by which A^k B falls, or from both sides sum_j A^j B A^(k-1-j): (..., d, d) twice -> (...).

    It is the spectral radius of A, unless B removes the leading eigenvalue; then it is the modulus of the other one.
    This is tested for d = 2 only. It is 0 if B = 0.
    """
    radius = spectral_radius(a)
    if a.shape[-1] == 2:
        size = torch.linalg.matrix_norm(a) * torch.linalg.matrix_norm(b)
        trace = a.diagonal(dim1=-2, dim2=-1).sum(-1)
        leading = torch.copysign(radius, trace)
        other = trace - leading  # if the eigenvalues are complex, this is none of them, and `seen` is large
        rest = a - other[..., None, None] * torch.eye(2, dtype=a.dtype)
        # (A - lambda_2 I) B = 0: the columns of B are eigenvectors of lambda_2, and A^k B = lambda_2^k B.
        seen = torch.linalg.matrix_norm(rest @ b)
        if from_both_sides:
            seen = torch.maximum(seen, torch.linalg.matrix_norm(b @ rest))
        radius = torch.where(seen <= BLIND * size, other.abs(), radius)
    return torch.where((b == 0).all(-1).all(-1), 0.0, radius)
