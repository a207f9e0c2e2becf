"""Log densities, gradients of the loss, inverses and samples of small flows of every kind, in float64. `values.json`
has the cases, as links say them, and `values.npz` the arrays; a new case is written there by hand, without sizes."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from app.link import read_link
from app.setup import Setup
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.flow import Flow, Uncertified
from resflow_core.hybrid import HybridConfig
from resflow_core.norms.norm_orders import order_loss
from tests.golden.stored import FOLDER, load, save

INDEX, ARRAYS = "values.json", FOLDER / "values.npz"
POINTS, SAMPLES, CLASSES = 16, 8, 3
STEEP, BY = 1.5, 0.4
"""Entries of a matrix lie within STEEP / sqrt(columns), so that its norm is above a cap of 1; all others within BY."""

Arrays = dict[str, np.ndarray | None]


def make() -> None:
    file, arrays = load(INDEX), {}
    for case in file["cases"].values():
        found = values(case)
        case["sizes"] = {name: None if part is None else len(part) for name, part in found.items()}
        for name, part in found.items():
            arrays.setdefault(name, []).append(np.empty(0) if part is None else part)
    save(INDEX, file | {"torch": torch.__version__})
    np.savez_compressed(ARRAYS, **{name: np.concatenate(parts) for name, parts in sorted(arrays.items())})


def stored() -> dict[str, tuple[dict[str, Any], Arrays]]:
    """Every stored case with its arrays."""
    with np.load(ARRAYS) as file:
        arrays = dict(file)
    ends, found = dict.fromkeys(arrays, 0), {}
    for label, case in load(INDEX)["cases"].items():
        parts: Arrays = {}
        for name, size in case["sizes"].items():
            parts[name] = None if size is None else arrays[name][ends[name] : ends[name] + size]
            ends[name] += size or 0
        found[label] = case, parts
    return found


def settings(link: dict[str, str]) -> Setup:
    """A link that is not refused anything. Raises ValueError."""
    found = read_link(link)
    if found.refused:
        raise ValueError(" ".join(found.refused))
    return found.setup


def values(case: dict[str, Any]) -> Arrays:
    """The arrays of a case, flat; None where nothing certifies an inverse."""
    return {"flow": _of_flow, "peer": _of_peer, "hybrid": _of_hybrid, "data": _of_data}[case["of"]](case)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(n: int, dim: int, seed: int) -> Tensor:
    """n points in a cube, float64: the same on every processor."""
    return 4 * torch.rand(n, dim, generator=generator(seed), dtype=torch.float64) - 2


@torch.no_grad()
def _drawn(model: nn.Module, share: float = 1.0) -> nn.Module:
    """The model in float64 with all parameters drawn anew, by their names in order: what begins at 0 matters too."""
    draws = generator(1)
    for _, parameter in sorted(model.double().named_parameters()):
        most = STEEP * parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else BY
        parameter.copy_(share * most * (2 * torch.rand(parameter.shape, generator=draws, dtype=torch.float64) - 1))
    return model


def _of_flow(case: dict[str, Any]) -> Arrays:
    flow = replace(settings(case["link"]).flow, dim=case["dim"]).build(generator(0))
    return _of(_drawn(flow, case["share"]), case["link"], case["dim"], case.get("weighted", False))


def _of_peer(case: dict[str, Any]) -> Arrays:
    peer = BaselineConfig(case["kind"], transforms=3, width=6, dim=case["dim"]).build(generator(0))
    return _of(_drawn(peer), {}, case["dim"])


def _of(flow: Any, link: dict[str, str], dim: int, weighted: bool = False) -> Arrays:
    log_prob = flow.log_prob(points(POINTS, dim, seed=2), settings(link).train.log_det, generator(3))
    weights = torch.arange(POINTS) / 100 if weighted else torch.full((POINTS,), 1 / POINTS)
    loss = -(weights.double() * log_prob).sum() + order_loss(flow.branches if isinstance(flow, Flow) else [])
    found = {"log_prob": _flat(log_prob), "gradient": _gradient(loss, flow)}
    try:
        z = points(SAMPLES, dim, seed=4)
        return found | {"inverse": _flat(flow.inverse(z)), "samples": _flat(flow.sample(SAMPLES, generator(5)))}
    except Uncertified:
        return found | {"inverse": None, "samples": None}


def _of_hybrid(case: dict[str, Any]) -> Arrays:
    flow = None if case["link"] is None else settings(case["link"]).flow
    hybrid = _drawn(HybridConfig(flow, CLASSES, width=5).build(generator(0)))
    x, y = points(POINTS, 2, seed=2), torch.arange(POINTS) % CLASSES
    loss = hybrid.losses(x, y, case["weight"], settings(case["log_det"]).train.log_det, generator(3))[0]
    return {"loss": _flat(loss), "gradient": _gradient(loss, hybrid)}


def _of_data(case: dict[str, Any]) -> Arrays:
    data = DATASETS[case["name"]]
    found = {"data": _flat(torch.cat([data.sample(POINTS, generator(6)), data.held_out()[:POINTS]]))}
    if data.classes:
        labelled, y = data.sample_labelled(POINTS, generator(6))
        found |= {"labelled": _flat(labelled), "classes": _flat(y)}
    if data.truth:
        found["truth"] = _flat(data.truth.log_prob(points(POINTS, 2, seed=2)))
    return found


def _gradient(loss: Tensor, model: Any) -> np.ndarray:
    """By all parameters, in the order of their names in saved files."""
    _, parameters = zip(*sorted(model.named_parameters()), strict=True)
    return np.concatenate([_flat(part) for part in torch.autograd.grad(loss, parameters, materialize_grads=True)])


def _flat(part: Tensor) -> np.ndarray:
    return part.detach().double().flatten().numpy()
