"""Mean and standard deviation of one estimate of log det(I + A), however it is estimated."""

from functools import singledispatch

import torch
from torch import Tensor

from resflow_core.estimators.moments.belief import believed_log_det
from resflow_core.estimators.moments.powers import spectral_radius
from resflow_core.estimators.moments.remainders import log_det_remainders, terms_for
from resflow_core.estimators.moments.variance import roulette_variance, truncated_variance
from resflow_core.log_det import Exact, LogDet, Roulette, Truncated, residual_log_det


@singledispatch
def mean_and_deviation(log_det: LogDet, jacobian: Tensor) -> tuple[Tensor, Tensor]:
    """E and standard deviation of the estimate in nats, for A, (batch, d, d): (batch,) each, float64.

        Exact        log|det(I + A)|, 0
        Truncated    sum_{k<=n} a_k tr(A^k), the root of `truncated_variance`
        Roulette     log det(I + A) (paper, Theorem 1), the root of `roulette_variance`, which can be infinite

    Where the spectral radius of A is 1 or more, the series diverges: the roulette has no mean (NaN), and an infinite
    deviation. Raises ValueError for other types.
    """
    raise ValueError(f"There is no closed form for {type(log_det).__name__}.")


@mean_and_deviation.register
def _(log_det: Exact, jacobian: Tensor) -> tuple[Tensor, Tensor]:
    exact = residual_log_det(jacobian.double())
    return exact, torch.zeros_like(exact)


@mean_and_deviation.register
def _(log_det: Truncated, jacobian: Tensor) -> tuple[Tensor, Tensor]:
    how = (log_det.n_terms, log_det.probe, log_det.n_probes)
    variance = truncated_variance(jacobian, *how, exact_traces=log_det.exact_traces)
    return believed_log_det(log_det, jacobian), variance.sqrt()


@mean_and_deviation.register
def _(log_det: Roulette, jacobian: Tensor) -> tuple[Tensor, Tensor]:
    jacobian = jacobian.double()
    radius = spectral_radius(jacobian)
    converges = radius < 1
    mean = torch.where(converges, residual_log_det(jacobian), torch.nan)
    deviation = torch.full_like(mean, torch.inf)
    if converges.any():
        terms = terms_for(float(radius[converges].max()), log_det.law.tail_ratio)
        remainders = log_det_remainders(jacobian[converges], terms, log_det.exact_traces)
        variance = roulette_variance(remainders, log_det.law, log_det.probe, log_det.n_probes, log_det.n_draws)
        deviation[converges] = variance.total.sqrt()
    return mean, deviation
