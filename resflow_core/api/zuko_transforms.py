"""Residual blocks and flows as transforms of zuko and of torch.distributions. Only `to_zuko` imports this file."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.transforms import Transform

from resflow_core.api.choices import log_det_of
from resflow_core.extras import extra

with extra("baselines"):
    from zuko.lazy import LazyTransform


class ResidualTransform(Transform):
    """z = f(x) of a block or a flow, as torch and zuko use it: `t(x)`, `t.inv(z)`, `t.call_and_ladj(x)`."""

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, lazy: "LazyResidual", context: Any):
        super().__init__()
        self.lazy, self.context = lazy, context

    def _call(self, x: Tensor) -> Tensor:
        return self.lazy.map(x, self.context)

    def _inverse(self, z: Tensor) -> Tensor:
        return self.lazy.inverse(z, self.context)

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z and log|det dz/dx|."""
        return self.lazy.map_and_log_det(x, self.context)

    def log_abs_det_jacobian(self, x: Tensor, z: Tensor) -> Tensor:
        return self.call_and_ladj(x)[1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResidualTransform) and (self.lazy, self.context) == (other.lazy, other.context)

    __hash__ = Transform.__hash__


class LazyResidual(LazyTransform):
    """A module that gives a `ResidualTransform`; its parameters are those of the block or the flow."""

    def __init__(self, inner: Any, log_det: Any):
        super().__init__()
        self.inner, self.log_det = inner, log_det_of(log_det)

    def forward(self, c: Any = None) -> Transform:
        return ResidualTransform(self, c)

    def map(self, x: Tensor, context: Any) -> Tensor:
        return self.inner(x, context) if hasattr(self.inner, "log_prob") else self.inner(x)

    def inverse(self, z: Tensor, context: Any) -> Tensor:
        return self.inner.inverse(z, context) if hasattr(self.inner, "log_prob") else self.inner.inverse(z)

    def map_and_log_det(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        if hasattr(self.inner, "log_prob"):
            return self.inner.forward_and_log_det(x, context, log_det=self.log_det)
        if hasattr(self.inner, "_batch"):
            return self.inner.forward_and_log_det(x, self.log_det)
        rows = x.reshape(-1, x.shape[-1])
        generator = torch.Generator().manual_seed(0)
        z, log_dets = self.inner.forward_and_log_det(rows, self.log_det, generator)
        return z.view(x.shape), log_dets.view(x.shape[:-1])
