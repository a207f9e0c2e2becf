"""The density of a flow as its training estimator believes it to be, beside the true one."""

import torch
from torch import Tensor

from resflow_core.estimators.moments import believed_log_det
from resflow_core.flow import Flow
from resflow_core.log_det import Exact, LogDet, Truncated
from resflow_core.measure.estimate import Estimate, estimate_mean
from resflow_core.measure.evaluation import Evaluation, evaluate, log_prob


def believed_log_prob(evaluation: Evaluation, log_det: LogDet) -> Tensor:
    """log p(x) in nats with every block's log det as `log_det` believes it to be, (batch,) float64; possibly infinite.

    Raises ValueError where that is not known (`believed_log_det`).
    """
    blocks = believed_log_det(log_det, evaluation.jacobians.flatten(0, 1)).view(evaluation.jacobians.shape[:2])
    return evaluation.log_prob + (blocks - evaluation.block_log_dets).sum(1)


def log_prob_bias(evaluation: Evaluation, log_det: LogDet) -> Estimate:
    """How much larger than log p(x) the mean of its estimate by `log_det` is, in nats: the mean over the points.

    Of a truncated series -sum over blocks of tr R_{n+1}, R_n = sum_{k>=n} a_k A^k; what is unbiased has none (paper,
    Theorem 1), although its density has (`believed_log_prob`).
    """
    if not isinstance(log_det, Truncated):
        return Estimate(0.0, 0.0)
    return estimate_mean(believed_log_prob(evaluation, log_det) - evaluation.log_prob)


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
        if isinstance(self._log_det, Exact):
            return log_prob(self._flow, x).double()[None]
        evaluation = evaluate(self._flow, x)
        exact = evaluation.log_prob.double()
        if self._infinite:
            return torch.stack([exact, torch.full_like(exact, torch.inf)])
        believed = believed_log_prob(evaluation, self._log_det)
        self._infinite = bool(torch.isposinf(believed).any())
        return torch.stack([exact, believed])
