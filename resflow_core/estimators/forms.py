"""The quadratic form v'Sv of a probe v, S symmetric: its variance, and for d = 2 its distribution.

Each probe of `resflow_core.probes` has an entry of `FORMS`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from resflow_core import probes

ANGLES = 256
"""Of the rule by which the distribution of a Gaussian form is summed: its error is then below 1e-5."""


@dataclass(frozen=True, eq=False)
class Quadratic:
    """Three squares of S = sym(R), on which the mean square and the noise of v'Rv depend. Tensors of one shape.

    Squares of independent forms add up. Squares of several points may be averaged.
    """

    trace_squared: Tensor  # tr(S)^2
    off_squared: Tensor  # sum_{i != j} S_ij^2
    traceless_squared: Tensor  # ||S - tr(S)/d I||_F^2
    dim: int

    @classmethod
    def of(cls, r: Tensor) -> "Quadratic":
        """Of matrices R, (..., d, d)."""
        symmetric, d = (r + r.mT) / 2, r.shape[-1]
        diagonal = symmetric.diagonal(dim1=-2, dim2=-1)
        trace = diagonal.sum(-1)
        off = (symmetric - torch.diag_embed(diagonal)).square().sum((-2, -1))
        return cls(trace**2, off, off + (diagonal - trace[..., None] / d).square().sum(-1), d)

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.trace_squared, self.off_squared, self.traceless_squared

    def map(self, function: Callable[[Tensor], Tensor]) -> "Quadratic":
        """A linear `function` of the tensors."""
        trace, off, traceless = map(function, self.parts)
        return Quadratic(trace, off, traceless, self.dim)

    def __add__(self, other: "Quadratic") -> "Quadratic":
        """Of the sum of two independent forms."""
        trace, off, traceless = map(torch.add, self.parts, other.parts)
        return Quadratic(trace, off, traceless, self.dim)


@dataclass(frozen=True)
class Form:
    """The distribution of the mean of v'Sv over the n_probes of a point.

    `variance(quadratic, n_probes)` is its variance. The other three are for d = 2, with the trace of S, the difference
    S_11 - S_22 and twice the other entry, 2 S_12:

    `spread(difference, twice_off, n_probes)` is the largest distance of the mean of v'Sv from the trace. For Gaussian
    probes, whose length varies, it is the difference of the eigenvalues of S.
    `log_mean_exp(trace, spread, n_probes)` is log E exp(mean of v'Sv), which may be infinite.
    `cdf(trace, spread, x)` is P(v'Sv <= x) for one probe.
    """

    variance: Callable[[Quadratic, int], Tensor]
    spread: Callable[[Tensor, Tensor, int], Tensor]
    log_mean_exp: Callable[[Tensor, Tensor, int], Tensor]
    cdf: Callable[[Tensor, Tensor, Tensor], Tensor]


def form_of(probe: str) -> Form:
    """That of a key of `PROBES`. Raises KeyError for another one."""
    return FORMS[probes.PROBES[probe].fill]


def _gaussian_variance(quadratic: Quadratic, n_probes: int) -> Tensor:
    """2 ||S||_F^2 / K."""
    return 2 * (quadratic.traceless_squared + quadratic.trace_squared / quadratic.dim) / n_probes


def _sign_variance(quadratic: Quadratic, n_probes: int) -> Tensor:
    """2 (||S||_F^2 - sum_i S_ii^2) / K: the squares of signs are known."""
    return 2 * quadratic.off_squared / n_probes


def _sphere_variance(quadratic: Quadratic, n_probes: int) -> Tensor:
    """2 d / (d + 2) (||S||_F^2 - tr(S)^2 / d) / K: the length of v is known."""
    return 2 * quadratic.dim / (quadratic.dim + 2) * quadratic.traceless_squared / n_probes


def _orthogonal_variance(quadratic: Quadratic, n_probes: int) -> Tensor:
    """Groups of d give the trace; r = K mod d that are left over, with sum v'Sv of variance V_1 r (d - r) / (d - 1)."""
    d = quadratic.dim
    left = n_probes % d
    return _sphere_variance(quadratic, 1) * (left * (d - left) / max(d - 1, 1) / n_probes**2)


def _eigenvalue_gap(difference: Tensor, twice_off: Tensor, n_probes: int) -> Tensor:
    """The eigenvalues of S are (trace +- gap) / 2."""
    return torch.hypot(difference, twice_off)


def _unpaired_gap(difference: Tensor, twice_off: Tensor, n_probes: int) -> Tensor:
    """Orthogonal pairs give the trace; where one probe is left over, it is one of n_probes."""
    return torch.hypot(difference, twice_off) * (n_probes % 2 / n_probes)


def _gaussian_log_mean_exp(trace: Tensor, gap: Tensor, n_probes: int) -> Tensor:
    """E exp = det(I - 2 S / K)^(-K/2) as long as both eigenvalues of S are below K / 2."""
    log_det = torch.log1p(-(trace + gap) / n_probes) + torch.log1p(-(trace - gap) / n_probes)
    return torch.where(trace + gap < n_probes, -n_probes / 2 * log_det, math.inf)


def _sign_log_mean_exp(trace: Tensor, spread: Tensor, n_probes: int) -> Tensor:
    """v_1 v_2 is a sign: E exp = exp(tr S) cosh(2 S_12 / K)^K."""
    return trace + spread + n_probes * (torch.log1p(torch.exp(-2 / n_probes * spread)) - math.log(2))


def _circle_log_mean_exp(trace: Tensor, gap: Tensor, n_probes: int) -> Tensor:
    """v'Sv = tr S + gap cos(angle): E exp = exp(tr S) I_0(gap / K)^K."""
    return trace + gap + n_probes * torch.log(torch.special.i0e(gap / n_probes))


def _unpaired_log_mean_exp(trace: Tensor, spread: Tensor, n_probes: int) -> Tensor:
    """One probe on the circle with the spread that is left."""
    return _circle_log_mean_exp(trace, spread, 1)


def _gaussian_cdf(trace: Tensor, gap: Tensor, x: Tensor) -> Tensor:
    """v'Sv = r^2 c / 2 with c = tr S + gap cos(angle), r^2 exponential with mean 2 and the angle uniform on (0, pi):
    beyond x, on the side of zero where x is, lies a share exp(-x / c) of the angles with x / c >= 0.

    The midpoint rule over the angles with that sign of c, closer together at both ends.
    """
    s = ((torch.arange(ANGLES, dtype=x.dtype) + 0.5) / ANGLES).view(-1, *[1] * x.dim())
    ends = torch.arccos(torch.clamp(-trace / gap, -1, 1).nan_to_num(-1.0))  # c > 0 before this angle
    first, width = torch.where(x < 0, ends, 0.0), torch.where(x < 0, math.pi - ends, ends)
    c = trace + gap * torch.cos(first + width * s**2 * (3 - 2 * s))
    beyond = width / math.pi * (6 * s * (1 - s) * torch.exp(-(x / c).clamp(min=0))).nan_to_num(0.0).mean(0)
    return torch.where(x < 0, beyond, 1 - beyond)


def _sign_cdf(trace: Tensor, spread: Tensor, x: Tensor) -> Tensor:
    """tr S +- spread, each with probability 1/2."""
    return ((x >= trace - spread).to(x.dtype) + (x >= trace + spread)) / 2


def _circle_cdf(trace: Tensor, gap: Tensor, x: Tensor) -> Tensor:
    """v'Sv = tr S + gap cos(angle), with the angle uniform on (0, pi)."""
    return torch.where(gap > 0, 1 - torch.arccos(torch.clamp((x - trace) / gap, -1, 1)) / math.pi, x >= trace)


def _off_diagonal(difference: Tensor, twice_off: Tensor, n_probes: int) -> Tensor:
    """The squares of signs are known."""
    return twice_off.abs()


FORMS: dict[Callable[..., Tensor], Form] = {
    probes.gaussian: Form(_gaussian_variance, _eigenvalue_gap, _gaussian_log_mean_exp, _gaussian_cdf),
    probes.rademacher: Form(_sign_variance, _off_diagonal, _sign_log_mean_exp, _sign_cdf),
    probes.sphere: Form(_sphere_variance, _eigenvalue_gap, _circle_log_mean_exp, _circle_cdf),
    probes.orthogonal: Form(_orthogonal_variance, _unpaired_gap, _unpaired_log_mean_exp, _circle_cdf),
}
"""By what fills a probe."""
