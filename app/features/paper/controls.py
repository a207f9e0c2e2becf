"""Negative controls: what each rule says of something for which its claim is false. It must say neither "shows" nor "in
part".

Where flows are compared, all are of one kind from twelve seeds each, and only their names differ.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm
from app.engine.reports import ArmReport
from app.engine.training.measurements.activity import Activity
from app.evidence import Evidence, Made, stored
from app.evidence.training import one_thread, trained
from app.features.paper import joint
from app.features.paper.causes import Sheared
from app.features.paper.claims import CLAIMS
from app.features.paper.compared import CHANCE
from app.features.paper.evidence import SETUP, room_kl, undone
from app.features.paper.found import Found, Kind
from app.features.paper.told import last
from app.ui.bands import grouped
from resflow_core import measure
from resflow_core.data import DATASETS, Dataset
from resflow_core.estimators.faulty_estimators import draw_estimates
from resflow_core.flow import Flow, FlowConfig
from resflow_core.log_det import Truncated
from resflow_core.norms.constraints import Off
from resflow_core.roulette import Geometric
from resflow_core.training.trainer import TrainConfig, Trainer

NAME = "paper-controls"
FLOW, TRAIN, STEPS, ROOM_STEPS, JOINT_STEPS = FlowConfig(blocks=4, width=16), TrainConfig(batch=128), 200, 60, 60
SEEDS, FEW_SEEDS = 12, 3
"""Of flows that are compared, and of those that are held against a truth."""
SMALL_STEPS, SMALL_SEEDS = 20, 6
LAW, MORE_DRAWS = Geometric(0.5, 1), 10
"""Of the stored draws; and how many times as many show that weights are missing, which they do by 4 standard errors."""
DRAWN = ViewRequest(frames=False)
Changed = Mapping[str, Mapping[str, Any]]
"""By the evidence of a claim: what its `found`, `settings` and `seeds` are instead."""


@dataclass(frozen=True)
class Control:
    """`says` what it is; `make` measures it, from so many seeds and for so many steps."""

    says: str
    make: Callable[[int, int], Changed]


@cache
def verdict(name: str) -> Found:
    """Of the claim of this name, on its stored control."""
    return judged(name, stored(NAME).found[name])


def sentence(name: str) -> str:
    """What the control of a claim is, and what the rule says of it. Where flows are compared it has more seeds than the
    claim, and what chance says of so many stands here, too."""
    found = verdict(name)
    says, kind = CONTROLS[name].says, found.kind.value.lower()
    if found.chance != CHANCE:
        return f"{says}: {kind}."
    return f"{says}, from {found.numbers['rule_seeds']} seeds: {kind}. I{found.chance[1:].format(**found.numbers)}"


def judged(name: str, changed: Changed) -> Found:
    """The verdict of the claim of this name on what is `changed`."""
    given = []
    for one in map(stored, CLAIMS[name].evidence):
        instead = changed.get(one.name, {})
        given.append(
            replace(
                one,
                found={**one.found, **instead.get("found", {})},
                settings={**one.settings, **instead.get("settings", {})},
                seeds=tuple(instead.get("seeds", one.seeds)),
            )
        )
    return CLAIMS[name].judge(*given)


def _alike(names: Sequence[str], arm: Arm, seeds: int, steps: int, measured: Mapping[str, str]) -> dict[str, Any]:
    """Under each name as many flows of the one kind, whose seeds no other name has."""
    arms = [replace(arm, seed=seed) for seed in range(seeds * len(names))]
    reports = trained(arms, steps, replace(DRAWN, measured=measured))
    return grouped(names, reports, seeds)


def _curve(reports: Sequence[ArmReport], curve: str) -> list[dict[str, Any]]:
    """Of each seed the newest value, as it is stored."""
    return [{"curves": {curve: [float(getattr(report.loss, curve)[-1])]}} for report in reports]


def untrained(seeds: int, steps: int) -> Changed:
    dataset, flows = SETUP.dataset, []
    for seed in range(FEW_SEEDS):
        flow: Any = Trainer(SETUP.flow, SETUP.train, dataset, seed).flow
        flows.append(_gap(flow, dataset) | undone(flow, dataset))
    return {"paper-likelihood": {"found": {"flows": flows}, "settings": {"steps": 0}, "seeds": [*range(FEW_SEEDS)]}}


@torch.no_grad()
def _gap(flow: Flow, dataset: Dataset) -> dict[str, float]:
    """KL(data || flow) at held-out points, in nats."""
    x, truth = dataset.held_out().double(), dataset.truth
    if truth is None:
        raise ValueError(f"{dataset.title} has no known density: use a set that has one.")
    found = measure.kl(truth.log_prob(x), flow.double().log_prob(x))
    return {"kl": found.value, "kl_se": found.standard_error}


def unbounded(seeds: int, steps: int) -> Changed:
    dataset = DATASETS[stored("lipschitz-folds").settings["data"]]
    found = []
    for seed in range(FEW_SEEDS):
        trainer = Trainer(replace(FLOW, constraint=Off()), TRAIN, dataset, seed)
        for _ in range(STEPS):  # after a few it would not fold yet
            trainer.step()
        flow: Any = trainer.flow
        points = dataset.held_out()[: DRAWN.points]
        breaking = measure.inversion(flow, points, None, 1.0, None, "newton").breaking
        found.append({"guaranteed": 1 / FLOW.budget, "folds_at": breaking})
    return {"lipschitz-folds": {"found": {"flows": found}, "settings": {"steps": STEPS}, "seeds": [*range(FEW_SEEDS)]}}


def one_budget(seeds: int, steps: int) -> Changed:
    name = "compare-expressive"
    arm = Arm(FLOW, replace(TRAIN, log_det=Truncated(5)), stored(name).settings["data"])
    alike = _alike([*stored(name).found], arm, seeds, steps, {})
    found = {label: _curve(reports, "held_bias") for label, reports in alike.items()}
    return {name: {"found": found, "settings": {"steps": steps}, "seeds": [*range(seeds)]}}


def unweighted(seeds: int, steps: int) -> Changed:
    drawn = stored("estimator-by-hand")
    if repr(LAW) != drawn.settings["law"]:
        raise ValueError(f"The stored draws have {drawn.settings['law']}, and not {LAW}: use the same law.")
    matrix, n = np.reshape(drawn.settings["matrix"], (2, 2)), MORE_DRAWS * int(drawn.found["draws"][-1])
    draws = [draw_estimates("no_weights", matrix, LAW, drawn.settings["probe"], n, seed) for seed in drawn.seeds]
    return {drawn.name: {"found": {"means": [[float(np.mean(of.value))] for of in draws], "draws": [n]}}}


def one_way(seeds: int, steps: int) -> Changed:
    found = stored("dimensions-memory").found["bytes"]
    alike = {rows: of | {"neumann": of["plain"], "in_forward": of["plain_in_forward"]} for rows, of in found.items()}
    return {"dimensions-memory": {"found": {"bytes": alike}}}


def one_activation(seeds: int, steps: int) -> Changed:
    name = "activations-saturation"
    arm = Arm(replace(FLOW, activation="elu"), TRAIN, stored(name).settings["data"])
    found = {}
    for label, reports in _alike([*stored(name).found], arm, seeds, steps, {"activity": "all"}).items():
        counted = [report.found(Activity).saturation for report in reports]
        shares = [{"saturated": one.overall, "straight": one.straight} for one in counted]
        found[label] = [a | b for a, b in zip(_curve(reports, "held_kl"), shares, strict=True)]
    return {name: {"found": found, "settings": {"steps": steps}, "seeds": [*range(seeds)]}}


def one_norm(seeds: int, steps: int) -> Changed:
    plane, room, room_steps = stored("paper-norms"), stored("paper-room"), min(steps, ROOM_STEPS)
    in_plane = {}
    for data, chains in plane.found.items():
        alike = _alike([*chains], Arm(FLOW, TRAIN, data), seeds, steps, {})
        in_plane[data] = {
            chain: [{"kl": kl} for kl in last(_curve(of, "held_kl"), "held_kl")] for chain, of in alike.items()
        }
    outside = {}
    with one_thread():
        for sheared in map(Sheared, (True, False)):
            chains = room.found[sheared.title]["without"]
            outside[sheared.title] = {
                "without": {
                    chain: [room_kl(sheared, "2", False, seeds * k + seed, room_steps) for seed in range(seeds)]
                    for k, chain in enumerate(chains)
                }
            }
    return {
        "paper-norms": {"found": in_plane, "settings": {"steps": steps}, "seeds": [*range(seeds)]},
        "paper-room": {"found": outside, "settings": {"steps": room_steps}, "seeds": [*range(seeds)]},
    }


def one_kind(seeds: int, steps: int) -> Changed:
    changed = {}
    for one in map(stored, CLAIMS["density"].evidence):
        alike = _alike([*one.found], Arm(FLOW, TRAIN, one.settings["data"]), seeds, steps, {})
        found = {label: _curve(reports, "held_kl") for label, reports in alike.items()}
        changed[one.name] = {"found": found, "settings": {"steps": steps}, "seeds": [*range(seeds)]}
    return changed


def one_hybrid(seeds: int, steps: int) -> Changed:
    name, steps = "paper-joint", min(steps, JOINT_STEPS)
    told = stored(name).settings["cases"]
    first = next(iter(told))
    case = replace(joint.CASES[first], flow=FLOW, steps=steps, seeds=seeds)
    with one_thread():
        found = {
            family: {
                "by_weight": {
                    f"{weight:g}": [
                        joint.run(case, joint.RESIDUAL, weight, seeds * k + seed, steps) for seed in range(seeds)
                    ]
                    for weight in joint.WEIGHTS
                }
            }
            for k, family in enumerate(stored(name).found[first])
        }
    cases = {first: told[first] | {"seeds": seeds, "steps": steps}}
    return {name: {"found": {first: found}, "settings": {"cases": cases}, "seeds": [*range(seeds)]}}


CONTROLS: Mapping[str, Control] = {
    "likelihood": Control("flows that were not trained", untrained),
    "lipschitz": Control("flows without any bound, judged as if they had one", unbounded),
    "bias": Control("the same L under all names", one_budget),
    "roulette": Control("the estimate without its weights", unweighted),
    "memory": Control("the terms one by one, under both names", one_way),
    "saturation": Control("ELU under both names", one_activation),
    "norms": Control("the usual norm under all names", one_norm),
    "density": Control("residual flows under all names", one_kind),
    "joint": Control("residual flows under all names, in the plane", one_hybrid),
}
"""By the claim."""


def make(small: bool) -> Made:
    """All controls."""
    seeds, steps = (SMALL_SEEDS, SMALL_STEPS) if small else (SEEDS, STEPS)
    found = {name: control.make(seeds, steps) for name, control in CONTROLS.items()}
    settings = {"steps": steps, "flow": repr(FLOW), "train": repr(TRAIN)}
    return Made(found, settings, tuple(range(seeds)), f"torch {torch.__version__}")


def _fail(found: Mapping[str, Any]) -> Mapping[str, bool]:
    return {
        f"{name}: {CONTROLS[name].says} do not show": judged(name, changed).kind not in (Kind.SHOWS, Kind.IN_PART)
        for name, changed in found.items()
    }


EVIDENCE = {NAME: Evidence(make, _fail)}
