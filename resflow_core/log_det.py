"""log det(I + A) of a residual block, A = J_g(x): exactly, by a truncated series (biased), by roulette (unbiased).

    log det(I + A) = sum_{k>=1} a_k tr(A^k),   a_k = (-1)^(k+1) / k                       (paper, equation 3)
    tr(A^k) = E_v v'A^k v   for a probe v with E vv' = I                                  (Hutchinson)
    log det(I + A) = E_{N,v} sum_{k=1..N} a_k / P(N >= k) v'A^k v                         (paper, Theorem 1)
    d log det(I + A) = E_{N,v} sum_{k=0..N} (-1)^k / P(N >= k) v'A^k dA v                 (paper, Theorem 2)

Truncation and roulette are one sum with different coefficients (`resflow_core.gradients`). Only `Exact` forms A, which
in two dimensions is cheaper than any estimate.

Nearly all noise of the estimate is in its first term, and tr A of a residual block with one hidden layer is a closed
form that costs one product (`residual.LinearisedSequential.trace`). With `exact_traces` = m, the first m traces are
exact, and the probe estimates the others: sum_{k<=m} a_k tr(A^k) + sum_{k=m+1..N} a_k / P(N >= k) v'A^k v. The mean is
the same. The paper estimates all terms, m = 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from resflow_core.arguments import checked_generator
from resflow_core.gradients import (
    GRADIENTS,
    Coefficients,
    DifferentiableMap,
    from_jacobian,
    log_series,
    neumann_series,
    second_moment,
    without_gradient,
)
from resflow_core.probes import PROBES
from resflow_core.roulette import LAWS, Geometric, Law, survival_table
from resflow_core.settings import check, setting


class Work(NamedTuple):
    """The most that the gradient of a log det needs, in 19 of 20 batches.

    `rows` go through the branch. The other numbers count vector-Jacobian products of a row in each block: `kept` for
    the backward pass, `at_once` at the same time, and `terms` in all, one for each term of the series.
    """

    rows: int
    kept: int
    at_once: int
    terms: int = 0


class LogDet(Protocol):
    """How log det(I + A) is computed: a frozen value, chosen by the caller."""

    def value_and_log_det(
        self, branch: DifferentiableMap, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """g(x), shape (batch, d), and log det(I + A) or its estimate, shape (batch,); both differentiable."""
        ...

    def work(self, batch: int) -> Work:
        """The work of one step with a batch of this size."""
        ...


@dataclass(frozen=True)
class Exact:
    """log|det(I + A)| from the Jacobian, which the branch computes along with its value."""

    def value_and_log_det(
        self, branch: DifferentiableMap, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        near = branch.near(x)
        return near.value, residual_log_det(near.jacobian())

    def work(self, batch: int) -> Work:
        return Work(batch, 0, 0)


@dataclass(frozen=True)
class Truncated:
    """The first n terms of the series, as the i-ResNet: biased by -sum_{k>n} a_k tr(A^k), for any number of probes."""

    title: ClassVar[str] = "Truncated (biased)"

    n_terms: int = setting(5, "Terms", "Terms of the series. The terms left out are the bias.", low=1, high=50)
    probe: str = setting("gaussian", "Probe", "Random vector that estimates each trace.", choices=PROBES)
    n_probes: int = setting(1, "Probes", "Probes averaged per point.", low=1, high=16, rare=True)
    gradient: str = setting(
        "neumann", "Gradient", "How the sum of the terms is differentiated.", choices=GRADIENTS, rare=True
    )
    exact_traces: int = setting(0, "Exact traces", "First terms without a probe. The paper has 0.", low=0, high=2)

    def __post_init__(self) -> None:
        check(self)

    def value_and_log_det(
        self, branch: DifferentiableMap, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return _estimated(self, branch, x, self.draw(x, generator))

    def draw(self, x: Tensor, generator: torch.Generator | None, blocks: int = 1) -> "Draws":
        """What is random in the estimates of so many blocks at as many points as x has, (batch, d)."""
        generator = checked_generator(generator, type(self).__name__)
        probes = _empty_probes(self, x, generator, blocks)
        for of_block in probes:
            PROBES[self.probe].fill(of_block, generator)
        return Draws(Cut(self.n_terms), torch.zeros(blocks, 1, 1, dtype=torch.float64), probes, self.exact_traces)

    def work(self, batch: int) -> Work:
        return _work(self, batch, self.n_terms)


@dataclass(frozen=True)
class Roulette:
    """The unbiased estimator of Theorem 1: a random number of terms, each divided by its chance of being reached."""

    title: ClassVar[str] = "Russian roulette (unbiased)"

    law: Law = setting(Geometric(), "Law of N", "How the number of terms N is drawn.", choices=LAWS)
    probe: str = setting("gaussian", "Probe", "Random vector that estimates each trace.", choices=PROBES)
    n_probes: int = setting(
        1, "Probes", "Probes averaged per point. They share the N of the point.", low=1, high=16, rare=True
    )
    shared: bool = setting(
        False,
        "One N per batch",
        "One N for the whole batch, as in released code. Its noise does not average out over the batch.",
        rare=True,
    )
    n_draws: int = setting(
        1, "Draws of N", "Draws of N averaged per point, over the same probes.", low=1, high=16, rare=True
    )
    gradient: str = setting(
        "neumann", "Gradient", "How the sum of the terms is differentiated.", choices=GRADIENTS, rare=True
    )
    exact_traces: int = setting(0, "Exact traces", "First terms without a probe. The paper has 0.", low=0, high=2)

    def __post_init__(self) -> None:
        check(self)

    def value_and_log_det(
        self, branch: DifferentiableMap, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return _estimated(self, branch, x, self.draw(x, generator))

    def draw(self, x: Tensor, generator: torch.Generator | None, blocks: int = 1) -> "Draws":
        """What is random in the estimates of so many blocks at as many points as x has, (batch, d)."""
        generator = checked_generator(generator, type(self).__name__)
        shape, probes = (blocks, 1 if self.shared else len(x), self.n_draws), _empty_probes(self, x, generator, blocks)
        u = torch.empty(shape, dtype=torch.float64, device=generator.device)
        for u_of_block, of_block in zip(u, probes, strict=True):
            u_of_block.uniform_(generator=generator)
            PROBES[self.probe].fill(of_block, generator)
        return Draws(self.law, u.cpu(), probes, self.exact_traces)

    def work(self, batch: int) -> Work:
        draws = self.n_draws * (1 if self.shared else batch)
        # The largest of the draws reaches k with a probability of at most draws * P(N >= k).
        terms = len(survival_table(self.law, 0.05 / draws))
        return _work(self, batch, terms)


def residual_log_det(jacobian: Tensor) -> Tensor:
    """log|det(I + A)|, (...), for A of shape (..., d, d); in two dimensions log|(1 + A11)(1 + A22) - A12 A21|."""
    if jacobian.shape[-1] == 2:
        (a, b), (c, d) = (row.unbind(-1) for row in jacobian.unbind(-2))
        return ((1 + a) * (1 + d) - b * c).abs().log()
    identity = torch.eye(jacobian.shape[-1], dtype=jacobian.dtype, device=jacobian.device)
    return torch.linalg.slogdet(identity + jacobian).logabsdet


LOG_DETS: dict[str, type[LogDet]] = {"exact": Exact, "truncated": Truncated, "roulette": Roulette}


def truncated_coefficients(n: int) -> Coefficients:
    """a_0, ..., a_n and b_0, ..., b_{n-1}. There is no b_n, because d tr(A^k) = k tr(A^{k-1} dA)."""
    gradient = neumann_series(n)
    gradient[n] = 0
    return Coefficients(log_series(n)[None], gradient[None])


def roulette_coefficients(law: Law, n: Tensor) -> Coefficients:
    """a_k / P(N >= k) and b_k / P(N >= k) for k <= N, 0 beyond, as means over the draws. N has shape (..., rows,
    n_draws)."""
    series = law_series(law, max(n.flatten().tolist(), default=0))
    share = (torch.arange(series.value.shape[1]) <= n[..., None]).double().mean(-2)
    return Coefficients(series.value * share, series.gradient * share)


def law_series(law: "Law | Cut", n: int) -> Coefficients:
    """Of a point that reaches the n-th term: a_k / P(N >= k) and b_k / P(N >= k) for k = 0, ..., n, each (1, 1 + n)."""
    if isinstance(law, Cut):
        return truncated_coefficients(n)
    weights = 1 / law.survival(torch.arange(n + 1))
    return Coefficients((log_series(n) * weights)[None], (neumann_series(n) * weights)[None])


def _work(log_det: Truncated | Roulette, batch: int, terms: int) -> Work:
    gradient = GRADIENTS[log_det.gradient]
    return Work(log_det.n_probes * batch, gradient.kept(terms), gradient.at_once(terms), terms)


def _empty_probes(log_det: "Truncated | Roulette", x: Tensor, generator: torch.Generator, blocks: int) -> Tensor:
    return torch.empty(blocks, log_det.n_probes, *x.shape, dtype=x.dtype, device=generator.device)


def _estimated(
    log_det: "Truncated | Roulette", branch: DifferentiableMap, x: Tensor, draws: "Draws"
) -> tuple[Tensor, Tensor]:
    estimate = GRADIENTS[log_det.gradient].estimate if torch.is_grad_enabled() else without_gradient
    found = draws.coefficients
    coefficients = replace(found, value=found.value.flatten(0, -2), gradient=found.gradient.flatten(0, -2))
    return estimate(branch, x, draws.probes[0].to(x.device), coefficients)


@dataclass(frozen=True)
class Cut:
    """The law of a series that is cut: N is n."""

    n: int

    def survival(self, k: Tensor) -> Tensor:
        """As `Law.survival`."""
        return (k <= self.n).double()

    def terms(self, u: Tensor) -> Tensor:
        """As `Law.terms`."""
        return torch.full_like(u, self.n, dtype=torch.int64)


class Draws(NamedTuple):
    """What is random in the estimates of several blocks."""

    law: Law | Cut
    u: Tensor  # (blocks, batch or 1, n_draws), float64: N is how many k there are with u < P(N >= k)
    probes: Tensor  # (blocks, n_probes, batch, d)
    exact_traces: int = 0

    @property
    def coefficients(self) -> Coefficients:
        """Those of each point, (blocks, batch or 1, 1 + terms): up to its N, as means over its draws."""
        if isinstance(self.law, Cut):
            return truncated_coefficients(self.law.n).beyond(self.exact_traces)
        return roulette_coefficients(self.law, self.law.terms(self.u)).beyond(self.exact_traces)

    def of(self, rows: slice) -> "Draws":
        """Those of some points of the batch."""
        return self._replace(u=self.u[:, rows] if self.u.shape[1] > 1 else self.u, probes=self.probes[:, :, rows])

    def each(self) -> "Iterator[Draws]":
        """Those of each block."""
        of_each = zip(self.u.split(1), self.probes.split(1), strict=True)
        return (self._replace(u=u, probes=probes) for u, probes in of_each)


class Drawn:
    """An estimator with what was drawn for all blocks beforehand. One after the other they use it once."""

    def __init__(self, log_det: "Truncated | Roulette", draws: Draws) -> None:
        self.log_det, self.draws = log_det, draws
        self._left = draws.each()

    def value_and_log_det(
        self, branch: DifferentiableMap, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return _estimated(self.log_det, branch, x, next(self._left))

    def work(self, batch: int) -> Work:
        return self.log_det.work(batch)


def from_jacobians(log_det: LogDet, jacobians: Tensor, x: Tensor, generator: torch.Generator | None) -> Tensor:
    """The log dets of n blocks, (n, batch), from their A, (n, batch, d, d): the same to rounding as each block's own
    `value_and_log_det` at as many points as x has, (batch, d), with the same draws. Raises TypeError for a log det that
    is none of `LOG_DETS`."""
    log_det = drawn(log_det, len(jacobians), x, generator)
    if isinstance(log_det, Drawn):
        draws, gradient = log_det.draws, GRADIENTS[log_det.log_det.gradient]
        return from_jacobian(gradient, jacobians, second_moment(draws.probes).to(x.device), draws.coefficients)
    if isinstance(log_det, Exact):
        return residual_log_det(jacobians)
    raise TypeError(f"log_det = {log_det!r}: use one of {', '.join(LOG_DETS)}.")


def drawn(log_det: LogDet, blocks: int, x: Tensor, generator: torch.Generator | None) -> LogDet:
    """An estimator with all that so many blocks need at as many points as x has; any other log det as it is."""
    if isinstance(log_det, Truncated | Roulette):
        return Drawn(log_det, log_det.draw(x, generator, blocks))
    return log_det


def split(
    log_det: LogDet, blocks: int, x: Tensor, parts: Sequence[slice], generator: torch.Generator | None
) -> list[LogDet]:
    """The estimator for each of several parts of a batch x. All random numbers are drawn for the whole batch first,
    block by block, so the parts together give the estimate of the whole."""
    whole = drawn(log_det, blocks, x, generator)
    return [Drawn(whole.log_det, whole.draws.of(part)) if isinstance(whole, Drawn) else whole for part in parts]
