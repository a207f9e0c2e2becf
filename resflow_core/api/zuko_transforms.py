"""Residual blocks and flows as transforms of zuko and of torch.distributions. Only `to_zuko` imports this file."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.transforms import Transform

from resflow_core.api.choices import log_det_of
from resflow_core.api.implicit import with_gradient
from resflow_core.api.residual_flow import ResidualFlow
from resflow_core.bijection import Bijection
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
        self._stream = torch.Generator().manual_seed(0)

    def forward(self, c: Any = None) -> Transform:
        return ResidualTransform(self, c)

    def map(self, x: Tensor, context: Any) -> Tensor:
        if isinstance(self.inner, Bijection):
            return self.inner(x.reshape(-1, self.inner.dim)).view(x.shape)
        return self.inner(x, *self._context(context))

    def inverse(self, z: Tensor, context: Any) -> Tensor:
        if not isinstance(self.inner, Bijection):
            return self.inner.inverse(z, *self._context(context))
        rows = z.reshape(-1, self.inner.dim)
        x = self.inner.inverse(rows.detach())
        if torch.is_grad_enabled() and z.requires_grad:
            x = with_gradient(self.inner, x, rows)
        return x.view(z.shape)

    def map_and_log_det(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        if not isinstance(self.inner, Bijection):
            return self.inner.forward_and_log_det(x, *self._context(context), log_det=self.log_det)
        rows = x.reshape(-1, self.inner.dim)
        z, log_dets = self.inner.forward_and_log_det(rows, self.log_det, self._stream)
        return z.view(x.shape), log_dets.view(x.shape[:-1])

    def _context(self, context: Any) -> tuple[Any, ...]:
        """zuko hands the same context to all transforms: only a conditional flow takes it."""
        return (context,) if isinstance(self.inner, ResidualFlow) and self.inner.context else ()
