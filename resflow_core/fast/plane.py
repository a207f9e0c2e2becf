"""I + A for the Jacobians A of a batch of points: log|det(I + A)| and (I + A)^-1 r, in closed form for d = 2."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def log_abs_det_of_identity_plus(jacobian: Tensor) -> Tensor:
    """log|det(I + A)|, (...), for A of shape (..., d, d); for d = 2 once differentiable."""
    if jacobian.shape[-1] == 2:
        return _LogAbsDet2.apply(jacobian.reshape(-1, 2, 2)).view(jacobian.shape[:-2])
    return torch.linalg.slogdet(jacobian + _identity(jacobian)).logabsdet


def solve_identity_plus(jacobian: Tensor, right: Tensor) -> Tensor:
    """(I + A)^-1 r, (batch, d), for A of shape (batch, d, d) and r of shape (batch, d); infinite where singular."""
    matrix = jacobian + _identity(jacobian)
    if matrix.shape[-1] != 2:
        return torch.linalg.solve_ex(matrix, right)[0]
    (a, b), (c, d) = (row.unbind(-1) for row in matrix.unbind(-2))
    r, s = right.unbind(-1)
    return torch.stack([d * r - b * s, a * s - c * r], -1) / (a * d - b * c)[:, None]


class _LogAbsDet2(torch.autograd.Function):
    """d log|det M| = tr(M^-1 dM), and for M = [[a, b], [c, d]] M^-1 is [[d, -b], [-c, a]] / det M.

    The points come last here, so that every entry is one run of numbers in memory.
    """

    @staticmethod
    def forward(ctx, jacobian):
        matrix = jacobian.permute(1, 2, 0) + _identity(jacobian)[:, :, None]
        (a, b), (c, d) = matrix
        det = torch.addcmul(a * d, b, c, value=-1)
        ctx.save_for_backward(matrix, det)
        return det.abs().log()

    @staticmethod
    @once_differentiable
    def backward(ctx, d_log_det):
        matrix, det = ctx.saved_tensors
        d_matrix = matrix.flip(0, 1) * (d_log_det / det)  # [[d, c], [b, a]], so far without the signs
        d_matrix[0, 1].neg_()
        d_matrix[1, 0].neg_()
        return d_matrix.permute(2, 0, 1)


def _identity(jacobian: Tensor) -> Tensor:
    return torch.eye(jacobian.shape[-1], dtype=jacobian.dtype, device=jacobian.device)
