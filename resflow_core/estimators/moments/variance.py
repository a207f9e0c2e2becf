"""Bias and variance of the estimators of log det(I + A) and of its derivatives, in closed form.

With the remainders R_n = sum_{k>=n} M_k, K probes averaged and M draws of N that share them, and V(R) the variance of
v'Rv for one probe:

    truncated to n terms    bias -tr R_{n+1},   variance V(R_0 - R_{n+1}) / K
    roulette                bias 0
                            variance V(R_0) / K + 1/M sum_{n>=0} w_n E T_{n+1}^2
                            w_n = 1 / P(N >= n + 1) - 1 / P(N >= n),   E T_n^2 = V(R_n) / K + tr(R_n)^2

The first part is the noise of the probes, the second that of the roulette. It is finite where rho(A)^2 < q, q the tail
ratio of the law, and infinite where rho(A)^2 > q; at equality it depends on A. Any law is one product of a matrix and a
vector away once the E T_n^2 are known (`second_moments`).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from resflow_core.estimators.moments.remainders import QUANTITIES, Remainders, terms_for
from resflow_core.probes import PROBES, Quadratic
from resflow_core.roulette import Law, survival_table

# As a share of q. Eigenvalues of a nearly defective matrix are known to about the square root of float64's rounding.
UNDECIDED = 1e-7
# The weights beyond would overflow; what they weigh has vanished before.
LEAST_SURVIVAL = 1e-290


@dataclass(frozen=True, eq=False)
class Variance:
    """Of one estimate, for each point. `roulette` is infinite where it is, and NaN where that is undecided.

    `rest` bounds what the roulette's noise lacks for the terms that were left out; NaN where no bound is known.
    """

    probe: Tensor
    roulette: Tensor
    rest: Tensor

    @property
    def total(self) -> Tensor:
        return self.probe + self.roulette


def finiteness(law: Law, radius: Tensor) -> Tensor:
    """The margin q - rho^2: the variance is finite where it is above `UNDECIDED` q, infinite where it is below
    -`UNDECIDED` q.

    Where A is nilpotent, no power of it needs a law, and the margin is infinite; a law that falls faster than any power
    of rho leaves no doubt either.
    """
    margin = law.tail_ratio - radius**2 if law.tail_ratio else torch.full_like(radius, -torch.inf)
    return torch.where(radius == 0, torch.inf, margin)


def fourth_moment_margin(law: Law, radius: Tensor) -> Tensor:
    """The margin q^3 - rho^4: a sample variance has a standard error of its own only where it is positive."""
    return torch.where(radius == 0, torch.inf, law.tail_ratio**3 - radius**4)


def probe_noise(remainders: Remainders, probe: str, n_probes: int = 1) -> Tensor:
    """V(R_n) / K for n = 0, 1, ..., (1 + terms, batch)."""
    return PROBES[probe].variance(remainders.quadratic, n_probes)


def second_moments(remainders: Remainders, probe: str, n_probes: int = 1) -> Tensor:
    """E T_n^2 = V(R_n) / K + tr(R_n)^2 for n = 0, 1, ..., (1 + terms, batch)."""
    return probe_noise(remainders, probe, n_probes) + remainders.quadratic.trace_squared


def law_weights(law: Law, terms: int) -> Tensor:
    """w_0, ..., w_{n-1}, for at most `terms` remainders R_1, ..., R_n, float64."""
    survival = survival_table(law, LEAST_SURVIVAL)[:terms]
    return torch.diff(1 / survival, prepend=survival.new_ones(1))


def roulette_noise(law: Law, moments: Tensor, radius: Tensor) -> Tensor:
    """sum_{n>=0} w_n c_{n+1} for numbers c_0, c_1, ..., (1 + terms, batch), that fall as radius^2n: finite, infinite or
    NaN by `finiteness`."""
    return _noise(law, law_weights(law, len(moments) - 1), moments, radius)


def roulette_variance(
    remainders: Remainders, law: Law, probe: str = "gaussian", n_probes: int = 1, n_draws: int = 1
) -> Variance:
    """Of the roulette estimator; with `pooled` remainders, the mean over points; with added ones, of the sum."""
    moments, weights = second_moments(remainders, probe, n_probes), law_weights(law, remainders.terms)
    noise = _noise(law, weights, moments, remainders.radius) / n_draws
    rest = _rest(remainders, law, weights, moments) / n_draws
    return Variance(probe_noise(remainders, probe, n_probes)[0], noise, rest)


def batch_variance(
    remainders: Remainders,
    law: Law,
    batch: int | Tensor,
    shared: bool,
    probe: str = "gaussian",
    n_probes: int = 1,
    n_draws: int = 1,
) -> Tensor:
    """Of the mean over a batch of points drawn from those that were `pooled`, about its mean for the same points.

    Draws of N of its own for each point: the variance of one, over `batch`. One for all: the squared mean traces stay,
    1/M sum_n w_n (mean_b tr R_{n+1})^2, however large the batch. Several batches at once are a float64 tensor.
    """
    one = roulette_variance(remainders, law, probe, n_probes, n_draws).total
    if not shared:
        return one / batch
    common = roulette_noise(law, remainders.shared_squared, remainders.radius) / n_draws
    return torch.where(one.isinf(), one, one / batch + (1 - 1 / batch) * common)


def truncated_variance(
    jacobian: Tensor,
    n_terms: int,
    probe: str = "gaussian",
    n_probes: int = 1,
    quantity: str = "log_det",
    derivative: Tensor | None = None,
) -> Tensor:
    """Of the series truncated to n terms, V(sum of its M_k) / K, (batch,), for A of shape (batch, d, d), and B = dA /
    d theta for a gradient."""
    of, jacobian = QUANTITIES[quantity], jacobian.double()
    if derivative is None and quantity != "log_det":
        raise ValueError(f"The variance of the gradient ({quantity}) needs the derivative, dA / d theta.")
    derivative = jacobian if derivative is None else derivative.double()
    return PROBES[probe].variance(Quadratic.of(sum(of.summands(jacobian, derivative, n_terms - of.lag))), n_probes)


def truncation_bias(remainders: Remainders, n_terms: int, quantity: str = "log_det") -> Tensor:
    """-tr R_{n+1} of the series truncated to n terms, (batch,): its mean less the truth."""
    return -remainders.trace[n_terms - QUANTITIES[quantity].lag + 1]


def truncation_bound(lipschitz: float, n_terms: int, dim: int = 2) -> float:
    """What |bias| cannot exceed where ||A|| <= L: d sum_{k>n} L^k / k (Behrmann et al., i-ResNet, theorem 3).

    Infinite from L = 1 on.
    """
    if lipschitz >= 1:
        return math.inf
    last = n_terms + terms_for(lipschitz, 1.0)
    k = torch.arange(n_terms + 1, last + 1, dtype=torch.float64)
    beyond = lipschitz ** (last + 1) / ((last + 1) * (1 - lipschitz))  # as if 1 / k fell no further
    return dim * (float((lipschitz**k / k).sum()) + beyond)


def _noise(law: Law, weights: Tensor, moments: Tensor, radius: Tensor) -> Tensor:
    """`roulette_noise`, with the law's weights at hand."""
    margin = finiteness(law, radius)
    noise = torch.tensordot(weights, moments[1 : 1 + len(weights)], 1)
    noise = torch.where(margin < 0, torch.inf, noise)
    return torch.where(margin.abs() <= UNDECIDED * law.tail_ratio, torch.nan, noise)


def _rest(remainders: Remainders, law: Law, weights: Tensor, moments: Tensor) -> Tensor:
    """What the sum of w_n E T_{n+1}^2 lacks at most, since V(R) + tr(R)^2 <= 4 ||R||_F^2 in the plane.

    The n that were left out: sum of w_n 4 ||R_{n+1}||_F^2, for a law that from there on falls by its tail ratio, or
    slower. The others lack what is beyond `terms` in R_{n+1}: sqrt(E T^2) is a norm, and short by 2 ||R_{terms+1}||_F.
    """
    radius, q = remainders.radius, law.tail_ratio
    if not q:
        return torch.where(radius == 0, 0.0, torch.inf)
    n = len(weights)
    # `bound` holds from `terms` on. It falls no faster than 1 / terms, which tells what would hold from n on.
    size = remainders.bound.log() + (n + 1) * radius.log() + math.log(remainders.terms / n)
    first = (1 / q - 1) * (1 + weights.sum())  # the next weight
    left_out = (2 * size + (4 * first).log()).exp() / (1 - radius**2 / q)
    short = 2 * (remainders.bound.log() + (remainders.terms + 1) * radius.log()).exp()
    within = short * torch.tensordot(weights, 2 * moments[1 : 1 + n].sqrt() + short, 1)
    rest = torch.where(radius**2 < q, left_out + within, torch.inf)
    return torch.where(radius == 0, 0.0, rest)
