"""What an estimator of the log det believes in: the value that it estimates without bias."""

import torch
from torch import Tensor

from resflow_core.log_det import Exact, LogDet, Truncated, log_abs_det_of_identity_plus, series_coefficients


def believed_log_det(log_det: LogDet, jacobian: Tensor) -> Tensor:
    """log|det(I + A)|, or what `log_det` takes for it, for A of shape (batch, d, d): shape (batch,).

    Exact: itself. Truncated: the sum of its terms with exact traces. Raises ValueError for other estimators.
    """
    if isinstance(log_det, Exact):
        return log_abs_det_of_identity_plus(jacobian)
    if not isinstance(log_det, Truncated):
        raise ValueError(f"No closed form is known for the belief of {type(log_det).__name__}.")
    power, total = jacobian, torch.zeros(len(jacobian)).to(jacobian)
    for coefficient in series_coefficients(log_det.n_terms).tolist():
        total = total + coefficient * power.diagonal(dim1=-2, dim2=-1).sum(-1)
        power = power @ jacobian
    return total
