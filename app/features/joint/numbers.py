"""Scores of hybrids, what the density costs the classifier, and what both say far from the data. Pure: reports in."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from app.contests import LEAST_SEEDS, Outcome, of_loss
from app.engine.reports import ArmReport, LossCurves
from app.engine.training.measurements.far import FarAway
from app.features.joint.arms import Contestant, title_of
from app.ui import bands
from app.ui.bands import Band, Groups, band
from resflow_core.measure import Classification


def classified(arm: ArmReport) -> Classification | None:
    """The newest scores of a hybrid's classifier."""
    return arm.loss and arm.loss.classified


def accuracies(curves: LossCurves) -> np.ndarray:
    """In per cent."""
    return 100 * curves.held_accuracy


def class_nlls(curves: LossCurves) -> np.ndarray:
    return curves.held_class_nll


def nlls(curves: LossCurves) -> np.ndarray:
    return curves.held_nll


CIRCLE = 2.5
"""Radius, in half windows, of the circle that stands for all that is far from the data. Data fill a window: 1."""


@dataclass(frozen=True)
class Unseen:
    """On a circle of `CIRCLE` half windows around the data: how sure two classifiers are, and how likely its points are
    to the flow; means unless they say otherwise."""

    weight: float  # of the density in training
    plain: float  # the plain classifier's confidence, a share
    own: float  # that of the flow's classifier
    log_prob: float  # nats
    largest: float  # log p(x) anywhere on the circle, nats
    usual: float  # the log p(x) that 99 % of held-out points exceed, nats

    @property
    def is_learned(self) -> bool:
        """Whether the density is."""
        return self.weight > 0

    @property
    def doubts(self) -> bool:
        """Whether the density tells the whole circle from the data."""
        return self.is_learned and self.largest < self.usual


def unseen(hybrid: ArmReport, plain: ArmReport, weight: float) -> Unseen | None:
    """None before both are measured."""
    ours, theirs = hybrid.found(FarAway), plain.found(FarAway)
    if ours is None or theirs is None:
        return None
    far = ours.found
    at = int(np.abs(far.distance - CIRCLE).argmin())
    return Unseen(
        weight,
        float(theirs.found.confidence[at]),
        float(far.confidence[at]),
        float(far.log_prob[at]),
        float(far.largest_log_prob[at]),
        float(far.usual_log_prob),
    )


class Verdict(Enum):
    """On the paper's claim: that the density costs the residual flow less accuracy than the other one."""

    FEW_SEEDS = auto()
    SHOWS = auto()
    OPPOSITE = auto()
    NOT_DECIDED = auto()


@dataclass(frozen=True)
class Cost:
    """Accuracy at weight 0 less that at `weight`, seed by seed on the same held-out points, in points of per cent."""

    weight: float
    lost: tuple[float, ...]  # by the residual flow
    lost_by_peer: tuple[float, ...]
    peer: str  # the other family, as people read it
    steps: int  # that all have been trained for

    @property
    def seeds(self) -> int:
        return len(self.lost)

    @property
    def residual(self) -> Band:
        return band(self.lost)

    @property
    def other(self) -> Band:
        return band(self.lost_by_peer)

    @property
    def verdict(self) -> Verdict:
        """By exact one-sided tests, since the paper has said which flow is to lose less."""
        if self.seeds < LEAST_SEEDS:
            return Verdict.FEW_SEEDS
        outcome = of_loss(self.lost, self.lost_by_peer).outcome
        return {Outcome.AHEAD: Verdict.SHOWS, Outcome.BEHIND: Verdict.OPPOSITE}.get(outcome, Verdict.NOT_DECIDED)


@dataclass(frozen=True)
class Claim:
    """The paper's claim: what the density costs at each weight that it has."""

    costs: tuple[Cost, ...]  # empty before all is measured


def claim(found: Sequence[Contestant], groups: Groups, peer: str) -> Claim:
    steps, costs = min(arm.step for arms in groups.values() for arm in arms), []
    for weight in sorted({one.weight for one in found} - {0.0}):
        ours, theirs = (_lost(found, groups, family, weight) for family in ("residual", peer))
        if ours is None or theirs is None:
            return Claim(())
        costs.append(Cost(weight, tuple(ours), tuple(theirs), title_of(peer), steps))
    return Claim(tuple(costs))


def _lost(found: Sequence[Contestant], groups: Groups, family: str, weight: float) -> np.ndarray | None:
    """Accuracy at weight 0 less that at `weight`, of each seed, in points of per cent."""
    labels = {one.weight: one.label for one in found if one.family == family}
    now = [bands.fits(groups[labels[w]], accuracies) for w in (0.0, weight)]
    return None if any(fits is None for fits in now) else now[0].values[:, -1] - now[1].values[:, -1]


@dataclass(frozen=True)
class Told:
    """Accuracies in per cent of hybrids that are told `labels` classes, with `noise` coordinates that say nothing, seed
    by seed, by the weight of the density."""

    data: str
    labels: int
    noise: int
    by_weight: dict[float, tuple[float, ...]]

    @property
    def gained(self) -> tuple[float, ...]:
        """Accuracy at the largest weight less that at the smallest, of each seed, in points of per cent."""
        least, most = (self.by_weight[of(self.by_weight)] for of in (min, max))
        return tuple(with_it - without for without, with_it in zip(least, most, strict=True))
