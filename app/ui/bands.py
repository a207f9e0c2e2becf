"""Several flows that differ in their seed alone: their fits as bands, and what the seeds say. Pure: reports in."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

import numpy as np

from app.components.planes import Chart, Path
from app.contests import LEVEL, Contest, nearest, of_kl, of_loss, with_others
from app.engine.experiment import Arm
from app.engine.reports import ArmReport, LossCurves
from app.text import signed
from app.ui.side_by_side import style
from app.words import number
from resflow_core.data import Dataset

KL = "KL"
Groups = Mapping[str, Sequence[ArmReport]]
"""The reports of all seeds of each flow, by its label."""


def seeded(arms: Mapping[str, Arm], seed: int, seeds: int) -> dict[str, Arm]:
    """Each flow from so many seeds, flow by flow, by what it is called in messages."""
    return {
        f"{label}, seed {seed + k}": replace(arm, seed=seed + k) for label, arm in arms.items() for k in range(seeds)
    }


def grouped(labels: Sequence[str], reports: Sequence[ArmReport], seeds: int) -> dict[str, Sequence[ArmReport]]:
    """The reports of all that is `seeded`, by the flow."""
    return {label: reports[k * seeds : (k + 1) * seeds] for k, label in enumerate(labels)}


@dataclass(frozen=True)
class Band:
    """A number of several flows that differ in their seed alone."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        mean, low, high = map(_three_digits, (self.mean, self.low, self.high))
        return mean if low == high else f"{mean} ({low} to {high})"


@dataclass(frozen=True)
class Fits:
    """A measure of every seed, at the measurements that all of them have."""

    steps: np.ndarray  # (k,)
    seconds: np.ndarray  # (seeds, k), of training
    values: np.ndarray  # (seeds, k)

    def at_step(self, step: int) -> list[float]:
        """Seed by seed."""
        return self.values[:, np.searchsorted(self.steps, step)].tolist()

    def at_seconds(self, seconds: float) -> list[float]:
        """Seed by seed, between two measurements on the line through them."""
        pairs = zip(self.seconds, self.values, strict=True)
        return [float(np.interp(seconds, times, values)) for times, values in pairs]


def _three_digits(value: float) -> str:
    """Three digits, zeros at the end too, so that numbers of a kind look alike."""
    return signed(f"{value:#.3g}".removesuffix(".")) if 1e-4 <= abs(value) < 1e3 else number(value)


def band(values: Sequence[float]) -> Band:
    return Band(float(np.mean(values)), float(np.min(values)), float(np.max(values)))


def measure_of(dataset: Dataset) -> tuple[str, str]:
    """By what a fit to these data is measured: in short, and as an axis has it."""
    return (KL, "KL(data ‖ flow), nats") if dataset.truth else ("NLL", "held-out NLL, nats")


def fit_values(dataset: Dataset, curves: LossCurves) -> np.ndarray:
    return curves.held_kl if dataset.truth else curves.held_nll


def fits(arms: Sequence[ArmReport], values_of: Callable[[LossCurves], np.ndarray]) -> Fits | None:
    """`values_of` the loss curves of each seed; None before there is a measurement of all."""
    curves = [arm.loss for arm in arms]
    if any(curve is None or not len(curve.held_step) for curve in curves):
        return None
    steps = sorted(set.intersection(*(set(curve.held_step.tolist()) for curve in curves)))
    if not steps:
        return None
    places = [np.searchsorted(curve.held_step, steps) for curve in curves]
    pairs = list(zip(curves, places, strict=True))
    return Fits(
        np.array(steps),
        np.stack([curve.held_seconds[at] for curve, at in pairs]),
        np.stack([values_of(curve)[at] for curve, at in pairs]),
    )


def newest(arms: Sequence[ArmReport], values_of: Callable[[LossCurves], np.ndarray]) -> Band | None:
    """At the last measurement of all seeds; None before there is one."""
    found = fits(arms, values_of)
    return found and band(found.values[:, -1])


def all_fits(dataset: Dataset, groups: Groups) -> dict[str, Fits | None]:
    return {label: fits(arms, lambda curve: fit_values(dataset, curve)) for label, arms in groups.items()}


def paths(label: str, x: np.ndarray, values: np.ndarray, k: int, markers: bool = False) -> list[Path]:
    """The mean over seeds of values, (seeds, points), as a thick line, within the smallest and the largest."""
    how = style(k)
    drawn = [Path(np.stack([x, values.mean(0)], 1), label, width=2.4, markers=markers, **how)]
    if len(values) > 1:
        edges = [np.concatenate([np.stack([x, edge], 1), [[np.nan] * 2]]) for edge in (values.min(0), values.max(0))]
        drawn.append(Path(np.concatenate(edges), "", how["colour"], "solid", 0.8))
    return drawn


def note(seeds: int) -> str:
    return "Thick: mean over seeds. Thin: smallest and largest seed." if seeds > 1 else "One seed."


def curves(dataset: Dataset, groups: Groups, *, by_time: bool) -> Chart:
    against = "seconds of training" if by_time else "steps"
    _, name = measure_of(dataset)
    drawn, said = [], []
    for k, (label, found) in enumerate(all_fits(dataset, groups).items()):
        if found is None:
            continue
        drawn += paths(label, found.seconds.mean(0) if by_time else found.steps, found.values, k)
        said.append(f"{label} {band(found.values[:, -1])}")
    return Chart(
        f"Fit against {against}",
        against,
        name,
        tuple(drawn),
        f"{name} against {against}: the mean over seeds, with the smallest and the largest. Now {'; '.join(said)}.",
        log_y=bool(dataset.truth),
        note=note(_seeds(groups)),
    )


class Outcome(Enum):
    """What several seeds of each flow say about which one fits best."""

    NOT_MEASURED = auto()
    NOT_TRAINED = auto()
    NOT_A_NUMBER = auto()  # the fit of a flow, in some seed
    FEW_SEEDS = auto()
    AHEAD = auto()  # the best, of all others
    EQUAL = auto()  # all, within 25 %
    NOT_DECIDED = auto()


@dataclass(frozen=True)
class Ranking:
    """How well flows fit after equally many steps or, with `seconds`, after equally long training.

    Nobody has said before which flow is to be the best. So the best of k flows is ahead if it is so of each other one
    at 5 % / k (`app.contests`; Bonferroni).
    """

    measure: str  # by which they are compared: KL or NLL
    seeds: int  # of each flow
    # In nats, seed by seed, by the flow's label; empty unless there are two flows and all are measured.
    values: Mapping[str, Sequence[float]]
    steps: int = 0  # that all flows have been trained for
    seconds: float | None = None  # of training; as many as the quickest took

    @property
    def outcome(self) -> Outcome:
        if not self.fits:
            return Outcome.NOT_MEASURED
        if not self.steps:
            return Outcome.NOT_TRAINED
        if self.lost:
            return Outcome.NOT_A_NUMBER
        if self.seeds < self.least_seeds:
            return Outcome.FEW_SEEDS
        if max(one.p_ahead for one in self.contests(self.best).values()) <= LEVEL / len(self.fits):
            return Outcome.AHEAD
        pairs = [one for label in self.values for one in self.contests(label).values()]
        return Outcome.EQUAL if max(one.p_equal for one in pairs) <= LEVEL else Outcome.NOT_DECIDED

    @property
    def least_seeds(self) -> int:
        """With fewer, no flow can be ahead."""
        return math.ceil(math.log2(len(self.values) / LEVEL))

    @property
    def fits(self) -> dict[str, Band]:
        return {label: band(values) for label, values in self.values.items()}

    def contests(self, label: str) -> dict[str, Contest]:
        """Of one flow with each other, by the KL or the NLL."""
        return with_others(self.values, label, of_kl if self.measure == KL else of_loss)

    @property
    def lost(self) -> list[str]:
        """The flows whose fit is not a number in every seed."""
        return [label for label, of in self.fits.items() if np.isnan(of.mean)]

    @property
    def best(self) -> str:
        """The flow with the smallest mean."""
        return min(self.fits, key=lambda label: self.fits[label].mean)

    @property
    def nearest(self) -> str:
        """The other flow of which the best is ahead least. Its mean need not be the second best."""
        return nearest(self.contests(self.best))


def by_steps(dataset: Dataset, groups: Groups) -> Ranking:
    measure, _ = measure_of(dataset)
    found, seeds = all_fits(dataset, groups), _seeds(groups)
    if len(found) < 2 or None in found.values():
        return Ranking(measure, seeds, {})
    steps = min(int(fits.steps[-1]) for fits in found.values())
    return Ranking(measure, seeds, {label: fits.at_step(steps) for label, fits in found.items()}, steps)


def by_time(dataset: Dataset, groups: Groups) -> Ranking:
    ranking = by_steps(dataset, groups)
    if not ranking.fits:
        return ranking
    found = all_fits(dataset, groups)
    seconds = min(float(fits.seconds[:, -1].min()) for fits in found.values())
    return replace(ranking, values={label: fits.at_seconds(seconds) for label, fits in found.items()}, seconds=seconds)


def in_words(found: Ranking) -> str:
    """Which flow is best, with the numbers of the bands; or why that cannot be said."""
    if found.outcome is Outcome.NOT_MEASURED:
        return "Not measured yet."
    if found.outcome is Outcome.NOT_TRAINED:
        return "Not trained yet: press Play."
    when = f"after {found.steps:,} steps" if found.seconds is None else f"after {found.seconds:.1f} s of training each"
    if found.outcome is Outcome.NOT_A_NUMBER:
        lost = ", ".join(found.lost)
        return f"**No comparison is possible** {when}: the {found.measure} of {lost} is not a number in some seed."
    best, nearest, seeds = found.best, found.nearest, found.seeds
    compared = f"{best} has {found.measure} {found.fits[best]}, {nearest} {found.fits[nearest]} {when}"
    if found.outcome is Outcome.FEW_SEEDS:
        few = f"over {seeds} seed{'s' * (seeds > 1)}. Take {found.least_seeds} or more."
        return f"**Too few seeds to decide**: {compared}, {few}"
    if found.outcome is Outcome.AHEAD:
        return f"**{best} is ahead**: {compared}, over {seeds} seeds (exact test, p ≤ {LEVEL:g} / {len(found.values)})."
    if found.outcome is Outcome.EQUAL:
        return f"**They are equal within 25\N{NO-BREAK SPACE}%**: {compared}, over {seeds} seeds."
    return f"**The seeds do not decide**: {compared}, over {seeds} seeds."


def _seeds(groups: Groups) -> int:
    return len(next(iter(groups.values())))
