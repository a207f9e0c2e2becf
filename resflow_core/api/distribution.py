"""The density of a flow as a `torch.distributions.Distribution`."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from resflow_core.api.choices import shape_of


class FlowDistribution(Distribution):
    """p(x), or p(x | c) for contexts c of the batch shape. `flow.distribution()` and `flow.condition(c)` give it.

    Calling it gives z = f(x), and `inverse` gives x.

    >>> import torch, resflow_core as rf
    >>> given = rf.ResidualFlow(2, context=1, blocks=2, width=8).condition([0.5])
    >>> x = given.sample((4,))
    >>> given.log_prob(x).shape, given(x).shape
    (torch.Size([4]), torch.Size([4, 2]))
    """

    arg_constraints = {}  # noqa: RUF012  (as in torch)
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, flow: Any, context: Tensor | None, batch_shape: torch.Size | None = None):
        self.flow, self.context = flow, context
        shape = batch_shape or (torch.Size() if context is None else context.shape[:-1])
        super().__init__(shape, torch.Size([flow.features]), validate_args=False)

    def log_prob(self, value: Any, **how: Any) -> Tensor:
        """log p(x) in nats, sample shape + batch shape. `how` is that of the flow's own `log_prob`."""
        found = self.flow.log_prob(value, self.context, **how)
        return found.expand(torch.broadcast_shapes(found.shape, self.batch_shape))

    def sample(self, sample_shape: Any = (), **seed: Any) -> Tensor:
        """Samples, sample shape + batch shape + (features,), without gradients."""
        return self.flow.sample(self._shape(sample_shape), self.context, **seed)

    def rsample(self, sample_shape: Any = (), **seed: Any) -> Tensor:
        """Samples with gradients in the parameters of the flow."""
        return self.flow.rsample(self._shape(sample_shape), self.context, **seed)

    def __call__(self, x: Any) -> Tensor:
        """z = f(x)."""
        return self.flow(x, self.context)

    def inverse(self, z: Any) -> Tensor:
        """x = f^-1(z)."""
        return self.flow.inverse(z, self.context)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "FlowDistribution":
        """The same with a larger batch shape."""
        shape = shape_of(batch_shape)
        if self.context is None:
            return FlowDistribution(self.flow, None, shape)
        return FlowDistribution(self.flow, self.context.expand(*shape, -1))

    def _shape(self, sample_shape: Any) -> torch.Size:
        return shape_of(sample_shape) + (self.batch_shape if self.context is None else torch.Size())
