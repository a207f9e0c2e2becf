"""Means over samples, with their standard errors."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A mean over a sample, with its standard error in the same unit."""

    value: float
    standard_error: float


def estimate_mean(values: Tensor) -> Estimate:
    """The mean of independent draws, shape (n,). The standard error is NaN for n = 1."""
    values = values.double()
    return Estimate(float(values.mean()), float(values.std() / len(values) ** 0.5))


def mean_nll(log_prob: Tensor) -> Estimate:
    """Mean of -log p(x) in nats, from log p at draws x of the data, (n,)."""
    return estimate_mean(-log_prob)


def kl(true_log_prob: Tensor, log_prob: Tensor) -> Estimate:
    """KL(data || flow) = E[log p_true(x) - log p(x)] in nats, from both at the same draws x of the data, (n,).

    The mean is paired: the sampling noise of the entropy, which is most of the NLL's, cancels point by point.
    """
    return estimate_mean(true_log_prob - log_prob.double())
