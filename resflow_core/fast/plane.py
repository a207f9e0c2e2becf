"""log|det(I + A)| in the plane, with its gradient by hand."""

import torch
from torch import Tensor

from resflow_core import log_det
from resflow_core.fast import second_order


def residual_log_det(jacobian: Tensor) -> Tensor:
    """`log_det.residual_log_det`, (..., d, d) -> (...), in nats; differentiable any number of times."""
    if jacobian.shape[-1] == 2:
        return _LogAbsDet2.apply(jacobian.reshape(-1, 2, 2)).view(jacobian.shape[:-2])
    return log_det.residual_log_det(jacobian)


def log_abs_det(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """log|det M| and det M of M = [[a, b], [c, d]], (2, 2, ...). The points come last here, so that the memory of every
    entry is contiguous."""
    (a, b), (c, d) = matrix
    det = torch.addcmul(a * d, b, c, value=-1)
    return det.abs().log(), det


def log_abs_det_backward(matrix: Tensor, det: Tensor, d_log_det: Tensor | float) -> Tensor:
    """From d log|det M| = <M^-T, dM>, with M^-T = [[d, -c], [-b, a]] / det M, the gradient in M."""
    d_matrix = matrix.flip(0, 1) * (d_log_det / det)  # [[d, c], [b, a]], the signs follow
    d_matrix[0, 1].neg_()
    d_matrix[1, 0].neg_()
    return d_matrix


class _LogAbsDet2(torch.autograd.Function):
    @staticmethod
    def forward(ctx, jacobian):
        matrix = jacobian.permute(1, 2, 0) + torch.eye(2, dtype=jacobian.dtype, device=jacobian.device)[:, :, None]
        log_det, det = log_abs_det(matrix)
        ctx.save_for_backward(matrix, det, jacobian)
        return log_det

    @staticmethod
    def backward(ctx, d_log_det):
        matrix, det, jacobian = ctx.saved_tensors
        if second_order.wanted_again():
            return second_order.gradients(log_det.residual_log_det, [jacobian], [d_log_det])[0]
        return log_abs_det_backward(matrix, det, d_log_det).permute(2, 0, 1)
