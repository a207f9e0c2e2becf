"""Scores in numbers: tables on the page, and rows to download."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.engine.reports import ArmReport
from app.features.joint import truth
from app.features.joint.arms import Contestant
from app.features.joint.numbers import Told, accuracies, class_nlls, classified, nlls
from app.features.joint.words import NOT_YET, nats, share
from app.metrics import held_out_nll, with_error
from app.text import csv_of, markdown_table, signed
from app.ui import bands
from app.ui.bands import Groups, band
from resflow_core.data import Dataset
from resflow_core.measure import Classification

TERMS = (
    "λ: the weight of the density in training. −log p(y|x): small if the classifier gives the true class a high "
    "probability; 0 is best. ECE, expected calibration error: the distance between confidence and accuracy. −log p(x): "
    "the loss of the density; smaller is better. Truth: Bayes' rule and the true density, at the same points."
)


def one_seed(dataset: Dataset, found: Sequence[Contestant], arms: Sequence[ArmReport]) -> str:
    """The flow, the plain classifier, and what cannot be beaten, on held-out points, as Markdown."""
    rows = [["", "parameters", "accuracy", "−log p(y\\|x), nats", "ECE", "ECE from noise alone", "−log p(x), nats"]]
    rows.append([":--", *["--:"] * 6])
    for one, arm in zip(found, arms, strict=True):
        nll = held_out_nll(arm) if one.family else None
        density = signed("{} ± {}".format(*with_error(*nll))) if nll else "has none" if not one.family else NOT_YET
        rows.append([one.label, f"{one.parameters:,}", *_scores(classified(arm)), density])
    if best := truth.best(dataset):
        rows.append(["Truth", "", *_scores(best), nats(truth.nll(dataset))])
    return _markdown(rows)


def _scores(found: Classification | None) -> list[str]:
    if found is None:
        return [NOT_YET] * 4
    curve = found.reliability
    return [share(found.accuracy), nats(found.nll), f"{100 * curve.ece:.1f} %", f"{100 * curve.noise:.1f} %"]


def all_seeds(dataset: Dataset, found: Sequence[Contestant], groups: Groups) -> str:
    """Bands over the seeds, as the paper's table has it: a row for each flow and weight, as Markdown."""
    rows = [["", "λ", "parameters", "accuracy, %", "−log p(y\\|x), nats", "ECE, %", "−log p(x), nats"]]
    rows.append([":--", *["--:"] * 6])
    for one in found:
        arms = groups[one.label]
        ece = _newest(arms, lambda curves: 100 * curves.held_ece)
        density = _newest(arms, nlls) if one.weight else "not learned"
        scores = [_newest(arms, accuracies), _newest(arms, class_nlls), ece, density]
        rows.append([one.label.split(",")[0], f"{one.weight:g}", f"{one.parameters:,}", *scores])
    if best := truth.best(dataset):
        scores = (100 * best.accuracy.value, best.nll.value, 100 * best.reliability.ece, truth.nll(dataset).value)
        rows.append(["Truth", "", "", *(str(band([score])) for score in scores)])
    return _markdown(rows)


def _newest(arms: Sequence[ArmReport], values) -> str:
    return str(bands.newest(arms, values) or NOT_YET)


def saved(found: Sequence[Contestant], groups: Groups, seed: int) -> dict[str, Callable[[], bytes]]:
    """What can be downloaded, made when it is."""
    return {"Table": lambda: by_seed(found, groups, seed), "Curves": lambda: by_step(found, groups, seed)}


def by_seed(found: Sequence[Contestant], groups: Groups, seed: int) -> bytes:
    """The newest numbers of every seed of every flow, as CSV."""
    return csv_of(
        {**_known(one, seed + k), "step": arm.step, "seconds": arm.seconds, **_measured(arm, -1)}
        for one in found
        for k, arm in enumerate(groups[one.label])
    )


def by_step(found: Sequence[Contestant], groups: Groups, seed: int) -> bytes:
    """Every held-out measurement of every seed of every flow, as CSV."""
    return csv_of(
        {**_known(one, seed + k), "step": int(arm.loss.held_step[at]), **_measured(arm, at)}
        for one in found
        for k, arm in enumerate(groups[one.label])
        for at in range(len(arm.loss.held_step) if arm.loss else 0)
    )


def few_labels(found: Sequence[Told]) -> bytes:
    """Every accuracy, as CSV."""
    return csv_of(
        {"data": one.data, "labels": one.labels, "noise": one.noise, "weight": weight, "seed": seed, "accuracy": value}
        for one in found
        for weight, values in one.by_weight.items()
        for seed, value in enumerate(values)
    )


def _known(one: Contestant, seed: int) -> dict[str, Any]:
    return {"flow": one.label, "weight": one.weight, "parameters": one.parameters, "seed": seed}


COLUMNS: Mapping[str, str] = {
    "accuracy": "held_accuracy",
    "class_nll": "held_class_nll",
    "ece": "held_ece",
    "nll": "held_nll",
    "nll_se": "held_se",
}


def _measured(arm: ArmReport, at: int) -> dict[str, Any]:
    if arm.loss is None or not len(arm.loss.held_accuracy):
        return {}
    return {name: float(getattr(arm.loss, field)[at]) for name, field in COLUMNS.items()}


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    return markdown_table(rows)
