"""What a gradient of the log-likelihood costs: memory, time and noise, of each way to differentiate the log det.

    loss = -mean log p(x),   log p(x) = log N(f(x); 0, I) + sum over m blocks of n terms of the series

Differentiated term by term, the log det's graphs take O(nm) memory; by the Neumann series O(m), in the forward pass
O(n), by both O(1) (paper, section 3.2). What any network keeps for pathwise derivatives comes on top: it is measured
by the same loss without the log det.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from resflow_core.fast.folding import layer_norms
from resflow_core.flow import Flow, FlowConfig, standard_normal_log_prob
from resflow_core.log_det import LogDet, Work
from resflow_core.measure.estimate import Estimate
from resflow_core.measure.ledger import Ledger

# Fewer draws have no standard error by the jackknife.
LEAST_DRAWS = 3
# An operation that returns so many numbers takes twice as long as one that returns a few.
DOUBLING_NUMBERS = 11_000


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
    """Of forward and backward passes that differ in their draws alone: the median of their `seconds`, which are
    processor time of the thread that computes, and the `variance` of the gradient, `relative_variance`."""

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
    *_, found = footprint_pieces(flow, x, log_det, generator)
    return found


def footprint_pieces(flow: Flow, x: Tensor, log_det: LogDet, generator: torch.Generator) -> Iterator[Footprint | None]:
    """As `footprint`, in pieces: None after each part of the flow, the footprint after the backward pass. What others
    compute between two pieces is not counted. One thread must run all pieces: else PyTorch takes the backward pass in
    another order, which moves the peak a little."""
    parameters = list(flow.parameters())
    ledger = Ledger([x, *parameters, *flow.buffers()])
    loss = yield from _within(ledger, _loss(flow, x, log_det, generator))
    kept = ledger.alive
    yield None
    with ledger:
        torch.autograd.grad(loss, parameters, materialize_grads=True)
    yield Footprint(kept, ledger.peak, sum(p.numel() * p.element_size() for p in parameters))


def work(flow: Flow, x: Tensor, log_det: LogDet, generator: torch.Generator) -> float:
    """How long a forward and backward pass takes, in small operations, on whichever machine: one for each operation,
    and one more for each `DOUBLING_NUMBERS` numbers that it returns."""
    with Ledger() as ledger:
        loss = -flow.log_prob(x, log_det, generator).mean()
        torch.autograd.grad(loss, list(flow.parameters()), materialize_grads=True)
    return ledger.operations + ledger.numbers / DOUBLING_NUMBERS


def cost(
    flow: Flow,
    x: Tensor,
    log_det: LogDet,
    generator: torch.Generator,
    draws: int,
    clock: Callable[[], float] = time.thread_time,
) -> Iterator[Cost | None]:
    """Of the loss of a flow at points, (batch, dim), in pieces: None after each part of so many passes, and the cost at
    last. By default the `clock` is that of the thread, which does not count what others compute.

    Raises ValueError for fewer than `LEAST_DRAWS` draws.
    """
    if draws < LEAST_DRAWS:
        raise ValueError(f"{draws} draws have no standard error: use {LEAST_DRAWS} or more.")
    parameters, seconds, gradients = list(flow.parameters()), [], []
    for _ in range(draws):
        watch = _Stopwatch(clock)
        loss = yield from _within(watch, _loss(flow, x, log_det, generator))
        yield None
        with watch:
            found = torch.autograd.grad(loss, parameters, materialize_grads=True)
        seconds.append(watch.seconds)
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


def _loss(flow: Flow, x: Tensor, log_det: LogDet, generator: torch.Generator) -> Generator[None, None, Tensor]:
    """-mean log p(x), as by `flow.log_prob`, in pieces: yields after each part of the flow."""
    log_dets = []
    for part in flow.bijections:
        x, log_det_of_part = part.forward_and_log_det(x, log_det, generator)
        log_dets.append(log_det_of_part)
        yield
    return -(standard_normal_log_prob(x) + torch.stack(log_dets, 1).sum(1)).mean()


class _Stopwatch:
    """Adds up the seconds of the times that it is entered."""

    def __init__(self, clock: Callable[[], float]):
        self._clock, self.seconds = clock, 0.0

    def __enter__(self):
        self._began = self._clock()

    def __exit__(self, *_):
        self.seconds += self._clock() - self._began


def _within(context: AbstractContextManager, pieces: Generator[None, None, Tensor]) -> Generator[None, None, Tensor]:
    """Pieces, each of which is computed within the context."""
    while True:
        try:
            with context:
                next(pieces)
        except StopIteration as end:
            return end.value
        yield None
