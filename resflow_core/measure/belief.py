"""The density in which a flow believes because of its training estimator, and the true density."""

import torch
from torch import Tensor

from resflow_core.estimators.moments import believed_log_det
from resflow_core.flow import Flow
from resflow_core.log_det import Exact, LogDet, Truncated
from resflow_core.measure.estimate import Estimate, estimate_mean
from resflow_core.measure.evaluation import Evaluation, evaluate, log_prob


def believed_log_prob(evaluation: Evaluation, log_det: LogDet) -> Tensor:
    """log p(x) in nats with every block's log det as `log_det` believes it to be, (batch,) float64; it can be infinite.

    Raises ValueError if the belief has no closed form (`believed_log_det`).
    """
    blocks = believed_log_det(log_det, evaluation.jacobians.flatten(0, 1)).view(evaluation.jacobians.shape[:2])
    return evaluation.log_prob + (blocks - evaluation.block_log_dets).sum(1)


def has_belief(log_det: LogDet) -> bool:
    """Whether the density that `log_det` makes a flow believe in is not the flow's own, and has a closed form."""
    if isinstance(log_det, Exact):
        return False
    try:
        believed_log_det(log_det, torch.zeros(1, 2, 2))
    except ValueError:
        return False
    return True


def log_prob_bias(evaluation: Evaluation, log_det: LogDet) -> Estimate:
    """The bias in nats of the estimate of log p(x) by `log_det`: the mean over the points, with its standard error.

    For a truncated series it is -sum over blocks of tr R_{n+1}, R_n = sum_{k>=n} a_k A^k. An unbiased `log_det` gives 0
    (paper, Theorem 1), although its density is biased (`believed_log_prob`).
    """
    if not isinstance(log_det, Truncated):
        return Estimate(0.0, 0.0)
    return estimate_mean(believed_log_prob(evaluation, log_det) - evaluation.log_prob)


class Beliefs:
    """Log densities in nats, (batch, dim) -> (1 or 2, batch) float64: exact, and, if `log_det` is not exact, as it
    believes.

    It is made for an integral: once the belief is infinite at a point, it stays infinite in all later calls and is not
    computed. Raises ValueError if the belief of `log_det` has no closed form.
    """

    def __init__(self, flow: Flow, log_det: LogDet):
        believed_log_det(log_det, torch.zeros(1, 2, 2))  # raises early if there is no closed form
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
