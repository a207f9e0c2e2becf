"""What a gradient of the log-likelihood costs: memory, time and noise, of each way to differentiate the log det.

    loss = -mean log p(x),   log p(x) = log N(f(x); 0, I) + sum over m blocks of n terms of the series

Differentiated term by term, the log det's graphs take O(nm) memory; by the Neumann series O(m), in the forward pass
O(n), by both O(1) (paper, section 3.2). What any network keeps for pathwise derivatives comes on top: it is measured
by the same loss without the log det.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from resflow_core.branch import layer_norms
from resflow_core.flow import Flow, FlowConfig
from resflow_core.log_det import LogDet, Work
from resflow_core.measure.estimate import Estimate
from resflow_core.measure.ledger import Ledger

# Fewer draws have no standard error by the jackknife.
LEAST_DRAWS = 3


@dataclass(frozen=True)
class NoLogDet:
    """Residual blocks whose log det is left out, as a network without density has them."""

    def value_and_log_det(self, branch, x, generator=None):
        return branch(x), x.new_zeros(len(x))

    def work(self, batch):
        return Work(batch, 0, 0)


@dataclass(frozen=True)
class Footprint:
    """Bytes of one forward and backward pass, beside parameters and data.

    `kept` when the forward pass has returned, whoever holds them; `peak` at most at one time; `gradients` of all
    parameters, which are alive at the end whatever the way.
    """

    kept: int
    peak: int
    gradients: int


@dataclass(frozen=True)
class Cost:
    """Of forward and backward passes that differ in their draws alone: the median of their `seconds`, and the
    `variance` of the gradient, `relative_variance`."""

    seconds: float
    variance: Estimate


@torch.no_grad()
def subject(config: FlowConfig, batch: int, generator: torch.Generator) -> tuple[Flow, Tensor]:
    """A new flow whose layers have the norms of their caps, as those of trained ones nearly do, and points x ~ N(0, I),
    (batch, dim), that its ActNorms are initialised on."""
    flow = config.build(generator)
    branches = [block.branch for block in flow.blocks]
    for branch, norms in zip(branches, layer_norms(branches).tolist(), strict=True):
        for linear, norm in zip(branch.linears, norms, strict=True):
            linear.raw.mul_(linear.cap / norm)
    x = torch.randn(batch, config.dim, generator=generator)
    flow.initialize(x)
    return flow, x


def footprint(flow: Flow, x: Tensor, log_det: LogDet, generator: torch.Generator) -> Footprint:
    """Of the loss of a flow at points, (batch, dim), on the processor. The same call gives the same bytes, whatever the
    draws are, unless `log_det` draws how many terms it takes."""
    parameters = list(flow.parameters())
    with Ledger([x, *parameters, *flow.buffers()]) as ledger:
        loss = _loss(flow, x, log_det, generator)
        kept = ledger.alive
        torch.autograd.grad(loss, parameters, materialize_grads=True)
    return Footprint(kept, ledger.peak, sum(p.numel() * p.element_size() for p in parameters))


def cost(flow: Flow, x: Tensor, log_det: LogDet, generator: torch.Generator, draws: int) -> Iterator[Cost | None]:
    """Of the loss of a flow at points, (batch, dim): None after each of so many passes, and the cost at last.

    Raises ValueError for fewer than `LEAST_DRAWS` draws.
    """
    if draws < LEAST_DRAWS:
        raise ValueError(f"{draws} draws have no standard error: use {LEAST_DRAWS} or more.")
    parameters, seconds, gradients = list(flow.parameters()), [], []
    for _ in range(draws):
        began = time.perf_counter()
        found = torch.autograd.grad(_loss(flow, x, log_det, generator), parameters, materialize_grads=True)
        seconds.append(time.perf_counter() - began)
        gradients.append(torch.cat([part.flatten() for part in found]))
        yield None
    middle = torch.tensor(seconds, dtype=torch.float64).quantile(0.5)
    yield Cost(float(middle), relative_variance(torch.stack(gradients)))


def relative_variance(gradients: Tensor) -> Estimate:
    """The trace of the covariance over the squared norm of the mean, from k >= 3 independent draws, (k, parameters).

    V = sum_i |g_i - mean|^2 / (k - 1) over M = sum_{i != j} g_i . g_j / (k (k - 1)), both without bias; the standard
    error is the jackknife's (Efron & Stein 1981). NaN where M is not positive: the noise then hides the gradient.
    """
    centred, raw = (g @ g.T for g in (gradients - gradients.mean(0), gradients))
    everyone = torch.arange(len(gradients))

    def ratio(draws: Tensor) -> float:
        k = len(draws)
        apart, products = (gram.double()[draws][:, draws] for gram in (centred, raw))
        variance = (apart.trace() - apart.sum() / k) / (k - 1)
        square = (products.sum() - products.trace()) / (k * (k - 1))
        return float(variance / square) if square > 0 else math.nan

    without_one = torch.tensor([ratio(everyone[everyone != i]) for i in everyone], dtype=torch.float64)
    spread = (without_one - without_one.mean()).square().mean()
    return Estimate(ratio(everyone), float(((len(everyone) - 1) * spread).sqrt()))


def _loss(flow: Flow, x: Tensor, log_det: LogDet, generator: torch.Generator) -> Tensor:
    return -flow.log_prob(x, log_det, generator).mean()
