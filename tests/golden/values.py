"""Log densities, gradients of the loss, inverses and samples of small flows of every kind, in float64.

They meet in a covering design: any two levels of two factors are together in one case at least. Of an activation less
is wanted, for there are many, and each has its own tests: it meets the levels of `WITH_ACTIVATION`.
"""

from collections.abc import Iterator
from functools import cache
from itertools import combinations, product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.covering import covering
from tests.golden import subject, subject_flows
from tests.golden.flows import drawn, generator, points
from tests.golden.stored import FOLDER, load, save

INDEX, ARRAYS = "values.json", FOLDER / "values.npz"
POINTS, SAMPLES, CLASSES = 16, 8, 3
FORMULAS = ("=sin(2*z)/2 + z/4", "=max(z, 0.1*z)")
SMALL = {"blocks": "2", "width": "6", "budget": "0.9"}

ESTIMATORS: dict[str, dict[str, str]] = {
    "exact": {"log_det": "exact"},
    "1 term": {"log_det": "truncated", "log_det.n_terms": "1"},
    "4 terms": {"log_det": "truncated", "log_det.n_terms": "4"},
    "7 terms": {"log_det": "truncated", "log_det.n_terms": "7"},
    "geometric": {"log_det": "roulette"},
    "geometric from 0": {"log_det": "roulette", "log_det.law.p": "0.3", "log_det.law.n_exact": "0"},
    "poisson": {"log_det": "roulette", "log_det.law": "poisson"},
    "custom": {"log_det": "roulette", "log_det.law": "custom", "log_det.law.table": "1 0.7 0.3"},
}
CONSTRAINTS: dict[str, dict[str, str]] = {
    "bjorck of few steps": {"constraint": "bjorck", "constraint.steps": "2"},
    "power, cold": {"constraint": "power", "constraint.iterations": "3", "constraint.warm": "False"},
}
FEW = ("sine", "elu")
"""Activations that meet these constraints."""
WITH_ACTIVATION = ("kind", "hidden_layers", "share")
"""What every activation meets: each kind of log det, and each level of two factors."""
BRANCHING = ("probe", "gradient", "n_probes", "n_draws", "shared")
"""Settings that belong to some estimators only."""

TOLERANCES = {"samples": 1e-6, "data": 1e-5, "labelled": 1e-5}
"""Of the largest number of an array, where it is not 1e-12: what is drawn in float32 differs between processors."""
LEFT_OUT = {
    "layers with more than 8 inputs and more than 8 outputs": "Their norm comes from iterations in float32, which each "
    "kind of processor rounds in its own way. losses.json has such layers.",
    "power iteration with 16 inputs or more": "Its first vector is drawn in float32. From 16 numbers on each kind of "
    "processor has its own routine for that.",
}


def make() -> None:
    """Cases of the design that are stored stay; every activation, family and data set has a case."""
    try:
        kept = load(INDEX)["cases"]
    except FileNotFoundError:
        kept = {f"cover {k}": case for k, case in enumerate(design())}
    cases = {label: case for label, case in kept.items() if label.startswith("cover ")} | dict(rest())
    index, arrays = {}, {}
    for label, case in cases.items():
        case = {name: value for name, value in case.items() if name != "sizes"}
        found = values(case)
        index[label] = case | {"sizes": {name: None if part is None else len(part) for name, part in found.items()}}
        for name, part in found.items():
            arrays.setdefault(name, []).append(np.empty(0) if part is None else part)
    save(INDEX, {"torch": torch.__version__, "left out": LEFT_OUT, "cases": index})
    np.savez_compressed(ARRAYS, **{name: np.concatenate(parts) for name, parts in sorted(arrays.items())})


def stored() -> dict[str, tuple[dict[str, Any], dict[str, np.ndarray | None]]]:
    """Every stored case with its arrays."""
    with np.load(ARRAYS) as file:
        arrays = dict(file)
    ends, found = dict.fromkeys(arrays, 0), {}
    for label, case in load(INDEX)["cases"].items():
        parts = {}
        for name, size in case["sizes"].items():
            parts[name] = None if size is None else arrays[name][ends[name] : ends[name] + size]
            ends[name] += size or 0
        found[label] = case, parts
    return found


def rest() -> Iterator[tuple[str, dict[str, Any]]]:
    """Constraints with other settings, exactly; flows of other families; classifiers; data."""
    for activation, (name, constraint) in product(FEW, CONSTRAINTS.items()):
        link = {**SMALL, "activation": activation, **constraint}
        yield f"{activation} {name}", {"of": "flow", "link": link, "dim": 2, "share": 1.0}
    for kind, dim in product(subject_flows.peers(), (2, 3)):
        yield f"{kind} {dim}", {"of": "peer", "kind": kind, "dim": dim}
    for name, weight, estimator in (("joint", 0.5, "geometric"), ("classes", 0.0, "exact"), ("plain", 0.0, "exact")):
        link = None if name == "plain" else SMALL
        yield f"hybrid {name}", {"of": "hybrid", "link": link, "weight": weight, "log_det": ESTIMATORS[estimator]}
    for name in subject_flows.data_sets():
        yield f"data {name}", {"of": "data", "name": name}


def factors() -> dict[str, list[Any]]:
    """What is varied in the covering design, with its levels."""
    setup = subject.trees()[""]
    estimates = setup["log_det"]["choices"]["roulette"]
    return {
        "activation": [*setup["activation"]["choices"], *FORMULAS],
        "norms": list(setup["norms"]["choices"]),
        "constraint": list(setup["constraint"]["choices"]),
        "estimator": list(ESTIMATORS),
        "probe": list(estimates["probe"]["choices"]),
        "gradient": list(estimates["gradient"]["choices"]),
        "n_probes": ["1", "3"],
        "n_draws": ["1", "2"],
        "shared": ["False", "True"],
        "hidden_layers": ["1", "2"],
        "blocks": ["2", "3"],
        "width": ["6", "7"],
        "actnorm": ["True", "False"],
        "budget": ["0.8", "0.97"],
        "dim": [2, 3],
        "share": [1.0, 0.3],
        "weighted": [False, True],
    }


def design() -> list[dict[str, Any]]:
    """Cases in which all meet that are to meet. What an estimator does not have, such as the probes of the exact log
    det, meets nothing."""
    rows = few([_counted(row) for row in covering(factors(), _counted)])
    return [_case(row) for row in rows]


def few(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of these rows some in which all meet that meet in any."""
    left, kept = set().union(*map(meetings, rows)), []
    while left:
        kept.append(max(rows, key=lambda row: len(left & meetings(row))))
        left -= meetings(kept[-1])
    return kept


def meetings(row: dict[str, Any]) -> set[frozenset[tuple[str, str]]]:
    """The levels of a row that meet, two by two."""
    levels = [(name, str(level)) for name, level in row.items()]
    levels.append(("kind", ESTIMATORS[row["estimator"]]["log_det"]))
    return {frozenset(pair) for pair in combinations(levels, 2) if counts(*(name for name, _ in pair))}


def counts(name: str, other: str) -> bool:
    """Whether levels of these two factors are to meet."""
    return "activation" not in (name, other) or not {name, other}.isdisjoint(WITH_ACTIVATION)


def _counted(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what its estimator does not have."""
    return {name: row[name] for name in row if name not in BRANCHING or name in settings_of(row["estimator"])}


def estimator_in(link: dict[str, str]) -> dict[str, str]:
    """The part of a link that says the estimator, without what is varied beside it."""
    apart = {f"log_det.{name}" for name in BRANCHING}
    return {name: text for name, text in link.items() if name.startswith("log_det") and name not in apart}


@cache
def settings_of(estimator: str) -> list[str]:
    """The names of an estimator's settings."""
    return list(subject.trees()[""]["log_det"]["choices"][ESTIMATORS[estimator]["log_det"]])


def _case(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the design as a case: its settings as a link."""
    apart = ("dim", "share", "weighted")
    link = {name: row[name] for name in row if name not in ("estimator", *apart, *BRANCHING)}
    link |= ESTIMATORS[row["estimator"]]
    link |= {f"log_det.{name}": row[name] for name in BRANCHING if name in settings_of(row["estimator"])}
    return {"of": "flow", "link": link} | {name: row[name] for name in apart}


def values(case: dict[str, Any]) -> dict[str, np.ndarray | None]:
    """The arrays of a case, flat; None where nothing certifies an inverse."""
    return {"flow": _of_flow, "peer": _of_peer, "hybrid": _of_hybrid, "data": _of_data}[case["of"]](case)


def _of_flow(case: dict[str, Any]) -> dict[str, np.ndarray | None]:
    flow = drawn(subject_flows.flow_of(case["link"], case["dim"]).double(), seed=1, share=case["share"])
    return _of(flow, case["link"], case["dim"], case.get("weighted", False))


def _of_peer(case: dict[str, Any]) -> dict[str, np.ndarray | None]:
    return _of(drawn(subject_flows.peer_of(case["kind"], case["dim"]).double(), seed=1), {}, case["dim"])


def _of(flow: Any, link: dict[str, str], dim: int, weighted: bool = False) -> dict[str, np.ndarray | None]:
    log_prob = subject_flows.log_prob(flow, points(POINTS, dim, seed=2), link, generator(3))
    weights = torch.arange(POINTS) / 100 if weighted else torch.full((POINTS,), 1 / POINTS)
    loss = -(weights.double() * log_prob).sum() + subject_flows.descended_beside(flow)
    return {
        "log_prob": _flat(log_prob),
        "gradient": _gradient(loss, flow),
        "inverse": _flat(subject_flows.inverse(flow, points(SAMPLES, dim, seed=4))),
        "samples": _flat(subject_flows.samples(flow, SAMPLES, generator(5))),
    }


def _of_hybrid(case: dict[str, Any]) -> dict[str, np.ndarray | None]:
    hybrid = drawn(subject_flows.hybrid_of(case["link"], CLASSES).double(), seed=1)
    x, y = points(POINTS, 2, seed=2), torch.arange(POINTS) % CLASSES
    loss = subject_flows.hybrid_loss(hybrid, x, y, case["weight"], case["log_det"], generator(3))
    return {"loss": _flat(loss), "gradient": _gradient(loss, hybrid)}


def _of_data(case: dict[str, Any]) -> dict[str, np.ndarray | None]:
    data = subject_flows.data_sets()[case["name"]]
    found = {"data": _flat(torch.cat([data.sample(POINTS, generator(6)), data.held_out()[:POINTS]]))}
    if data.classes:
        labelled, y = data.sample_labelled(POINTS, generator(6))
        found |= {"labelled": _flat(labelled), "classes": _flat(y)}
    if data.truth:
        found["truth"] = np.append(_flat(data.truth.log_prob(points(POINTS, 2, seed=2))), data.truth.entropy)
    return found


def _gradient(loss: Tensor, model: Any) -> np.ndarray:
    """By all parameters, in the order of their names in saved files."""
    _, parameters = zip(*sorted(model.named_parameters()), strict=True)
    return np.concatenate([_flat(part) for part in torch.autograd.grad(loss, parameters, materialize_grads=True)])


def _flat(part: Tensor | None) -> np.ndarray | None:
    return None if part is None else part.detach().double().flatten().numpy()
