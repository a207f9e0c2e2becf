"""The density of a flow as its training estimator believes it to be, beside the true one."""

import torch
from torch import Tensor

from resflow_core.flow import Flow
from resflow_core.log_det import Exact, LogDet
from resflow_core.measure.evaluation import Evaluation, evaluate
from resflow_core.moments import believed_log_det


def believed_log_prob(evaluation: Evaluation, log_det: LogDet) -> Tensor:
    """log p(x) in nats with every block's log det as `log_det` believes it to be, (batch,) float64; possibly infinite.

    Raises ValueError where that is not known (`believed_log_det`).
    """
    blocks = believed_log_det(log_det, evaluation.jacobians.flatten(0, 1)).view(evaluation.jacobians.shape[:2])
    return evaluation.log_prob + (blocks - evaluation.block_log_dets).sum(1)


class Beliefs:
    """Log densities in nats, (batch, dim) -> (1 or 2, batch) float64: exact, and as an inexact `log_det` believes.

    For an integral: once a belief was infinite at some point it is not computed any more, but infinite throughout.
    Raises ValueError where it is not known what `log_det` believes.
    """

    def __init__(self, flow: Flow, log_det: LogDet):
        believed_log_det(log_det, torch.zeros(1, 2, 2))  # is it known?
        self._flow, self._log_det = flow, log_det
        self._infinite = False

    def __call__(self, x: Tensor) -> Tensor:
        evaluation = evaluate(self._flow, x)
        exact = evaluation.log_prob.double()
        if isinstance(self._log_det, Exact):
            return exact[None]
        if self._infinite:
            return torch.stack([exact, torch.full_like(exact, torch.inf)])
        believed = believed_log_prob(evaluation, self._log_det)
        self._infinite = bool(torch.isposinf(believed).any())
        return torch.stack([exact, believed])
