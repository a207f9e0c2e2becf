"""The contract of an invertible map, and the words and signs of the whole package.

x is data, z is latent. `forward` maps x -> z, the direction of the density, as in the paper. `inverse` maps z -> x, for
sampling. Points have shape (batch, dim). `log_det` is log|det dz/dx|, in nats, one value per point, (batch,).

    log p(x) = log p_base(forward(x)) + log_det(x)          (paper, equation 2)

A residual block is f(x) = x + g(x). g is its branch, and A = J_g(x) the branch's Jacobian. L >= Lip(g) is the certified
bound of ||A||, in the 2-norm unless the branch has another norm. rho is the spectral radius of A.

An estimate of log det(I + A) uses a probe, which is a random vector v with E vv' = I, and a random number N of terms.
The law of N is given by its survival function P(N >= k). n_exact is the number of terms that are always computed.

"The paper" is Chen, Behrmann, Duvenaud, Jacobsen: Residual Flows for Invertible Generative Modeling, NeurIPS 2019.

The way to compute the log det is an argument (`resflow_core.log_det`). Nothing here depends on `.training`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from resflow_core.arguments import checked_points
from resflow_core.log_det import Exact, LogDet
from resflow_core.settings import told


class Bijection(nn.Module, ABC):
    """An invertible, differentiable map of R^dim onto itself.

    Subclasses define `_forward`, `_inverse` and `_forward_and_log_det`. Callers use the names without underscore. These
    raise ValueError unless the points are a (batch, dim) tensor of the parameters' type.

    Rows do not depend on each other. If a row has a NaN, its z and its density are NaN, and other rows keep theirs.
    `forward` does not search for NaN, because a GPU would have to wait in every call. `inverse` and `initialize` refuse
    it.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim
        # The type of the last accepted points. Looking it up in the parameters takes 10 us, in every block and step.
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
        """x = f^-1(z), (batch, dim) -> (batch, dim). It comes from a solver, and has no gradient.

        Raises `NotConverged` if the solver does not reach the tolerance.
        """
        return self._inverse(self._checked(z))

    def forward_and_log_det(
        self, x: Tensor, log_det: LogDet | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """z = f(x), (batch, dim), and log|det dz/dx|, (batch,), exact or as `log_det` estimates it.

        An estimator draws from `generator`, and raises ValueError without one.
        """
        log_det = Exact() if log_det is None else log_det
        if isinstance(log_det, type) or not hasattr(log_det, "value_and_log_det"):
            raise ValueError(f"log_det = {told(log_det)}: pass an estimator, e.g. Exact() or Roulette().")
        return self._forward_and_log_det(self._checked(x), log_det, generator)

    def _checked(self, points: Tensor) -> Tensor:
        is_known = isinstance(points, Tensor) and points.dtype == self._dtype
        if not (is_known and points.ndim == 2 and points.shape[1] == self.dim):
            self._dtype = checked_points(points, self.dim, next(self.parameters(), None)).dtype
        return points


class Chain(Bijection):
    """The composition f = f_K o ... o f_1. Its log det is the sum of theirs, each at the point that arrives there."""

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
        """z and the log det of each part, (batch, parts). Arguments as for `forward_and_log_det`."""
        log_dets = []
        for bijection in self.parts:
            x, part = bijection.forward_and_log_det(x, log_det, generator)
            log_dets.append(part)
        return x, torch.stack(log_dets, 1)
