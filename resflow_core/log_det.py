"""log det(I + A) of a residual block, A = J_g(x): exactly, by a truncated series (biased), by roulette (unbiased).

    log det(I + A) = sum_{k>=1} a_k tr(A^k),   a_k = (-1)^(k+1) / k                       (paper, equation 5)
    tr(A^k) = E_v v'A^k v   for a probe v with E vv' = I                                  (Hutchinson)
    log det(I + A) = E_{N,v} sum_{k<=N} a_k / P(N >= k) v'A^k v                           (paper, Theorem 1)

Truncation and roulette are one fold with different coefficients. Both reach the branch only through vector-Jacobian
products, as they must where d is large; only `Exact` forms A, which in two dimensions is cheaper than any estimate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from resflow_core.identity_plus import log_abs_det_of_identity_plus
from resflow_core.roulette import LAWS, Geometric, Law
from resflow_core.settings import check, setting


class BranchLike(Protocol):
    """g: (batch, d) -> (batch, d), row by row, with Lip(g) < 1."""

    def __call__(self, x: Tensor) -> Tensor: ...

    def value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]: ...


class LogDet(Protocol):
    """How log det(I + A) is computed: a frozen value, chosen by the caller."""

    def value_and_log_det(
        self, branch: BranchLike, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """g(x), shape (batch, d), and log det(I + A) or its estimate, shape (batch,); both differentiable."""
        ...

    def work(self, batch: int) -> tuple[int, int]:
        """Rows that go through the branch, and vector-Jacobian products of each, at most (in 19 of 20 batches)."""
        ...


def gaussian(shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """v ~ N(0, I): the paper's probe."""
    return torch.randn(shape, generator=generator, dtype=dtype, device=generator.device)


def rademacher(shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Independent signs: no noise from the diagonal of A^k, so never a larger variance than the Gaussian probe's."""
    signs = torch.randint(2, shape, generator=generator, device=generator.device)
    return (2 * signs - 1).to(dtype)


Probe = Callable[[tuple[int, int], torch.Generator, torch.dtype], Tensor]
PROBES: dict[str, Probe] = {"gaussian": gaussian, "rademacher": rademacher}


@dataclass(frozen=True)
class Exact:
    """log|det(I + A)| from the Jacobian, which the branch carries along with its activations."""

    def value_and_log_det(self, branch, x, generator=None):
        value, jacobian = branch.value_and_jacobian(x)
        return value, log_abs_det_of_identity_plus(jacobian)

    def work(self, batch):
        return batch, 0


@dataclass(frozen=True)
class Truncated:
    """The first n terms of the series, as the i-ResNet: biased by -sum_{k>n} a_k tr(A^k), however many probes."""

    title: ClassVar[str] = "Truncated (biased)"

    n_terms: int = setting(5, "Terms", "Terms of the series. What is left out is the bias.", low=1, high=50)
    probe: str = setting("gaussian", "Probe", "Random vector that estimates each trace.", choices=PROBES)
    n_probes: int = setting(1, "Probes", "Probes averaged per point.", low=1, high=16)

    def __post_init__(self):
        check(self)

    def value_and_log_det(self, branch, x, generator=None):
        coefficients = series_coefficients(self.n_terms)[None]
        return _folded(branch, x, coefficients, self.probe, self.n_probes, _given(generator, self))

    def work(self, batch):
        return self.n_probes * batch, self.n_terms


@dataclass(frozen=True)
class Roulette:
    """The unbiased estimator of Theorem 1: a random number of terms, each divided by its chance of being reached."""

    title: ClassVar[str] = "Russian roulette (unbiased)"

    law: Law = setting(Geometric(), "Law of N", "How the number of terms N is drawn.", choices=LAWS)
    probe: str = setting("gaussian", "Probe", "Random vector that estimates each trace.", choices=PROBES)
    n_probes: int = setting(1, "Probes", "Probes averaged per point; they share the point's N.", low=1, high=16)
    shared: bool = setting(
        False,
        "One N per batch",
        "One N for the whole batch, as in released code: its noise does not average out over the batch.",
    )

    def __post_init__(self):
        check(self)

    def value_and_log_det(self, branch, x, generator=None):
        generator = _given(generator, self)
        n = self.law.sample(1 if self.shared else len(x), generator).cpu()
        coefficients = roulette_coefficients(self.law, n)
        return _folded(branch, x, coefficients, self.probe, self.n_probes, generator)

    def work(self, batch):
        draws = 1 if self.shared else batch
        exceeded = draws * self.law.survival(torch.arange(1, 2_000))  # bounds the chance that some N reaches k
        return self.n_probes * batch, int((exceeded > 0.05).sum())


LOG_DETS: dict[str, type[LogDet]] = {"exact": Exact, "truncated": Truncated, "roulette": Roulette}


def series_coefficients(n: int) -> Tensor:
    """a_1 ... a_n of log(1 + t) = sum a_k t^k, float64."""
    k = torch.arange(1, n + 1, dtype=torch.float64)
    return -((-1) ** k) / k


def roulette_coefficients(law: Law, n: Tensor) -> Tensor:
    """a_k / P(N >= k) for k <= N and 0 beyond, for every draw of N: shape (draws, max N), float64."""
    k = torch.arange(1, int(n.max()) + 1)
    return torch.where(k <= n[:, None], series_coefficients(len(k)) / law.survival(k), 0.0)


def power_series(branch: BranchLike, x: Tensor, probes: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
    """g(x) and sum_k c_k v'A^k v, for probes v of x's shape and c of shape (batch or 1, terms).

    Each power costs one vector-Jacobian product, w' <- w'A. Differentiable wherever gradients are enabled.
    """
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        x = x if differentiable and x.requires_grad else x.detach().requires_grad_()
        value = branch(x)
        w, total = probes, torch.zeros(len(x), dtype=x.dtype, device=x.device)
        for c in coefficients.to(x).unbind(1):
            (w,) = torch.autograd.grad(value, x, w, create_graph=differentiable, retain_graph=True)
            total = total + c * (w * probes).sum(1)
    return (value, total) if differentiable else (value.detach(), total.detach())


def _folded(branch, x, coefficients, probe, n_probes, generator):
    """`power_series` averaged over n_probes probes a point, which travel as one batch of n_probes * len(x) rows."""
    probes = PROBES[probe]((n_probes * len(x), x.shape[1]), generator, x.dtype).to(x.device)
    coefficients = coefficients.repeat(n_probes, 1) if len(coefficients) > 1 else coefficients
    value, total = power_series(branch, x.repeat(n_probes, 1), probes, coefficients)
    return value[: len(x)], total.view(n_probes, -1).mean(0)


def _given(generator: torch.Generator | None, log_det: LogDet) -> torch.Generator:
    if generator is None:
        raise ValueError(f"{type(log_det).__name__} draws at random; pass a torch.Generator.")
    return generator
