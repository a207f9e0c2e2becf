"""The cost of a gradient of the log-likelihood: memory, time and noise, for each way to differentiate the log det.

    loss = -mean log p(x),   log p(x) = log N(f(x); 0, I) + sum over m blocks of n terms of the series

The graphs of the log det take O(nm) memory if they are differentiated term by term, and O(m) by the Neumann series. In
the forward pass they take O(n), and O(1) with both (paper, section 3.2). Any network also keeps tensors for pathwise
derivatives. The same loss without the log det measures those.

In the plane, A is so small that flows make the estimates from it and not from vector-Jacobian products. That shortcut
is not taken here, because it is not what the orders are about.
"""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.flow import Flow, FlowConfig, NormalizingFlow, standard_normal_log_prob
from resflow_core.log_det import LogDet, Work
from resflow_core.measure.estimate import Estimate
from resflow_core.measure.ledger import Ledger
from resflow_core.residual import Stack

# With fewer draws the jackknife has no standard error.
LEAST_DRAWS = 3
# An operation that returns this many numbers takes twice as long as one that returns a few.
DOUBLING_NUMBERS = 11_000
NO_CONTEXT = nullcontext()


@dataclass(frozen=True)
class NoLogDet:
    """Residual blocks without their log det, as in a network without a density."""

    def value_and_log_det(self, branch, x, generator=None):
        """g(x), (batch, dim), and zeros, (batch,)."""
        return branch(x), x.new_zeros(len(x))

    def work(self, batch):
        """One row for each point, and no vector-Jacobian products."""
        return Work(batch, 0, 0)


@dataclass(frozen=True)
class Footprint:
    """Bytes of one forward and backward pass, without parameters and data.

    `kept` is alive after the forward pass. `peak` is the largest number at one time. `gradients` are those of all
    parameters, which are alive at the end in every case.
    """

    kept: int
    peak: int
    gradients: int


@dataclass(frozen=True)
class Cost:
    """The cost of forward and backward passes that differ only in their draws.

    `seconds` is the median of the passes, in processor time of the thread that computes. `variance` is the relative
    variance of the gradient (`relative_variance`), without unit.
    """

    seconds: float
    variance: Estimate


@torch.no_grad()
def subject(config: FlowConfig, batch: int, generator: torch.Generator) -> tuple[Flow, Tensor]:
    """A new flow, and points x ~ N(0, I), (batch, dim), on which its ActNorms are initialised.

    Its layers have the norms of their caps, as the layers of trained flows almost do.
    """
    flow = config.build(generator)
    branches = flow.branches
    for branch, norms in zip(branches, Stack(branches).layer_norms().tolist(), strict=True):
        for linear, norm in zip(branch.linears, norms, strict=True):
            linear.raw.mul_(linear.cap / norm)
    x = torch.randn(batch, config.dim, generator=generator)
    flow.initialize(x)
    return flow, x


def footprint(
    flow: Flow, x: Tensor, log_det: LogDet, generator: torch.Generator, breathe: Breathe = without
) -> Footprint:
    """The `Footprint` of the loss of a flow at points, (batch, dim), on the processor.

    The same call gives the same bytes for all draws, unless `log_det` draws its number of terms. What `breathe`
    computes, which is called after each part of the flow, does not count.
    """
    parameters = list(flow.parameters())
    ledger = Ledger([x, *parameters, *flow.buffers()])
    loss = loss_by_parts(flow, x, log_det, generator, breathe, ledger)
    kept = ledger.alive
    breathe()
    with ledger:
        torch.autograd.grad(loss, parameters, materialize_grads=True)
    return Footprint(kept, ledger.peak, sum(p.numel() * p.element_size() for p in parameters))


def work(flow: Flow, x: Tensor, log_det: LogDet, generator: torch.Generator) -> float:
    """The time of a forward and backward pass, measured in small operations, the same on every machine.

    Each operation counts 1, and 1 more for every `DOUBLING_NUMBERS` numbers that it returns.
    """
    with Ledger() as ledger:
        loss = loss_by_parts(flow, x, log_det, generator)
        torch.autograd.grad(loss, list(flow.parameters()), materialize_grads=True)
    return ledger.operations + ledger.numbers / DOUBLING_NUMBERS


def cost(
    flow: Flow,
    x: Tensor,
    log_det: LogDet,
    generator: torch.Generator,
    draws: int,
    clock: Callable[[], float] = time.thread_time,
    breathe: Breathe = without,
) -> Cost:
    """The `Cost` of the loss of a flow at points, (batch, dim), over `draws` passes.

    By default `clock` is that of the thread, which does not count other threads. The time of `breathe`, which is called
    after each part of a pass, does not count. Raises ValueError for fewer than `LEAST_DRAWS` draws.
    """
    if draws < LEAST_DRAWS:
        raise ValueError(f"{draws} draws have no standard error: use {LEAST_DRAWS} or more.")
    parameters, seconds, gradients = list(flow.parameters()), [], []
    for _ in range(draws):
        watch = _Stopwatch(clock)
        loss = loss_by_parts(flow, x, log_det, generator, breathe, watch)
        breathe()
        with watch:
            found = torch.autograd.grad(loss, parameters, materialize_grads=True)
        seconds.append(watch.seconds)
        gradients.append(torch.cat([part.flatten() for part in found]))
        breathe()
    middle = torch.tensor(seconds, dtype=torch.float64).quantile(0.5)
    return Cost(float(middle), relative_variance(torch.stack(gradients)))


def relative_variance(gradients: Tensor) -> Estimate:
    """V / M, the trace of the covariance over the squared norm of the mean, from k >= 3 draws, (k, parameters).

    The draws are independent. V = sum_i |g_i - mean|^2 / (k - 1) and M = sum_{i != j} g_i . g_j / (k (k - 1)) are both
    unbiased. The standard error is that of the jackknife (Efron & Stein 1981). NaN if M is not positive: the noise then
    hides the gradient.
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


def loss_by_parts(
    flow: NormalizingFlow,
    x: Tensor,
    log_det: LogDet,
    generator: torch.Generator | None,
    breathe: Breathe = without,
    within: AbstractContextManager = NO_CONTEXT,
) -> Tensor:
    """-mean log p(x), equal to that of `flow.log_prob`. Part by part of the flow, the log det is made of
    vector-Jacobian products, in the plane too. All is computed in the context `within`, and `breathe`, after each part,
    is called outside."""
    log_dets = []
    for part in flow.parts:
        with within:
            x, log_det_of_part = part.forward_and_log_det(x, log_det, generator)
            log_dets.append(log_det_of_part)
        breathe()
    with within:
        return -(standard_normal_log_prob(x) + torch.stack(log_dets, 1).sum(1)).mean()


class _Stopwatch:
    """The sum of the seconds inside its `with` blocks."""

    def __init__(self, clock: Callable[[], float]):
        self._clock, self.seconds = clock, 0.0

    def __enter__(self):
        self._began = self._clock()

    def __exit__(self, *_):
        self.seconds += self._clock() - self._began
