"""Means over samples, with their standard errors."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from resflow_core.flow import Flow
from resflow_core.measure.evaluation import log_prob


@dataclass(frozen=True)
class Estimate:
    """A mean over a sample with its standard error."""

    value: float
    standard_error: float


def estimate_mean(values: Tensor) -> Estimate:
    """Of independent draws, shape (n,)."""
    values = values.double()
    return Estimate(float(values.mean()), float(values.std() / len(values) ** 0.5))


def mean_nll(flow: Flow, x: Tensor) -> Estimate:
    """Mean of -log p(x) in nats over the points."""
    return estimate_mean(-log_prob(flow, x))


def kl(flow: Flow, x: Tensor, true_log_prob: Callable[[Tensor], Tensor]) -> Estimate:
    """KL(data || flow) = E[log p_true(x) - log p(x)] in nats, over draws x of the data.

    The paired mean: the entropy's sampling noise, most of the NLL's, cancels point by point.
    """
    return estimate_mean(true_log_prob(x) - log_prob(flow, x).double())
