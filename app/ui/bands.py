"""Several flows that differ in their seed alone: their fits as bands, and what the bands say. Pure: reports in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.components.planes import Chart, Path
from app.engine.experiment import Arm
from app.engine.reports import ArmReport, LossCurves
from app.text import signed
from app.ui.side_by_side import style
from app.words import number
from resflow_core.data import Dataset

# Fewer seeds say nothing about how far results scatter.
LEAST_SEEDS = 3

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

    def at_step(self, step: int) -> Band:
        return band(self.values[:, np.searchsorted(self.steps, step)])

    def at_seconds(self, seconds: float) -> Band:
        """Between two measurements on the line through them."""
        pairs = zip(self.seconds, self.values, strict=True)
        return band([float(np.interp(seconds, times, values)) for times, values in pairs])


def _three_digits(value: float) -> str:
    """Three digits, zeros at the end too, so that numbers of a kind look alike."""
    return signed(f"{value:#.3g}".removesuffix(".")) if 1e-4 <= abs(value) < 1e3 else number(value)


def band(values: Sequence[float]) -> Band:
    return Band(float(np.mean(values)), float(np.min(values)), float(np.max(values)))


def measure_of(dataset: Dataset) -> tuple[str, str]:
    """By what a fit to these data is measured: in short, and as an axis has it."""
    return ("KL", "KL(data ‖ flow), nats") if dataset.truth else ("NLL", "held-out NLL, nats")


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


def paths(label: str, x: np.ndarray, values: np.ndarray, k: int, **look) -> list[Path]:
    """The mean over seeds of values, (seeds, points), as a thick line, within the smallest and the largest."""
    how = style(k) | look
    drawn = [Path(np.stack([x, values.mean(0)], 1), label, width=2.4, **how)]
    if len(values) > 1:
        edges = [np.concatenate([np.stack([x, edge], 1), [[np.nan] * 2]]) for edge in (values.min(0), values.max(0))]
        drawn.append(Path(np.concatenate(edges), "", how["colour"], "solid", 0.8))
    return drawn


def note(seeds: int) -> str:
    return "Thick: mean over seeds; thin: smallest and largest." if seeds > 1 else "One seed."


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
        f"{name} against {against}, mean over seeds within the smallest and the largest; now {'; '.join(said)}.",
        log_y=bool(dataset.truth),
        note=note(_seeds(groups)),
    )


def verdict(dataset: Dataset, groups: Groups) -> str:
    """Which is best after as many steps, with the bands' numbers; or that the seeds do not say."""
    found = all_fits(dataset, groups)
    if too_early := _too_early(found):
        return too_early
    step = min(int(fits.steps[-1]) for fits in found.values())
    at = {label: fits.at_step(step) for label, fits in found.items()}
    return _verdict(dataset, at, _seeds(groups), f"after {step:,} steps")


def verdict_by_time(dataset: Dataset, groups: Groups) -> str:
    """The same after as long a training, which is that of the quickest."""
    found = all_fits(dataset, groups)
    if too_early := _too_early(found):
        return too_early
    seconds = min(float(fits.seconds[:, -1].min()) for fits in found.values())
    at = {label: fits.at_seconds(seconds) for label, fits in found.items()}
    return _verdict(dataset, at, _seeds(groups), f"after {seconds:.1f} s of training each")


def _too_early(found: Mapping[str, Fits | None]) -> str:
    """Why there is no verdict yet, or ""."""
    if any(fits is None for fits in found.values()) or len(found) < 2:
        return "Not measured yet."
    return "" if all(fits.steps[-1] for fits in found.values()) else "Not trained yet: press Play."


def _verdict(dataset: Dataset, at: Mapping[str, Band], seeds: int, when: str) -> str:
    what, _ = measure_of(dataset)
    if lost := [label for label, of in at.items() if np.isnan(of.mean)]:
        return f"**Not to be compared** {when}: {what} of {', '.join(lost)} is not a number in every seed."
    (best, least), *others = sorted(at.items(), key=lambda item: item[1].mean)
    nearest, near = min(others, key=lambda item: item[1].low)
    compared = f"{best} has {what} {least}, {nearest} {near} {when}"
    if seeds < LEAST_SEEDS:
        few = f"over {seeds} seed{'s' * (seeds > 1)}. Take {LEAST_SEEDS} or more."
        return f"**Not enough seeds to say**: {compared}, {few}"
    if least.high < near.low:
        return f"**{best} is ahead in all {seeds} seeds**: {compared}; no other band touches its own."
    return f"**The seeds do not say**: {compared}, over {seeds} seeds; the bands overlap."


def _seeds(groups: Groups) -> int:
    return len(next(iter(groups.values())))
