"""Bias and variance of the estimators of log det(I + A) and of its derivatives, in closed form.

R_n = sum_{k>=n} M_k are the remainders. K probes are averaged, and M draws of N share them. V(R) is the variance of
v'Rv for one probe.

    truncated to n terms    bias -tr R_{n+1},   variance V(R_0 - R_{n+1}) / K
    roulette                bias 0
                            variance V(R_0) / K + 1/M sum_{n>=0} w_n E T_{n+1}^2
                            w_n = 1 / P(N >= n + 1) - 1 / P(N >= n),   E T_n^2 = V(R_n) / K + tr(R_n)^2

The first part is the noise of the probes, the second the noise of the roulette. With q the tail ratio of the law, the
roulette's noise is finite if rho(A)^2 < q and infinite if rho(A)^2 > q. If they are equal, it depends on A. With exact
traces the sums are of what is estimated (`Remainders.first`): most noise is gone, but what was infinite stays so,
because the far terms decide that.

The E T_n^2 do not depend on the law (`second_moments`). With them, each law takes one product of a matrix and a vector.
"""

import math
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from resflow_core.estimators.forms import Quadratic, form_of
from resflow_core.estimators.moments.remainders import QUANTITIES, Remainders, terms_for
from resflow_core.roulette import Law, survival_table

# A share of q. Eigenvalues of a nearly defective matrix are known to about the square root of float64's rounding.
UNDECIDED = 1e-7
# Later weights would overflow. The moments that they multiply are 0 by then.
LEAST_SURVIVAL = 1e-290


@dataclass(frozen=True, eq=False)
class Variance:
    """The variance of one estimate, for each point; in nats^2 for the log det.

    `roulette` can be infinite, and is NaN if it is undecided whether it is finite. `rest` is an upper bound of the part
    of `roulette` that the omitted terms would add; NaN if no bound is known.
    """

    probe: Tensor
    roulette: Tensor
    rest: Tensor

    @property
    def total(self) -> Tensor:
        """Noise of the probes and of the roulette together."""
        return self.probe + self.roulette


def finiteness(law: Law, radius: Tensor) -> Tensor:
    """The margin q - rho^2, for rho = `radius` of any shape, and q the tail ratio of the law.

    The variance is finite if the margin is above `UNDECIDED` q, and infinite if it is below -`UNDECIDED` q. The margin
    is infinite if A is nilpotent: its powers end. It is minus infinity if q = 0 and A is not nilpotent: the law then
    falls faster than any power of rho.
    """
    margin = law.tail_ratio - radius**2 if law.tail_ratio else torch.full_like(radius, -torch.inf)
    return torch.where(radius == 0, torch.inf, margin)


def fourth_moment_margin(law: Law, radius: Tensor) -> Tensor:
    """The margin q^3 - rho^4. A sample variance has a standard error only if the margin is positive."""
    return torch.where(radius == 0, torch.inf, law.tail_ratio**3 - radius**4)


def probe_noise(remainders: Remainders, probe: str, n_probes: int = 1) -> Tensor:
    """V(R_n) / K for n = 0, 1, ..., (1 + terms, batch). Raises KeyError if `PROBES` has no such probe."""
    return form_of(probe).variance(remainders.quadratic, n_probes)


def second_moments(remainders: Remainders, probe: str, n_probes: int = 1) -> Tensor:
    """E T_n^2 = V(R_n) / K + tr(R_n)^2 for n = 0, 1, ..., (1 + terms, batch). Raises as `probe_noise`."""
    return probe_noise(remainders, probe, n_probes) + remainders.quadratic.trace_squared


def law_weights(law: Law, terms: int) -> Tensor:
    """w_0, ..., w_{n-1}, the weights of R_1, ..., R_n, (n,), float64. n is at most `terms`."""
    survival = survival_table(law, LEAST_SURVIVAL)[:terms]
    return torch.diff(1 / survival, prepend=survival.new_ones(1))


def roulette_noise(law: Law, moments: Tensor, radius: Tensor) -> Tensor:
    """sum_{n>=0} w_n c_{n+1} for numbers c_0, c_1, ..., (1 + terms, batch), that fall as radius^2n: (batch,).

    `finiteness` decides if it is finite, infinite or NaN (undecided).
    """
    return _noise(law, law_weights(law, len(moments) - 1), moments, radius)


def roulette_variance(
    remainders: Remainders, law: Law, probe: str = "gaussian", n_probes: int = 1, n_draws: int = 1
) -> Variance:
    """The variance of the roulette estimator, (batch,) each part. Raises KeyError if `PROBES` has no such probe.

    `pooled` remainders give the mean over points. Added remainders give the variance of the sum.
    """
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
    """The variance of the mean over a batch of points, about its expectation for the same points.

    The points are drawn from those that were `pooled`. If each point draws its own N, it is the variance of one point
    over `batch`. If all points share N (`shared`), 1/M sum_n w_n (mean_b tr R_{n+1})^2 stays, however large the batch
    is. A float64 tensor stands for several batch sizes. Raises KeyError if `PROBES` has no such probe.
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
    exact_traces: int = 0,
) -> Tensor:
    """The variance of the series truncated to n terms, V(sum of its M_k) / K, (batch,), for A of shape (batch, d, d).
    Exact traces add nothing to it.

    A gradient also needs `derivative`, B = dA / d theta, (batch, d, d): raises ValueError without it. Raises KeyError
    if `QUANTITIES` has no such quantity or `PROBES` no such probe.
    """
    of, jacobian = QUANTITIES[quantity], jacobian.double()
    if derivative is None and quantity != "log_det":
        raise ValueError(f"The variance of the gradient ({quantity}) needs the derivative, dA / d theta.")
    derivative = jacobian if derivative is None else derivative.double()
    summands = islice(of.summands(jacobian, derivative, n_terms - of.lag), of.first(exact_traces), None)
    return form_of(probe).variance(Quadratic.of(sum(summands, torch.zeros_like(jacobian))), n_probes)


def truncation_bias(remainders: Remainders, n_terms: int, quantity: str = "log_det") -> Tensor:
    """The bias -tr R_{n+1} of the series truncated to n terms, (batch,): its mean minus the true value.

    Raises IndexError if `remainders` has too few terms, and KeyError if `QUANTITIES` has no such quantity.
    """
    return -remainders.trace[n_terms - QUANTITIES[quantity].lag + 1]


def truncation_bound(lipschitz: float, n_terms: int, dim: int = 2) -> float:
    """The largest possible |bias| in nats if ||A|| <= L: d sum_{k>n} L^k / k (Behrmann et al., i-ResNet, theorem 3).

    Infinite if L >= 1.
    """
    if lipschitz >= 1:
        return math.inf
    last = n_terms + terms_for(lipschitz, 1.0)
    k = torch.arange(n_terms + 1, last + 1, dtype=torch.float64)
    beyond = lipschitz ** (last + 1) / ((last + 1) * (1 - lipschitz))  # an upper bound: 1 / k stays at 1 / (last + 1)
    return dim * (float((lipschitz**k / k).sum()) + beyond)


def _noise(law: Law, weights: Tensor, moments: Tensor, radius: Tensor) -> Tensor:
    """`roulette_noise`, from the law's weights."""
    margin = finiteness(law, radius)
    noise = torch.tensordot(weights, moments[1 : 1 + len(weights)], 1)
    noise = torch.where(margin < 0, torch.inf, noise)
    return torch.where(margin.abs() <= UNDECIDED * law.tail_ratio, torch.nan, noise)


def _rest(remainders: Remainders, law: Law, weights: Tensor, moments: Tensor) -> Tensor:
    """An upper bound of the part that sum of w_n E T_{n+1}^2 lacks, since V(R) + tr(R)^2 <= 4 ||R||_F^2 in the plane.

    The omitted n lack sum of w_n 4 ||R_{n+1}||_F^2, for a law that falls there by its tail ratio, or slower. The other
    n lack the terms of R_{n+1} beyond `terms`: sqrt(E T^2) is a norm, and it is too small by at most 2
    ||R_{terms+1}||_F.
    """
    radius, q = remainders.radius, law.tail_ratio
    if not q:
        return torch.where(radius == 0, 0.0, torch.inf)
    n = len(weights)
    # `bound` holds from `terms` on. It falls no faster than 1 / terms: from n on, `bound` terms / n holds.
    size = remainders.bound.log() + (n + 1) * radius.log() + math.log(remainders.terms / n)
    first = (1 / q - 1) * (1 + weights.sum())  # the next weight
    left_out = (2 * size + (4 * first).log()).exp() / (1 - radius**2 / q)
    short = 2 * (remainders.bound.log() + (remainders.terms + 1) * radius.log()).exp()
    within = short * torch.tensordot(weights, 2 * moments[1 : 1 + n].sqrt() + short, 1)
    rest = torch.where(radius**2 < q, left_out + within, torch.inf)
    return torch.where(radius == 0, 0.0, rest)
