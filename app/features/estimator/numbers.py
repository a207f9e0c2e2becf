"""What the bench finds of estimates and of the series: the values that its words follow from. In nats."""

import math
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

import numpy as np
import torch

from app.estimates.sample import coverage, repetitions, thrown_settings
from app.estimates.settings import Bench
from app.features.estimator import table
from app.features.estimator.sweeps import Cost
from app.words import ROUNDING
from resflow_core.estimators.draws import Draws, values
from resflow_core.estimators.moments import (
    UNDECIDED,
    Remainders,
    believed_log_det,
    fourth_moment_margin,
    log_det_remainders,
    roulette_variance,
    terms_for,
    truncation_bias,
)
from resflow_core.log_det import Roulette
from resflow_core.roulette import expected_terms

PROMISED = 0.95
GAUSSIAN, SIGNS = "gaussian", "rademacher"
POINTS = 160
"""Of a running mean."""


class Reason(Enum):
    """Why a variance is finite, infinite or undecided."""

    NILPOTENT = auto()  # finite: the powers of A end
    SHORT_TAIL = auto()  # infinite: the law falls faster than any power of ρ
    LIMIT = auto()  # undecided: ρ² = q up to rounding
    BELOW = auto()  # finite: ρ² < q
    ABOVE = auto()  # infinite: ρ² > q


@dataclass(frozen=True)
class Tail:
    """The two numbers that decide whether the variance of an estimate is finite."""

    radius: float  # ρ of A, of a flow the largest
    ratio: float  # q, by which the tail of the law falls; 0 if it falls faster than any power

    @property
    def reason(self) -> Reason:
        if self.radius == 0:
            return Reason.NILPOTENT
        if self.ratio == 0:
            return Reason.SHORT_TAIL
        if abs(self.radius**2 - self.ratio) <= UNDECIDED * self.ratio:
            return Reason.LIMIT
        return Reason.BELOW if self.radius**2 < self.ratio else Reason.ABOVE

    @property
    def infinite_from(self) -> float:
        """The p from which on the variance is infinite with a geometric law."""
        return 1 - self.radius**2

    @property
    def unsettled_from(self) -> float:
        """The p from which on the fourth moment is infinite with a geometric law."""
        return 1 - self.radius ** (4 / 3)


@dataclass(frozen=True)
class Noise:
    """Of one estimate with the law that is set."""

    cost: Cost
    tail: Tail

    @property
    def deviation(self) -> float:
        return math.sqrt(self.cost.total)


def noise(bench: Bench, remainders: Remainders) -> Noise:
    """Of the matrix, with one probe and one N."""
    variance = roulette_variance(remainders, bench.law, bench.probe)
    parts = float(variance.probe), float(variance.roulette), expected_terms(bench.law), float(variance.rest)
    return Noise(Cost(*parts), Tail(bench.radius, bench.law.tail_ratio))


@dataclass(frozen=True)
class Series:
    """The series cut after some terms."""

    n_terms: int
    truth: float  # log det(I + A)
    bias: float  # of the series as it is cut
    norm: float  # ||A||_2
    dim: int

    @property
    def is_bounded(self) -> bool:
        """Whether the norm bounds the bias."""
        return self.norm < 1


def series(bench: Bench, remainders: Remainders) -> Series:
    bias = float(truncation_bias(remainders, bench.n_terms))
    return Series(bench.n_terms, float(remainders.trace[0]), bias, table.norm(bench.array), len(bench.array))


@dataclass(frozen=True)
class ByHand:
    """The estimate of one matrix beside its series that is cut. In closed form, in nats."""

    truth: float
    n_terms: int  # that the series is cut after
    bias: float  # of the series
    probe: str
    by_probe: float  # the parts of one draw's variance, in nats²
    by_stopping: float
    other: float  # the variance with signs; where these are the probe, with a Gaussian one
    tail: Tail

    @property
    def deviation(self) -> float:
        """Of one draw."""
        return math.sqrt(self.by_probe + self.by_stopping)

    @property
    def is_cut_exact(self) -> bool:
        """Whether cutting the series leaves nothing out."""
        return abs(self.bias) <= ROUNDING

    def error(self, draws: int) -> float:
        """The standard error of a mean of so many."""
        return self.deviation / math.sqrt(draws)


def by_hand(bench: Bench, remainders: Remainders) -> ByHand:
    """With one probe and one N."""
    cut, found = series(bench, remainders), noise(bench, remainders)
    other = GAUSSIAN if bench.probe == SIGNS else SIGNS
    of_other = float(roulette_variance(remainders, bench.law, other).total)
    parts = found.cost.probe, found.cost.roulette, of_other
    return ByHand(cut.truth, cut.n_terms, cut.bias, bench.probe, *parts, found.tail)


def remainders_of(bench: Bench) -> Remainders:
    """Of the matrix, with as many terms as its law needs."""
    jacobian = torch.as_tensor(bench.array)[None]
    terms = terms_for(bench.radius, bench.law.tail_ratio)
    return log_det_remainders(jacobian, terms, bench.exact_traces).pooled()


def places(size: int) -> np.ndarray:
    """Numbers of draws from 1 to `size`, evenly on a logarithmic axis."""
    return np.unique(np.geomspace(1, size, POINTS).round().astype(int))


def running_mean(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The means of the first values, so many each."""
    return np.cumsum(values)[at - 1] / at


@dataclass(frozen=True)
class OneDraw:
    """One draw of who is under test."""

    number: int  # from 1
    n: int
    v: tuple[float, ...]
    estimate: float
    sound: float  # what the sound estimator makes of the same N and v


def one_draw(bench: Bench, one: Draws) -> OneDraw:
    """`one` is the draw number `bench.throw`."""
    sound = values(bench.array, bench.law, one.n, one.probe, bench.exact_traces)
    return OneDraw(bench.throw, int(one.n[0]), tuple(one.probe[0].tolist()), float(one.value[0]), float(sound[0]))


@dataclass(frozen=True)
class SampleMean:
    """The mean of at least two estimates, and the number that they claim to estimate."""

    size: int
    mean: float
    deviation: float  # the standard deviation of the sample
    truth: float

    @classmethod
    def of(cls, estimates: np.ndarray, truth: float) -> Self:
        return cls(len(estimates), float(estimates.mean()), float(estimates.std(ddof=1)), truth)

    @property
    def error(self) -> float:
        """The standard error of independent estimates."""
        return self.deviation / self.size**0.5

    @property
    def is_exact(self) -> bool:
        """Whether all estimates are the same."""
        return self.error <= ROUNDING

    @property
    def off(self) -> float:
        """The standard errors from the truth, unless the mean is exact."""
        return abs(self.mean - self.truth) / self.error


@dataclass(frozen=True)
class ErrorBars:
    """How often the error bar of a mean contains the truth. `PROMISED` is the share that should."""

    shares: tuple[float, ...]  # of independent repetitions, for each of `THROWS_EACH`
    errors: tuple[float, ...]  # their standard errors
    repeated: tuple[int, ...]  # how many repetitions
    is_infinite: bool  # whether the variance of the sound estimator is infinite,
    settles: bool  # and whether its fourth moment is finite, without which the length of an error bar never settles

    @property
    def are_too_short(self) -> bool:
        """Whether with the most throws fewer contain the truth than is promised, by more than three standard errors."""
        return self.shares[-1] + 3 * self.errors[-1] < PROMISED


def error_bars(bench: Bench, found: Noise, truth: float) -> ErrorBars:
    shares, errors = coverage(thrown_settings(bench), truth)
    settles = bool(fourth_moment_margin(bench.law, torch.tensor(bench.radius)) > 0)
    return ErrorBars(tuple(shares), tuple(errors), repetitions(bench), math.isinf(found.deviation), settles)


@dataclass(frozen=True)
class Density:
    """What the estimate is worth as a density."""

    log_factor: float | None  # log E exp(estimate) - log det(I + A) of the sound estimator, in nats; None: not known


def density(bench: Bench, truth: float) -> Density:
    if len(bench.array) > 2:
        return Density(None)  # the closed form is for the plane
    log_det = Roulette(bench.law, bench.probe, exact_traces=bench.exact_traces)
    return Density(float(believed_log_det(log_det, torch.as_tensor(bench.array)[None])) - truth)
