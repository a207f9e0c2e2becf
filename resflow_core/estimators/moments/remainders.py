"""The rest of a sum of quadratic forms from its n-th term on. All moments of an estimator follow from it.

An estimator of sum_k tr(M_k) draws v'M_k v instead of tr(M_k). The sum is the log det, or its derivative by one
parameter theta, with B = dA / d theta:

    log det(I + A)                                 M_k = a_k A^k                            (paper, equation 3)
    the same, differentiated term by term          M_k = a_k sum_{j<k} A^j B A^(k-1-j)
    the same, by the Neumann series                M_k = b_k A^k B                          (paper, Theorem 2)

With m exact traces no probe is drawn for M_k up to k = m, or k = m - 1 of the Neumann series. The noise is then that of
a sum that begins later, in which R_n is the same for all n up to its first.

The remainders R_n = sum_{k>=n} M_k are summed from the last term to the first. The difference of the whole sum and a
partial sum would be lost in rounding.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from resflow_core.estimators.forms import Quadratic
from resflow_core.estimators.moments.powers import matrix_powers, powers, radius_seen, spectral_radius
from resflow_core.gradients import log_series, neumann_series

# A series that needs more terms falls too slowly to be summed. `bound` then limits the missing part.
MOST_TERMS = 4096
NEGLIGIBLE = 1e-20


@dataclass(frozen=True, eq=False)
class Remainders:
    """Moments of R_0, R_1, ... for a batch of points, float64: tensors of shape (1 + terms, batch).

    The probe estimates M_k from k = `first` on: `quadratic` and `shared_squared` are of what is left of R_n, `trace` is
    of all of it. `bound` and `radius`, (batch,), describe the R_n with n >= terms: ||R_n||_F <= bound radius^n, with
    `radius` the spectral radius of A. This holds for the log det with d = 2; otherwise `bound` is NaN.
    """

    quadratic: Quadratic
    trace: Tensor  # tr R_n
    shared_squared: Tensor  # tr(R_n)^2; if `pooled`, the square of the pooled trace
    radius: Tensor
    bound: Tensor
    first: int = 0

    @property
    def terms(self) -> int:
        """The index of the last remainder."""
        return len(self.trace) - 1

    def unflattened(self, shape: tuple[int, int]) -> "Remainders":
        """The batch split into shape[0] points with shape[1] parameters each. `pooled` then pools the parameters."""
        names = ("trace", "shared_squared", "radius", "bound")
        parts = {name: getattr(self, name).unflatten(-1, shape) for name in names}
        return replace(self, quadratic=self.quadratic.map(lambda t: t.unflatten(-1, shape)), **parts)

    def beyond(self, first: int) -> "Remainders":
        """The same with M_k known for k < `first`."""
        if first <= self.first:
            return self
        known = torch.arange(1 + self.terms).clamp(min=first)
        quadratic, shared = self.quadratic.map(lambda t: t[known]), self.shared_squared[known]
        return replace(self, quadratic=quadratic, shared_squared=shared, first=first)

    def pooled(self, over: Callable[[Tensor], Tensor] = lambda t: t.mean(-1)) -> "Remainders":
        """The remainders of one point that stands for all: traces and squares are averaged, or reduced by `over`."""
        trace, radius, bound = over(self.trace), self.radius.amax(-1), over(self.bound**2).sqrt()
        return Remainders(self.quadratic.map(over), trace, trace**2, radius, bound).beyond(self.first)

    def __add__(self, other: "Remainders") -> "Remainders":
        """The remainders of the sum of two independent estimates, such as those of two blocks."""
        return Remainders(
            self.quadratic + other.quadratic,
            self.trace + other.trace,
            self.shared_squared + other.shared_squared,
            torch.maximum(self.radius, other.radius),
            torch.hypot(self.bound, other.bound),
            max(self.first, other.first),
        )


def terms_for(radius: float, tail_ratio: float) -> int:
    """The number of terms that is enough: radius^n and (radius^2 / tail_ratio)^n are then at most `NEGLIGIBLE`.

    It is at least 64, because laws of `LAWS` need some terms until they fall geometrically. It is at most `MOST_TERMS`.
    If the second sequence does not fall, it is ignored: the variance is infinite, and no number of terms is enough.
    """
    falls = [r for r in (radius, radius**2 / tail_ratio if tail_ratio else 0.0) if 0 < r < 1]
    return max([64, *(min(MOST_TERMS, math.ceil(math.log(NEGLIGIBLE) / math.log(r))) for r in falls)])


def log_det_remainders(jacobian: Tensor, terms: int, exact_traces: int = 0) -> Remainders:
    """The `Remainders` of log det(I + A), for A of shape (batch, d, d), beyond so many exact traces.

    In two dimensions they take two numbers a term. Raises ValueError if a spectral radius of A is 1 or more.
    """
    return _log_det_remainders(jacobian, terms).beyond(QUANTITIES["log_det"].first(exact_traces))


def _log_det_remainders(jacobian: Tensor, terms: int) -> Remainders:
    jacobian, coefficients = jacobian.double(), log_series(terms).tolist()
    radius = _checked(spectral_radius(jacobian))
    if jacobian.shape[-1] != 2:
        return _of_series(log_det_summands, jacobian, jacobian, terms, radius)
    (a, b), (c, d) = (row.unbind(-1) for row in jacobian.unbind(-2))
    trace, det = a + d, a * d - b * c
    x, y = torch.zeros(2, 1 + terms, len(jacobian), dtype=torch.float64)
    for k, (u, u_before) in zip(range(1, 1 + terms), powers(trace, det), strict=False):
        torch.mul(u, coefficients[k], out=x[k])
        torch.mul(u_before * det, -coefficients[k], out=y[k])
    x, y = _from_the_last(x), _from_the_last(y)
    of_a = Quadratic.of(jacobian)
    tail_trace, x_squared = torch.addcmul(2 * y, x, trace), x.square_()
    # |u_k| is at most k radius^(k-1), and at most 2 radius^k / gap for eigenvalues that are `gap` apart.
    gap = (trace**2 - 4 * det).abs().sqrt()
    size = torch.linalg.matrix_norm(jacobian) + math.sqrt(2) * radius
    size = size * (2 * radius / (terms * gap)).nan_to_num(1.0).clamp(max=1)
    return Remainders(
        Quadratic(tail_trace**2, x_squared * of_a.off_squared, x_squared * of_a.traceless_squared, 2),
        tail_trace,
        tail_trace**2,
        radius,
        size / (radius.clamp(min=1e-300) * (1 - radius)),
    )


def neumann_remainders(jacobian: Tensor, derivative: Tensor, terms: int) -> Remainders:
    """The `Remainders` of d log det(I + A) by the Neumann series, for A and B = dA / d theta, both (batch, d, d).

    Raises ValueError if a radius (`radius_seen`) is 1 or more.
    """
    radius = radius_seen(jacobian.double(), derivative.double(), from_both_sides=False)
    return _of_series(neumann_summands, jacobian, derivative, terms, radius)


def plain_remainders(jacobian: Tensor, derivative: Tensor, terms: int) -> Remainders:
    """The `Remainders` of d log det(I + A) term by term, for A and B = dA / d theta, both (batch, d, d).

    Raises ValueError if a radius (`radius_seen`) is 1 or more.
    """
    radius = radius_seen(jacobian.double(), derivative.double(), from_both_sides=True)
    return _of_series(plain_summands, jacobian, derivative, terms, radius)


def log_det_summands(jacobian: Tensor, derivative: Tensor, terms: int) -> Iterator[Tensor]:
    """M_0, ..., M_terms of the log det, each (batch, d, d). `derivative` is not used."""
    for a_k, power in zip(log_series(terms).tolist(), matrix_powers(jacobian), strict=False):
        yield a_k * power


def neumann_summands(jacobian: Tensor, derivative: Tensor, terms: int) -> Iterator[Tensor]:
    """M_0, ..., M_terms of the gradient by the Neumann series, each (batch, d, d)."""
    product = derivative
    for b_k in neumann_series(terms).tolist():
        yield b_k * product
        product = jacobian @ product


def plain_summands(jacobian: Tensor, derivative: Tensor, terms: int) -> Iterator[Tensor]:
    """M_0, ..., M_terms of the gradient term by term, each (batch, d, d), by d(A^(k+1)) = A d(A^k) + B A^k."""
    moved = torch.zeros_like(jacobian)
    for a_k, power in zip(log_series(terms).tolist(), matrix_powers(jacobian), strict=False):
        yield a_k * moved
        moved = jacobian @ moved + derivative @ power


@dataclass(frozen=True)
class Quantity:
    """A quantity to estimate. If its series is truncated to n terms, the last summand is M_{n - lag}. If n traces are
    exact, so are the summands up to that one."""

    title: str
    summands: Callable[[Tensor, Tensor, int], Iterator[Tensor]]
    remainders: Callable[[Tensor, Tensor, int], Remainders]
    lag: int = 0

    def first(self, exact_traces: int) -> int:
        """The first k with an M_k that a probe estimates."""
        return 1 + exact_traces - self.lag if exact_traces else 0


QUANTITIES: dict[str, Quantity] = {
    "log_det": Quantity("Log det", log_det_summands, lambda a, _, terms: _log_det_remainders(a, terms)),
    "neumann": Quantity("Gradient, Neumann series", neumann_summands, neumann_remainders, lag=1),
    "plain": Quantity("Gradient, term by term", plain_summands, plain_remainders),
}


def _of_series(summands: Callable, jacobian: Tensor, derivative: Tensor, terms: int, radius: Tensor) -> Remainders:
    r = _from_the_last(torch.stack(list(summands(jacobian.double(), derivative.double(), terms))))
    trace = r.diagonal(dim1=-2, dim2=-1).sum(-1)
    return Remainders(Quadratic.of(r), trace, trace**2, _checked(radius), torch.full_like(radius, math.nan))


def _checked(radius: Tensor) -> Tensor:
    if (radius >= 1).any():
        raise ValueError(
            f"A has the spectral radius {float(radius.max()):g}; the series of log det(I + A) converges only below 1. "
            "Use matrices with smaller entries."
        )
    return radius


def _from_the_last(summands: Tensor) -> Tensor:
    """sum_{k>=n} of the summands, for every n."""
    return summands.flip(0).cumsum(0).flip(0)
