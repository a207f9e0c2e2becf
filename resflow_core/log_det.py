"""log det(I + A) of a residual block, A = J_g(x): exactly, by a truncated series (biased), by roulette (unbiased).

    log det(I + A) = sum_{k>=1} a_k tr(A^k),   a_k = (-1)^(k+1) / k                       (paper, equation 3)
    tr(A^k) = E_v v'A^k v   for a probe v with E vv' = I                                  (Hutchinson)
    log det(I + A) = E_{N,v} sum_{k=1..N} a_k / P(N >= k) v'A^k v                         (paper, Theorem 1)
    d log det(I + A) = E_{N,v} sum_{k=0..N} (-1)^k / P(N >= k) v'A^k dA v                 (paper, Theorem 2)

Truncation and roulette are one sum with different coefficients (`resflow_core.gradients`). Only `Exact` forms A, which
in two dimensions is cheaper than any estimate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from resflow_core.arguments import checked_generator
from resflow_core.gradients import (
    GRADIENTS,
    Coefficients,
    DifferentiableMap,
    log_series,
    neumann_series,
    without_gradient,
)
from resflow_core.probes import PROBES
from resflow_core.roulette import LAWS, Geometric, Law, survival_table
from resflow_core.settings import check, setting


class BranchLike(DifferentiableMap, Protocol):
    """A map that also gives its Jacobian."""

    def value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """g(x), (batch, d), and A = dg/dx, (batch, d, d)."""
        ...


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
        self, branch: BranchLike, x: Tensor, generator: torch.Generator | None = None
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
        self, branch: BranchLike, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        value, jacobian = branch.value_and_jacobian(x)
        return value, residual_log_det(jacobian)

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

    def __post_init__(self) -> None:
        check(self)

    def value_and_log_det(
        self, branch: BranchLike, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return _estimated(self, branch, x, self.draw(x, generator))

    def draw(self, x: Tensor, generator: torch.Generator | None) -> "Draws":
        """What is random in the estimate of one block at as many points as x has, (batch, d)."""
        generator = checked_generator(generator, type(self).__name__)
        return Draws(truncated_coefficients(self.n_terms), _probes(self, x, generator))

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

    def __post_init__(self) -> None:
        check(self)

    def value_and_log_det(
        self, branch: BranchLike, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return _estimated(self, branch, x, self.draw(x, generator))

    def draw(self, x: Tensor, generator: torch.Generator | None) -> "Draws":
        """What is random in the estimate of one block at as many points as x has, (batch, d)."""
        generator = checked_generator(generator, type(self).__name__)
        rows = 1 if self.shared else len(x)
        n = self.law.sample(rows * self.n_draws, generator).view(rows, self.n_draws).cpu()
        return Draws(roulette_coefficients(self.law, n), _probes(self, x, generator))

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
    """a_k / P(N >= k) and b_k / P(N >= k) for k <= N, 0 beyond, as means over the draws. N has shape (rows,
    n_draws)."""
    k = torch.arange(max(n.flatten().tolist(), default=0) + 1)
    weights = torch.where(k <= n[..., None], 1 / law.survival(k), 0.0).mean(1)
    return Coefficients(log_series(len(k) - 1) * weights, neumann_series(len(k) - 1) * weights)


def keeps_graphs(log_det: LogDet) -> bool:
    """Whether the log det is differentiated after all blocks, as far as this is known."""
    estimator = log_det.log_det if isinstance(log_det, Drawn) else log_det
    return isinstance(estimator, Truncated | Roulette) and GRADIENTS[estimator.gradient].kept(1) > 0


def _work(log_det: Truncated | Roulette, batch: int, terms: int) -> Work:
    gradient = GRADIENTS[log_det.gradient]
    return Work(log_det.n_probes * batch, gradient.kept(terms), gradient.at_once(terms), terms)


def _probes(log_det: "Truncated | Roulette", x: Tensor, generator: torch.Generator) -> Tensor:
    return PROBES[log_det.probe].draw((log_det.n_probes, *x.shape), generator, x.dtype)


def _estimated(log_det: "Truncated | Roulette", branch: BranchLike, x: Tensor, draws: "Draws") -> tuple[Tensor, Tensor]:
    estimate = GRADIENTS[log_det.gradient].estimate if torch.is_grad_enabled() else without_gradient
    return estimate(branch, x, draws.probes.to(x.device), draws.coefficients)


class Draws(NamedTuple):
    """What is random in the estimate of one block: N, in the coefficients, and the probes, (n_probes, batch, d)."""

    coefficients: Coefficients
    probes: Tensor

    def of(self, rows: slice) -> "Draws":
        """Those of some points of the batch."""
        value, gradient = self.coefficients.value, self.coefficients.gradient
        own = Coefficients(value[rows], gradient[rows]) if len(value) > 1 else self.coefficients
        return Draws(own, self.probes[:, rows])


@dataclass(frozen=True)
class Drawn:
    """An estimator with what was drawn for each block beforehand, which is used once, in the order of the blocks."""

    log_det: "Truncated | Roulette"
    draws: Iterator[Draws]

    def value_and_log_det(
        self, branch: BranchLike, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return _estimated(self.log_det, branch, x, next(self.draws))

    def work(self, batch: int) -> Work:
        return self.log_det.work(batch)


def split(
    log_det: LogDet, blocks: int, x: Tensor, parts: Sequence[slice], generator: torch.Generator | None
) -> list[LogDet]:
    """The estimator for each of several parts of a batch x. All random numbers are drawn for the whole batch first,
    block by block, so the parts together give the estimate of the whole."""
    if not isinstance(log_det, Truncated | Roulette):
        return [log_det] * len(parts)
    draws = [log_det.draw(x, generator) for _ in range(blocks)]
    return [Drawn(log_det, iter([of_block.of(part) for of_block in draws])) for part in parts]
