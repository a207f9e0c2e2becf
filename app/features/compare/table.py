"""The comparison in numbers: a row for each flow on the page, and a row for each seed or measurement to download."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from app.engine.measurements.masses import Masses
from app.engine.reports import ArmReport
from app.features.compare.arms import Contender
from app.features.compare.charts import believed_nll, bias_of, true_nll
from app.text import csv_of, markdown_table
from app.ui import bands
from app.ui.bands import Groups, band
from resflow_core.data import Dataset

NOT_YET = "…"
NONE = "not known"


def table(dataset: Dataset, found: Sequence[Contender], groups: Groups) -> str:
    """Bands over the seeds, as Markdown."""
    head = ["flow", "parameters"]
    head += ["KL, nats"] * bool(dataset.truth)
    believes = not all(one.is_exact for one in found)
    head += ["true NLL, nats"]
    head += ["believed NLL, nats", "bias of log p, nats", "mass believed in"] * believes
    head += ["mass", "ms a step"]
    rows = [head, [":--", *["--:"] * (len(head) - 1)]]
    for one in found:
        arms = groups[one.label]
        row = [one.label, one.size]
        if dataset.truth:
            row.append(str(bands.newest(arms, lambda curves: curves.held_kl) or NOT_YET))
        row += [str(bands.newest(arms, true_nll) or NOT_YET)]
        believed, mass = _masses(one, arms)
        row += [str(bands.newest(arms, believed_nll) or NOT_YET), _bias(one, arms), believed] * believes
        rows.append([*row, mass, _pace(arms)])
    return markdown_table(rows)


def _bias(one: Contender, arms: Sequence[ArmReport]) -> str:
    if one.terms is None:
        return "0"
    return str(bias_of(arms) or NOT_YET)


def _masses(one: Contender, arms: Sequence[ArmReport]) -> list[str]:
    """What it believes in and what it has. An exact belief is the truth."""
    found = [arm.found(Masses) for arm in arms]
    if None in found:
        return [NOT_YET, NOT_YET]
    believed, exact = [masses.believed for masses in found], [masses.exact for masses in found]
    shown = [NONE if None in masses else str(band([mass.value for mass in masses])) for masses in (believed, exact)]
    return [shown[1] if one.is_exact else shown[0], shown[1]]


def _pace(arms: Sequence[ArmReport]) -> str:
    done = [1e3 * arm.seconds / arm.step for arm in arms if arm.step]
    return f"{np.mean(done):.3g}" if done else NOT_YET


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
