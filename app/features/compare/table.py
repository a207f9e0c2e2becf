"""The comparison in numbers: a row for each flow on the page, and a row for each seed or measurement to download."""

from collections.abc import Callable, Sequence
from typing import Any

from app.engine.reports import ArmReport
from app.engine.training.measurements.masses import Masses
from app.features.compare.arms import Contender
from app.features.compare.numbers import Score
from app.text import csv_of, markdown_table
from app.ui.bands import Band, Groups
from resflow_core.data import Dataset

NOT_YET = "…"
NONE = "not known"


def table(dataset: Dataset, scores: Sequence[Score]) -> str:
    """Bands over the seeds, as Markdown."""
    believes = not all(score.flow.is_exact for score in scores)
    head = ["flow", "parameters"]
    head += ["KL, nats"] * bool(dataset.truth)
    head += ["true NLL, nats"]
    head += ["believed NLL, nats", "bias of log p, nats", "mass believed in"] * believes
    head += ["mass", "ms a step"]
    rows = [head, [":--", *["--:"] * (len(head) - 1)]]
    for score in scores:
        row = [score.flow.label, score.flow.size]
        row += [_cell(score.kl)] * bool(dataset.truth)
        row += [_cell(score.true)]
        row += [_cell(score.believed), _cell(score.bias), _believed_mass(score)] * believes
        row += [_cell(score.mass), NOT_YET if score.pace is None else f"{score.pace:.3g}"]
        rows.append(row)
    return markdown_table(rows)


def _cell(found: Band | None) -> str:
    return str(found or NOT_YET)


def _believed_mass(score: Score) -> str:
    is_unknown = score.mass is not None and score.believed_mass is None
    return NONE if is_unknown else _cell(score.believed_mass)


def saved(found: Sequence[Contender], groups: Groups, seed: int) -> dict[str, Callable[[], bytes]]:
    """What can be downloaded, made when it is."""
    return {"Table": lambda: by_seed(found, groups, seed), "Curves": lambda: by_step(found, groups, seed)}


def by_seed(found: Sequence[Contender], groups: Groups, seed: int) -> bytes:
    """The newest numbers of every seed of every flow, as CSV."""
    return csv_of(_now(one, arm, seed + k) for one in found for k, arm in enumerate(groups[one.label]))


def _now(one: Contender, arm: ArmReport, seed: int) -> dict[str, Any]:
    curves, masses = arm.loss, arm.found(Masses)
    return {
        **_known(one, seed),
        "step": arm.step,
        "seconds": arm.seconds,
        **_measured(curves, -1),
        "mass_believed_in": masses.believed.value if masses and masses.believed else "",
        "mass": masses.exact.value if masses else "",
        "mass_error": masses.exact.error if masses else "",
    }


def by_step(found: Sequence[Contender], groups: Groups, seed: int) -> bytes:
    """Every held-out measurement of every seed of every flow, as CSV."""
    return csv_of(
        {
            **_known(one, seed + k),
            "step": int(arm.loss.held_step[at]),
            "seconds": float(arm.loss.held_seconds[at]),
            **_measured(arm.loss, at),
        }
        for one in found
        for k, arm in enumerate(groups[one.label])
        for at in range(len(arm.loss.held_step) if arm.loss else 0)
    )


def _known(one: Contender, seed: int) -> dict[str, Any]:
    return {"flow": one.label, "log_det": repr(one.log_det), "parameters": one.parameters, "seed": seed}


def _measured(curves: Any, at: int) -> dict[str, Any]:
    if curves is None or not len(curves.held_nll):
        return {}
    names = {"nll": "held_nll", "nll_se": "held_se", "bias": "held_bias", "bias_se": "held_bias_se"}
    if len(curves.held_kl):
        names |= {"kl": "held_kl", "kl_se": "held_kl_se"}
    return {name: float(getattr(curves, field)[at]) for name, field in names.items()}
