"""The reason for estimates: the cost of a training step by the exact log det and by an estimate, against the dimension.

The exact log det carries d tangents through every block and takes a d x d determinant, O(d^3) for a width that grows
with d. An estimate takes some vector-Jacobian products, and their number does not depend on d; in the plane too, where
flows otherwise make it from A. But it adds noise. For a
batch of B points, with g the gradient of its mean NLL and ghat the estimate of g,

    estimator variance   V_e = E |ghat - g|^2      over probes and N, with the batch fixed; 0 if g is exact,
    sampling variance    V_b = E |g - E g|^2       over batches of B points,

are sums over all parameters, shown relative to |g|^2. To reach a given error, the number of steps must grow with the
variance. So the product of time and variance compares the two (Glynn & Whitt 1992): t_exact V_b and
t_estimate (V_b + V_e).

Times are processor times in seconds of the one thread that computes. They do not count other work of the machine.

The work is a list of short pieces, each one step. A caller may stop between two pieces and continue later.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.data.copies import Copies
from resflow_core.data.curves import MOONS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, LogDet
from resflow_core.measure.estimate import Estimate
from resflow_core.measure.memory import loss_by_parts
from resflow_core.training.trainer import TrainConfig, Trainer

DIMS = (2, 4, 8, 16, 32, 64, 128)
# Training steps by the estimate before the measurement, so that weights are not those of the initial draw.
WARM_STEPS = 5
# Exact steps of each dimension, each with its own batch, and estimates of the gradient of one batch.
EXACT_STEPS, ESTIMATES = 10, 24


@dataclass(frozen=True)
class Plan:
    """A measurement: one shape of flow, trained by the estimate `train.log_det`, or exactly, in all of `dims`.

    Raises ValueError in these cases: `dims` is empty, or not made of different even numbers from 2 on, ascending;
    `exact_steps` is odd or below 2; `estimates` is below 2; or `train.log_det` is `Exact()`.
    """

    flow: FlowConfig
    train: TrainConfig
    dims: tuple[int, ...] = DIMS
    exact_steps: int = EXACT_STEPS
    estimates: int = ESTIMATES

    def __post_init__(self):
        if not self.dims or any(d < 2 or d % 2 for d in self.dims) or sorted(set(self.dims)) != list(self.dims):
            raise ValueError(f"dims = {self.dims}: use even numbers from 2 on, each once, ascending.")
        if self.exact_steps < 2 or self.exact_steps % 2 or self.estimates < 2:
            raise ValueError(
                f"{self.exact_steps} exact steps and {self.estimates} estimates: use an even number of the former and "
                "at least 2 of the latter."
            )
        if self.train.log_det == Exact():
            raise ValueError("log_det = Exact(): choose an estimate to compare the exact one with.")

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """(dimension, number of the piece), by dimension. For each, exact steps come first, then estimates."""
        return [(d, k) for d in self.dims for k in range(self.exact_steps + self.estimates)]


@dataclass(frozen=True)
class Piece:
    """The result of one step."""

    dim: int
    is_exact: bool
    seconds: float  # of forward and backward pass
    squared_error: float  # |ghat - g|^2, or for every second exact step |g - g'|^2 / 2; else NaN
    squared_norm: float  # |g|^2 of the fixed batch; NaN for exact steps


class Subject:
    """The flow of one dimension after a few training steps, and a fixed batch."""

    def __init__(
        self,
        plan: Plan,
        dim: int,
        seed: int,
        clock: Callable[[], float] = time.thread_time,
        breathe: Breathe = without,
    ):
        self._plan, self._dim, self._seed, self._clock = plan, dim, seed, clock
        self.dataset = Copies(MOONS, dim)
        config = replace(plan.flow, dim=dim)
        trainer = Trainer(config, plan.train, self.dataset, seed, exact_losses=False, breathe=breathe)
        for _ in range(WARM_STEPS):
            trainer.step(breathe=breathe)
            breathe()
        self.flow = trainer.flow
        self._last: Tensor | None = None
        self.gradient(self._batch(0), Exact(), None)  # the first call takes longer

    def piece(self, k: int) -> Piece:
        """The piece of this number. All but its time follows from seed and number, if the previous piece was taken
        too.
        """
        if k < self._plan.exact_steps:
            gradient, seconds = self.gradient(self._batch(k + 1), Exact(), None)
            error = float("nan")
            if k % 2 and self._last is not None:  # disjoint pairs are independent
                error = float((gradient - self._last).double().square().sum() / 2)
            self._last = None if k % 2 else gradient
            return Piece(self._dim, True, seconds, error, float("nan"))
        gradient, seconds = self.gradient(self._batch(0), self._plan.train.log_det, self._generator(2, k))
        error = float((gradient - self.fixed).double().square().sum())
        return Piece(self._dim, False, seconds, error, float(self.fixed.double().square().sum()))

    @cached_property
    def fixed(self) -> Tensor:
        """The exact gradient of the fixed batch, (parameters,)."""
        return self.gradient(self._batch(0), Exact(), None)[0]

    def gradient(self, x: Tensor, log_det: LogDet, generator: torch.Generator | None) -> tuple[Tensor, float]:
        """The gradient of the mean NLL at x, (batch, dim), in all parameters, as one vector, and its time in seconds.

        An estimate draws from `generator` and raises ValueError without one.
        """
        parameters = list(self.flow.parameters())
        start = self._clock()
        is_exact = log_det == Exact()
        loss = -self.flow.log_prob(x).mean() if is_exact else loss_by_parts(self.flow, x, log_det, generator)
        gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
        seconds = self._clock() - start
        return torch.cat([g.flatten() for g in gradients]), seconds

    def _batch(self, k: int) -> Tensor:
        return self.dataset.sample(self._plan.train.batch, self._generator(1, k))

    def _generator(self, what: int, k: int) -> torch.Generator:
        return torch.Generator().manual_seed((self._seed * 1_000 + k) * 4 + what)


@dataclass(frozen=True)
class AtDim:
    """Summary of the pieces of one dimension; variances are relative to |g|^2. A value is None if it has too few
    pieces.
    """

    dim: int
    exact_seconds: float | None  # median of a step
    estimate_seconds: float | None
    variance: Estimate | None  # V_e
    sampling: Estimate | None  # V_b

    @property
    def exact_work(self) -> float | None:
        """t_exact V_b, seconds."""
        return None if self.sampling is None or self.variance is None else self.exact_seconds * self.sampling.value

    @property
    def estimate_work(self) -> float | None:
        """t_estimate (V_b + V_e), seconds."""
        if self.sampling is None or self.variance is None:
            return None
        return self.estimate_seconds * (self.sampling.value + self.variance.value)


def by_dim(pieces: Sequence[Piece]) -> list[AtDim]:
    """One entry for each dimension that has pieces, ascending."""
    return [_at_dim(d, [p for p in pieces if p.dim == d]) for d in sorted({p.dim for p in pieces})]


def _at_dim(dim: int, pieces: list[Piece]) -> AtDim:
    exact, estimates = ([p for p in pieces if p.is_exact is which] for which in (True, False))
    norm = estimates[0].squared_norm if estimates else float("nan")
    return AtDim(dim, _median(exact), _median(estimates), _mean(estimates, norm), _mean(exact, norm))


def _median(pieces: list[Piece]) -> float | None:
    return float(np.median([p.seconds for p in pieces])) if pieces else None


def _mean(pieces: list[Piece], norm: float) -> Estimate | None:
    """The mean squared error over `norm`, with its standard error; None for fewer than 2 finite values."""
    values = np.array([p.squared_error for p in pieces]) / norm
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return None
    return Estimate(float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5))


@dataclass(frozen=True)
class Crossing:
    """The dimension from which the estimate is cheaper. `dim` is None if it is not cheaper at the largest dimension."""

    dim: float | None
    turns: int  # how often the cheaper one changes; more than 1 if costs are close or times noisy
    at_once: bool = False  # cheaper in all dimensions: `dim` is then the smallest, an upper bound


def crossing(dims: Sequence[int], exact: Sequence[float], estimate: Sequence[float]) -> Crossing:
    """The dimension at which the cost of the estimate falls below that of the exact log det for the last time.

    Between two dimensions, the logarithm of the ratio of the costs is taken as linear in log d. Costs have one unit,
    such as seconds. Raises ValueError if the three sequences are empty or differ in length.
    """
    if not len(dims) == len(exact) == len(estimate) or not len(dims):
        raise ValueError(f"{len(dims)} dimensions, {len(exact)} and {len(estimate)} costs: give as many of each.")
    log_d, ratio = np.log(np.array(dims, float)), np.log(np.array(estimate, float) / np.array(exact, float))
    cheaper = ratio < 0
    turns = int((cheaper[1:] != cheaper[:-1]).sum())
    if not cheaper[-1]:
        return Crossing(None, turns)
    if cheaper.all():
        return Crossing(float(dims[0]), turns, at_once=True)
    k = int(np.flatnonzero(~cheaper)[-1])
    share = ratio[k] / (ratio[k] - ratio[k + 1])
    return Crossing(float(np.exp(log_d[k] + share * (log_d[k + 1] - log_d[k]))), turns)
