"""What is found of the arms, over the seeds of each and on held-out points: who fits, and who believes what is not so.
Pure: reports in."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from app.engine.reports import ArmReport, LossCurves
from app.engine.training.measurements.masses import Masses
from app.features.compare.arms import Contender
from app.metrics import is_one
from app.ui import bands
from app.ui.bands import Band, Groups, Ranking, band
from resflow_core.data import Dataset
from resflow_core.measure import Mass, Spectrum

# A bias below is rounding, or the noise of the mean over points.
LEAST_BIAS = 1e-3


class Sign(Enum):
    """How the log density that an arm believes in differs from its true one."""

    NONE = auto()
    ABOVE = auto()  # in every seed
    BELOW = auto()  # in every seed
    MIXED = auto()


@dataclass(frozen=True)
class Belief:
    """What an arm with a truncated series believes of itself, in nats."""

    label: str
    bias: Band  # believed minus true log density
    believed: Band  # NLL
    true: Band  # NLL
    mass: Band | None  # of the density that it believes in, if that is measured and not 1 in every seed
    entropy: float | None  # of the data; None if their density is not known

    @property
    def sign(self) -> Sign:
        if max(-self.bias.low, self.bias.high) < LEAST_BIAS:
            return Sign.NONE
        return Sign.BELOW if self.bias.high < 0 else Sign.ABOVE if self.bias.low > 0 else Sign.MIXED

    @property
    def is_impossible(self) -> bool:
        """Whether it believes in an NLL below the entropy, in every seed."""
        return self.entropy is not None and self.believed.high < self.entropy


@dataclass(frozen=True)
class Score:
    """The numbers of one arm; None: not measured yet."""

    flow: Contender
    kl: Band | None  # nats; None too if the density of the data is not known
    true: Band | None  # NLL, nats
    believed: Band | None  # NLL, nats
    bias: Band | None  # believed minus true log density, nats
    mass: Band | None  # of its density
    believed_mass: Band | None  # of the density that it believes in; None too if that is not known in some seed
    pace: float | None  # milliseconds a step


@dataclass(frozen=True)
class Compared:
    """All arms at their newest measurements."""

    by_steps: Ranking
    by_time: Ranking
    beliefs: tuple[Belief, ...]  # of those with a truncated series
    scores: tuple[Score, ...]


def compared(dataset: Dataset, found: Sequence[Contender], groups: Groups) -> Compared:
    beliefs = (belief(dataset, one, groups[one.label]) for one in found if one.terms is not None)
    return Compared(
        bands.by_steps(dataset, groups),
        bands.by_time(dataset, groups),
        tuple(one for one in beliefs if one),
        tuple(score(dataset, one, groups[one.label]) for one in found),
    )


def belief(dataset: Dataset, one: Contender, arms: Sequence[ArmReport]) -> Belief | None:
    """Of an arm with a truncated series; None before there is a measurement of all seeds."""
    if (bias := bias_of(arms)) is None:
        return None
    masses = [measured.believed for arm in arms if (measured := arm.found(Masses)) and measured.believed]
    return Belief(
        one.label,
        bias,
        bands.newest(arms, believed_nll),
        bands.newest(arms, true_nll),
        None if all(is_one(mass) for mass in masses) else _values(masses),
        dataset.truth.entropy if dataset.truth else None,
    )


def score(dataset: Dataset, one: Contender, arms: Sequence[ArmReport]) -> Score:
    masses = [arm.found(Masses) for arm in arms]
    mass = None if None in masses else _values([of.exact for of in masses])
    believed = [of and of.believed for of in masses]
    done = [1e3 * arm.seconds / arm.step for arm in arms if arm.step]
    return Score(
        one,
        bands.newest(arms, lambda curves: curves.held_kl) if dataset.truth else None,
        bands.newest(arms, true_nll),
        bands.newest(arms, believed_nll),
        band([0.0]) if one.terms is None else bias_of(arms),
        mass,
        mass if one.is_exact else None if None in believed else _values(believed),
        float(np.mean(done)) if done else None,
    )


def _values(masses: Sequence[Mass]) -> Band:
    return band([mass.value for mass in masses])


def true_nll(curves: LossCurves) -> np.ndarray:
    return curves.held_nll


def believed_nll(curves: LossCurves) -> np.ndarray:
    """The NLL that the training loss has on average, on held-out points."""
    return curves.held_nll - curves.held_bias


def bias_of(arms: Sequence[ArmReport]) -> Band | None:
    """By how much each seed overestimates its log density, at the newest measurement of all, in nats."""
    return bands.newest(arms, lambda curves: curves.held_bias)


def bias_at(spectrum: Spectrum, terms: int) -> float:
    """By how much so many terms of the series overestimate the log density, in nats."""
    return float(spectrum.biases[terms - 1])
