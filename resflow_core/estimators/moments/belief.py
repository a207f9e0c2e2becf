"""The log det that a flow believes in if it trusts an estimator of it, in closed form."""

import math
from functools import singledispatch

import torch
from torch import Tensor

from resflow_core.estimators.forms import form_of
from resflow_core.estimators.moments.powers import powers
from resflow_core.gradients import first_traces, log_series
from resflow_core.log_det import Exact, LogDet, Roulette, Truncated, residual_log_det
from resflow_core.roulette import RAREST, survival_table

# Eigenvalues of a defective matrix are known to about the square root of float64's rounding, 1.5e-8.
EIGENVALUE_ROUNDING = 1e-7


@singledispatch
def believed_log_det(log_det: LogDet, jacobian: Tensor) -> Tensor:
    """The log det that a flow believes in if it trusts `log_det`, in nats: A, (batch, d, d) -> (batch,), float64.

    With the exact log det, exp(log p) integrates to 1. An estimator replaces it by

        Exact        log|det(I + A)|
        Truncated    the mean sum_{k<=n} a_k tr(A^k)
        Roulette     log E exp(estimate), infinity if the expectation is infinite

    The last line is not log det(I + A): an unbiased log density is not an unbiased density.

    `Roulette` has a closed form for d = 2 only. With several draws of N, its probes must also give the trace exactly:
    noisy probes are shared by the draws, so they would couple them. Raises ValueError otherwise, and for other types.
    """
    raise ValueError(f"There is no closed form for {type(log_det).__name__}.")


@believed_log_det.register
def _(log_det: Exact, jacobian):
    return residual_log_det(jacobian.double())


@believed_log_det.register
def _(log_det: Truncated, jacobian):
    return first_traces(jacobian.double(), max(log_det.n_terms, log_det.exact_traces))


@believed_log_det.register
def _(log_det: Roulette, jacobian):
    """log sum_n P(N = n) E_v exp(v'S_n v), S_n = sum_{k<=n} a_k / P(N >= k) sym(A^k), beside the exact traces, m in
    number, where the sum begins with k = m + 1.

    The sum ends at the n from which P(N >= n) is below `RAREST`.
    """
    if jacobian.shape[-1] != 2:
        raise ValueError(f"log E exp(estimate) has a closed form for d = 2 only; here d = {jacobian.shape[-1]}.")
    probe, n_probes, n_draws, law = form_of(log_det.probe), log_det.n_probes, log_det.n_draws, log_det.law
    (a, b), (c, d) = (row.unbind(-1) for row in jacobian.double().unbind(-2))
    trace, det = a + d, a * d - b * c
    noise = probe.spread(torch.ones(()), torch.ones(()), n_probes)
    if n_draws > 1 and noise > 0:
        raise ValueError(
            f"log E exp(estimate) has no closed form for several draws of N (n_draws = {n_draws}) that share noisy "
            "probes; use one draw, or an even number of orthogonal probes."
        )
    spread = probe.spread(a - d, b + c, n_probes)
    survival = survival_table(law, RAREST)
    chances = -torch.diff(survival, prepend=survival.new_ones(1), append=survival.new_zeros(1))  # of N = 0, 1, ...
    weights = log_series(len(survival))[1:] / survival
    weights[: log_det.exact_traces] = 0
    x, y, total = torch.zeros_like(trace), torch.zeros_like(trace), torch.full_like(trace, float(chances[0].log()))
    for chance, weight, (u, u_before) in zip(chances[1:].tolist(), weights.tolist(), powers(trace, det), strict=False):
        x, y = x + weight * u, y - weight * det * u_before
        if chance > 0:
            # Draws that share no noise are independent: E exp of their mean over M is (E_N exp(tr(S_N) / M))^M.
            given_n = probe.log_mean_exp((x * trace + 2 * y) / n_draws, x.abs() * spread / n_draws, n_probes)
            # If parts of the exponent overflow, it fell to minus infinity, or the expectation is infinite.
            total = torch.logaddexp(total, math.log(chance) + given_n.nan_to_num(-math.inf, math.inf, -math.inf))
    diverges = _diverges(law.tail_ratio, trace, (a - d) ** 2 + 4 * b * c, spread)
    return torch.where(diverges, math.inf, n_draws * total + first_traces(jacobian.double(), log_det.exact_traces))


def _diverges(tail_ratio: float, trace: Tensor, discriminant: Tensor, spread: Tensor) -> Tensor:
    """Whether E exp(estimate) is infinite because the terms a_k lambda^k / P(N >= k) grow, for eigenvalues lambda of A.

    With F(lambda) = sum_{k<=N} a_k lambda^k / P(N >= k), the estimate for a given N reaches tr S + spread |x|. Here
    tr S = F(lambda_1) + F(lambda_2) and x = (F(lambda_1) - F(lambda_2)) / (lambda_1 - lambda_2). So it reaches the
    larger of

        (1 + s) F(lambda_1) + (1 - s) F(lambda_2)  and  (1 - s) F(lambda_1) + (1 + s) F(lambda_2),
        s = spread / |lambda_1 - lambda_2|,   (lambda_1 - lambda_2)^2 = discriminant.

    F converges if |lambda| < tail_ratio. If |lambda| is larger, F grows exponentially or faster, and P(N = n) falls no
    faster than n^-n. So the expectation is infinite if one of the two values is unbounded above.

    For complex lambda and for lambda > tail_ratio the sign of F alternates. For lambda < -tail_ratio, F falls to minus
    infinity. The eigenvalue of larger modulus, lambda_1, decides, unless its factor 1 - s is 0. This factor is 0 for a
    symmetric A and one probe on the circle.
    """
    limit = tail_ratio + EIGENVALUE_ROUNDING
    gap = discriminant.clamp(min=0).sqrt()
    first = (trace + torch.where(trace < 0, -gap, gap)) / 2
    second = trace - first
    vanishes = torch.isclose(spread, gap, rtol=1e-12, atol=0.0)
    real = (first > limit) | (vanishes & (second > limit)) | (~vanishes & (spread > gap) & (first < -limit))
    # lambda and -lambda have the same modulus. Their even powers fall, and their odd powers cancel up to s. The odd
    # powers win if s > tail_ratio / lambda.
    real = torch.where(trace == 0, (first > limit) & (spread > 2 * limit), real)
    modulus_squared = (trace**2 - discriminant) / 4
    return torch.where(discriminant < 0, modulus_squared > limit**2, real)
