"""The contract of an invertible map, with the words and signs that hold everywhere in this package.

x is data, z is latent. `forward` maps x -> z (the density direction, as in the paper), `inverse` z -> x (sampling).
`log_det` is log|det dz/dx|, the natural logarithm, one value per point: shape (batch,). Points have shape (batch, dim).

    log p(x) = log p_base(forward(x)) + log_det(x)          (paper, equation 1)

Of a residual block f(x) = x + g(x), g is the branch, A = J_g(x) its Jacobian, L >= Lip(g) the certified bound of ||A||
in the branch's norm (the 2-norm unless said), rho the spectral radius of A. Where log det(I + A) is estimated, a probe
is a random vector v with E vv' = I, N the random number of terms, its law known by the survival function P(N >= k), and
n_exact the number of terms that are always computed. "The paper" is Chen, Behrmann, Duvenaud, Jacobsen: Residual Flows
for Invertible Generative Modeling, NeurIPS 2019.

How the log det is computed is a value that is passed in (`resflow_core.log_det`), never a mode of the module:
nothing here depends on `.training`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from resflow_core.log_det import Exact, LogDet
from resflow_core.settings import told

CONVERSIONS = {torch.float32: "float()", torch.float64: "double()"}


def checked(points: Any, dim: int, like: Tensor | None) -> Tensor:
    """The points, if they are a (batch, dim) tensor of the type of `like`. Raises ValueError, with what to pass."""
    if not isinstance(points, Tensor):
        dtype = torch.float32 if like is None else like.dtype
        raise ValueError(
            f"points = {told(points)}: pass a torch tensor of shape (batch, {dim}), e.g. "
            f"torch.tensor(points, dtype={dtype})."
        )
    if points.ndim != 2 or points.shape[1] != dim:
        shape = tuple(points.shape)
        remedy = f" Pass points.reshape(-1, {dim})." if shape[-1:] == (dim,) else ""
        raise ValueError(f"Expected points of shape (batch, {dim}); got {shape}.{remedy}")
    if like is not None and points.dtype != like.dtype:
        name = CONVERSIONS.get(like.dtype, f"to({like.dtype})")
        other = " or convert the map with .double()" if points.dtype == torch.float64 else ""
        raise ValueError(f"Expected points of type {like.dtype}; got {points.dtype}. Pass points.{name}{other}.")
    return points


def check_finite(points: Tensor) -> None:
    """Raise ValueError, which names the first row, unless all numbers of points, (batch, dim), are finite."""
    bad = (~points.isfinite()).any(1)
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        raise ValueError(
            f"{int(bad.sum())} of {len(points)} points are not finite; the first is {points[row].tolist()} "
            f"(row {row}). Leave them out: points[points.isfinite().all(1)]."
        )


class Bijection(nn.Module, ABC):
    """An invertible, differentiable map of R^dim onto itself.

    Subclasses define `_forward`, `_inverse` and `_forward_and_log_det`; callers use the names without underscore,
    which raise ValueError for anything that is not a (batch, dim) tensor of the parameters' type.

    Rows do not depend on each other. If a row has a NaN, its z and its density are NaN, and other rows keep theirs.
    `forward` does not look for it, because a GPU would have to wait in every call. `inverse` and `initialize` refuse
    it.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim
        # Of the points that were taken last. To find the parameters' own type takes 10 us, in every block and step.
        self._dtype: torch.dtype | None = None

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self._dtype = None  # `.double()`, `.to(...)` and the like
        return super()._apply(fn, recurse)

    @abstractmethod
    def _forward(self, x: Tensor) -> Tensor: ...

    @abstractmethod
    def _inverse(self, z: Tensor) -> Tensor: ...

    @abstractmethod
    def _forward_and_log_det(
        self, x: Tensor, log_det: LogDet, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]: ...

    def forward(self, x: Tensor) -> Tensor:
        """z = f(x), (batch, dim) -> (batch, dim)."""
        return self._forward(self._checked(x))

    @torch.no_grad()
    def inverse(self, z: Tensor) -> Tensor:
        """x = f^-1(z), (batch, dim) -> (batch, dim), a constant: solvers find it, and nothing can be differentiated.

        Raises `NotConverged` rather than return a wrong point.
        """
        return self._inverse(self._checked(z))

    def forward_and_log_det(
        self, x: Tensor, log_det: LogDet | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """z = f(x), (batch, dim), and log|det dz/dx|, (batch,), exact or as `log_det` estimates it.

        A stochastic `log_det` draws from `generator` and raises ValueError without one.
        """
        log_det = Exact() if log_det is None else log_det
        if isinstance(log_det, type) or not hasattr(log_det, "value_and_log_det"):
            raise ValueError(f"log_det = {told(log_det)}: pass an estimator, e.g. Exact() or Roulette().")
        return self._forward_and_log_det(self._checked(x), log_det, generator)

    def _checked(self, points: Tensor) -> Tensor:
        is_known = isinstance(points, Tensor) and points.dtype == self._dtype
        if not (is_known and points.ndim == 2 and points.shape[1] == self.dim):
            self._dtype = checked(points, self.dim, next(self.parameters(), None)).dtype
        return points


class Chain(Bijection):
    """The composition f = f_K o ... o f_1; its log det is the sum of theirs, each taken where the point has got to."""

    def __init__(self, bijections: Iterable[Bijection]):
        parts = list(bijections)
        super().__init__(parts[0].dim)
        self.bijections = nn.ModuleList(parts)

    @property
    def parts(self) -> list[Bijection]:
        """f_1, ..., f_K."""
        return cast("list[Bijection]", list(self.bijections))

    def _forward(self, x: Tensor) -> Tensor:
        for bijection in self.parts:
            x = bijection(x)
        return x

    def _inverse(self, z: Tensor) -> Tensor:
        for bijection in reversed(self.parts):
            z = bijection.inverse(z)
        return z

    def _forward_and_log_det(
        self, x: Tensor, log_det: LogDet, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        z, log_dets = self.forward_and_log_dets(x, log_det, generator)
        return z, log_dets.sum(1)

    def forward_and_log_dets(
        self, x: Tensor, log_det: LogDet | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `forward_and_log_det`, with the log det of every part apart: shape (batch, parts)."""
        log_dets = []
        for bijection in self.parts:
            x, part = bijection.forward_and_log_det(x, log_det, generator)
            log_dets.append(part)
        return x, torch.stack(log_dets, 1)
