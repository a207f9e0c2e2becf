"""Conditional flows: the map f(x; c), invertible in x for every context c.

    u = (x - m(c)) exp(-s(c)),   then blocks u + g(u; c),   g(u; c) = W_n phi(... W_1 phi(u) + b_1 + h_1(c) ...)

The context moves the biases, so the Lipschitz constant of g in u does not depend on it. m, s and all h are small
networks. |s| stays below `MOST_LOG_SCALE`, so that a context far from those in training cannot blow the density up.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from resflow_core.bijection import Bijection
from resflow_core.fast import second_order
from resflow_core.fast.folding import FoldedBranch, folded_together
from resflow_core.fast.forward_mode import FoldedWeights, forward, pullback, value, value_and_trace
from resflow_core.fast.fused_flow import made_of_jacobians
from resflow_core.flow import Flow, FlowConfig
from resflow_core.log_det import LogDet, Roulette, Truncated, from_jacobians, keeps_graphs
from resflow_core.residual import ResidualBlock

WIDTH = 32
MOST_LOG_SCALE = 3.0


@torch.no_grad()
def _network(inputs: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
    """A hidden layer of `WIDTH` units. The last layer starts at 0, so that the context has no effect at first."""
    first, last = nn.utils.skip_init(nn.Linear, inputs, WIDTH), nn.utils.skip_init(nn.Linear, WIDTH, outputs)
    for parameter in first.parameters():
        parameter.uniform_(-1, 1, generator=generator).mul_(inputs**-0.5)
    for parameter in last.parameters():
        parameter.zero_()
    return nn.Sequential(first, nn.Tanh(), last)


class GivenAffine(Bijection):
    """u = (x - m(c)) exp(-s(c)), log det = -sum s(c)."""

    def __init__(self, dim: int, context: int, generator: torch.Generator):
        super().__init__(dim)
        self.network = _network(context, 2 * dim, generator)
        self.given: Tensor | None = None

    def _parameters_at(self) -> tuple[Tensor, Tensor]:
        centre, raw = self.network(self.given).chunk(2, -1)
        return centre, MOST_LOG_SCALE * torch.tanh(raw / MOST_LOG_SCALE)

    def _forward(self, x: Tensor) -> Tensor:
        centre, log_scale = self._parameters_at()
        return (x - centre) * torch.exp(-log_scale)

    def _inverse(self, z: Tensor) -> Tensor:
        centre, log_scale = self._parameters_at()
        return z * torch.exp(log_scale) + centre

    def _forward_and_log_det(
        self, x: Tensor, log_det: LogDet, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        centre, log_scale = self._parameters_at()
        return (x - centre) * torch.exp(-log_scale), -log_scale.sum(1)


class GivenBranch(FoldedBranch):
    """g(x; c): a branch whose biases the context moves."""

    def __init__(self, *args: Any, context: int, **kwargs: Any):
        super().__init__(*args, **kwargs)
        generator = args[3]
        outputs = [cast(Tensor, linear.bias).numel() for linear in self.linears]
        self.outputs = outputs
        self.network = _network(context, sum(outputs), generator)
        self.given: Tensor | None = None

    def _weights_at(self, x: Tensor) -> FoldedWeights:
        """The folded weights, with a bias for each row of x: (units, rows). Rows repeat for several probes."""
        weights = self.weights()
        shifts = self.network(self.given).T
        shifts = shifts.repeat(1, len(x) // max(shifts.shape[1], 1))
        biases = [b + shift for b, shift in zip(weights.biases, shifts.split(self.outputs), strict=True)]
        return FoldedWeights(weights.entry_scale, weights.weights, biases)

    def forward(self, x: Tensor) -> Tensor:
        return value(x, self.closed_form, self._weights_at(x))

    def value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        weights = self._weights_at(x)
        found, jacobian = forward(self.closed_form, weights.entry_scale * x.T, weights)
        return found.T, (weights.entry_scale * jacobian).permute(2, 0, 1)

    def value_and_trace(self, x: Tensor) -> tuple[Tensor, Tensor] | None:
        return value_and_trace(x, self.closed_form, self._weights_at(x))

    @torch.no_grad()
    def pullback(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        return pullback(x, self.closed_form, self._weights_at(x))


class GivenFlow(Flow):
    """A residual flow of x, given a context. Its methods work within `at(context)`.

    Raises ValueError for a flow of other branches than "residual".
    """

    def __init__(self, config: FlowConfig, context: int, generator: torch.Generator):
        if config.branch != "residual":
            raise ValueError(f'branch = {config.branch!r}: a flow with a context needs branch="residual".')
        super().__init__(config, generator, partial(GivenBranch, context=context), ResidualBlock)
        self.context = context
        self.bijections.insert(0, GivenAffine(config.dim, context, generator))

    def _forward_and_log_det(self, x, log_det, generator):
        if not made_of_jacobians(log_det, self.dim) or second_order.in_transform():
            return super()._forward_and_log_det(x, log_det, generator)
        z, jacobians = self.forward_and_jacobians(x)
        _, of_affine = self.bijections[0].forward_and_log_det(x)
        of_blocks = from_jacobians(log_det, jacobians.transpose(0, 1), x, generator).sum(0)
        return z, of_blocks + of_affine + self.actnorm_log_det

    @contextmanager
    def at(self, context: Tensor, log_det: LogDet | None = None) -> Iterator[None]:
        """A context manager. Within it the rows of all points have these contexts, (batch, context).

        The weights are folded once, unless the log det is differentiated block by block, which frees the graph.
        """
        by_block = isinstance(log_det, Truncated | Roulette) and not keeps_graphs(log_det)
        folding = nullcontext() if by_block else folded_together(cast("list[FoldedBranch]", self.branches))
        parts = [part for part in self.modules() if isinstance(part, GivenBranch | GivenAffine)]
        try:
            for part in parts:
                part.given = context
            with folding:
                yield
        finally:
            for part in parts:
                part.given = None
