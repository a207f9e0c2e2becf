"""Calibration, what happens far from the data, and scores against steps and against the weight. Pure: reports in."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from app.components.planes import Chart, Path
from app.engine.reports import ArmReport, LossCurves
from app.engine.training.measurements.far import FarAway
from app.features.joint.arms import Contestant, title_of
from app.features.joint.numbers import Told, classified
from app.features.joint.settings import WEIGHTS
from app.text import signed
from app.ui import bands
from app.ui.bands import Groups, band
from app.ui.side_by_side import style
from resflow_core.measure import Classification, Far

TRUTH = "truth"


def reliability(arms: Mapping[str, ArmReport]) -> Chart:
    """Accuracy against confidence; of the first also how far noise alone takes it from the diagonal."""
    drawn, said = [], []
    for k, (label, arm) in enumerate(arms.items()):
        if (found := classified(arm)) is None:
            continue
        curve = found.reliability
        there = curve.counts > 0
        points = np.stack([curve.confidence, curve.accuracy], 1)[there]
        drawn.append(Path(points, label, markers=True, **style(k)))
        if k == 0:
            c, error = curve.confidence[there], 2 * curve.standard_error[there]
            ends = np.stack([(c - error).clip(0), (c + error).clip(max=1), np.full_like(c, np.nan)], 1)
            bars = np.stack([c[:, None].repeat(3, 1), ends], 2).reshape(-1, 2)
            drawn.append(Path(bars, "calibrated, ± 2 standard errors", None, "solid", 1.2))
        said.append(f"{label}: ECE {100 * curve.ece:.1f} %, {100 * curve.noise:.1f} % from noise alone")
    drawn.append(Path(np.array([[0.0, 0.0], [1.0, 1.0]]), "calibrated", None, "dot", 1.2))
    return Chart(
        "Calibration",
        "confidence max p(y|x)",
        "share of correct answers",
        tuple(drawn),
        f"Reliability curve on held-out points. {'; '.join(said)}.",
        note=f"{'; '.join(said)}.",
    )


def far_confidence(arms: Mapping[str, ArmReport], true: Far | None) -> Chart:
    """How sure each classifier is at a distance from the data."""
    drawn = _over_distance(arms, true, lambda far: far.confidence)
    measured = {label: far.found for label, arm in arms.items() if (far := arm.found(FarAway))}
    said = [f"{label} {100 * far.confidence[-1]:.0f} %" for label, far in measured.items()]
    return Chart(
        "Far away: confidence",
        "distance from the middle, half windows",
        "mean of max p(y|x)",
        drawn,
        f"Confidence against the distance from the data. Four windows away: {', '.join(said)}.",
        note="Mean over a circle. "
        + (f"Bayes' rule is {100 * true.confidence[-1]:.0f} % sure four windows away. " if true else "")
        + "Only a density shows that there are no data.",
    )


def far_density(label: str, arm: ArmReport, true: Far | None) -> Chart:
    """log p(x) at a distance from the data, and what held-out points have."""
    drawn, said = list(_over_distance({label: arm}, true, lambda far: far.log_prob)), ""
    if far := arm.found(FarAway):
        found = far.found
        ends = np.array([[found.distance[0], found.usual_log_prob], [found.distance[-1], found.usual_log_prob]])
        drawn.append(Path(ends, "99 % of held-out points are above", None, "dot", 1.4))
        there, usual = (signed(f"{value:,.0f}") for value in (found.log_prob[-1], found.usual_log_prob))
        said = f"{there} nats four windows away; {usual} nats or more at 99 % of held-out points"
    return Chart(
        "Far away: density",
        "distance from the middle, half windows",
        "mean of log p(x), nats",
        tuple(drawn),
        f"Log density of {label} against the distance from the data. {said or 'Not measured yet'}.",
        note=f"{said or 'Not measured yet'}.",
    )


def _over_distance(
    arms: Mapping[str, ArmReport], true: Far | None, values: Callable[[Far], np.ndarray]
) -> tuple[Path, ...]:
    drawn = [
        Path(np.stack([far.found.distance, values(far.found)], 1), label, **style(k))
        for k, (label, arm) in enumerate(arms.items())
        if (far := arm.found(FarAway))
    ]
    if true:
        drawn.append(Path(np.stack([true.distance, values(true)], 1), TRUTH, None, "dot", 1.6))
    return tuple(drawn)


def against_steps(
    title: str, y: str, groups: Groups, values: Callable[[LossCurves], np.ndarray], best: float | None
) -> Chart:
    """A score of all seeds of each flow, within the smallest and the largest; `best`: the truth's."""
    drawn, said, ends = [], [], []
    for k, (label, arms) in enumerate(groups.items()):
        if (found := bands.fits(arms, values)) is None:
            continue
        drawn += bands.paths(label, found.steps, found.values, k)
        said.append(f"{label} {band(found.values[:, -1])}")
        ends += [found.steps[0], found.steps[-1]]
    return Chart(
        title, "step", y, (*drawn, *_floor(best, ends)), f"{y} against steps; now {'; '.join(said)}.",
        note=bands.note(len(next(iter(groups.values())))),
    )  # fmt: skip


def against_weight(
    title: str,
    y: str,
    families: Mapping[str, Sequence[Sequence[ArmReport]]],
    values: Callable[[LossCurves], np.ndarray],
    best: float | None,
    weights: Sequence[float] = WEIGHTS,
) -> Chart:
    """A score of all seeds at the last of their common steps, for each of the `weights`, the last of all."""
    drawn, said = [], []
    for k, (label, by_weight) in enumerate(families.items()):
        found = [bands.fits(arms, values) for arms in by_weight[-len(weights) :]]
        if any(fits is None for fits in found):
            continue
        now = np.stack([fits.values[:, -1] for fits in found], 1)
        drawn += bands.paths(label, np.array(weights), now, k, markers=True)
        said.append(f"{label} {', '.join(str(band(column)) for column in now.T)}")
    seeds = len(next(iter(families.values()))[0])
    floor = _floor(best, weights)
    return Chart(
        title, "weight λ of log p(x)", y, (*drawn, *floor),
        f"{y} at λ = {', '.join(f'{w:g}' for w in weights)}: {'; '.join(said)}.", note=bands.note(seeds),
    )  # fmt: skip


def few_labels(found: Sequence[Told]) -> Chart:
    """Accuracy of classifiers that are told few classes, against the weight of the density."""
    drawn, said = [], []
    for k, one in enumerate(found):
        weights = sorted(one.by_weight)
        values = np.array([one.by_weight[weight] for weight in weights]).T
        label = f"{one.data}, {one.labels} labels{f', {one.noise} noise' if one.noise else ''}"
        drawn += bands.paths(label, np.array(weights), values, k, markers=True)
        said.append(f"{label}: {', '.join(f'{value:.0f} %' for value in values.mean(0))}")
    return Chart(
        "Accuracy with few labels",
        "weight λ of log p(x)",
        "held-out accuracy, %",
        tuple(drawn),
        f"Held-out accuracy against the weight of the density. {'; '.join(said)}.",
        note=bands.note(len(next(iter(found[0].by_weight.values())))),
    )


def by_family(found: Sequence[Contestant], groups: Groups, peer: str) -> dict[str, list[Sequence[ArmReport]]]:
    """The seeds of every weight, ascending, of the residual flow and of the other one."""
    return {
        title_of(family): [groups[one.label] for one in found if one.family == family] for family in ("residual", peer)
    }


def _floor(best: float | None, ends: Sequence[float]) -> list[Path]:
    if best is None or not len(ends):
        return []
    return [Path(np.array([[min(ends), best], [max(ends), best]]), TRUTH, None, "dot", 1.6)]


def optimum(best: Classification | None) -> tuple[float | None, float | None]:
    """Accuracy in per cent and -log p(y|x) of Bayes' rule."""
    return (100 * best.accuracy.value, best.nll.value) if best else (None, None)
