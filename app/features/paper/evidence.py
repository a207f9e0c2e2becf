"""The stored answers that this page alone needs: that a flow is a density and can be undone, and what the norms of its
layers change. The flows are trained as pages train them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.local import LocalEngine
from app.engine.reports import ArmReport, State
from app.evidence import Evidence, Made
from app.evidence.training import DEVICE, Compiled, backend_of, one_thread, trained
from app.features.paper import joint, noise, verdicts
from app.features.paper.causes import RATE, SIZE, Sheared
from app.setup import Setup
from resflow_core import measure
from resflow_core.api import flow_file
from resflow_core.data import DATASETS, Dataset
from resflow_core.flow import Flow, FlowConfig
from resflow_core.lipschitz import NORM_CHAINS
from resflow_core.log_det import Exact
from resflow_core.measure import Beliefs
from resflow_core.training.trainer import TrainConfig, Trainer

LIKELIHOOD, NORMS, ROOM, JOINT = "paper-likelihood", "paper-norms", "paper-room", "paper-joint"
SETUP = Setup(data="checkerboard", flow=FlowConfig(blocks=10, budget=0.97), train=TrainConfig(batch=256, horizon=4096))
STEPS, SEEDS = 1_500, 3
SMALL_STEPS, SMALL_NORM_STEPS, SMALL_ROOM_STEPS = 300, 60, 250
POINTS, CELLS = 1_000, 96
"""Held-out points that go there and back, and cells on a side of the window in the quadrature of the mass."""
NORM_SETS, NORM_STEPS = ("checkerboard", "pinwheel"), 500
ROOM_FLOW, ROOM_TRAIN, ROOM_STEPS = FlowConfig(blocks=1, budget=0.97), TrainConfig(batch=256, horizon=512), 400
ROOM_CHAINS = tuple(NORM_CHAINS)
REQUEST = ViewRequest(frames=False)


def make_likelihood(small: bool) -> Made:
    """Flows trained by maximum likelihood with the exact log det: how near they come to the truth, the mass of their
    densities, and how far a point is from where it comes back to."""
    steps, seeds, dataset = SMALL_STEPS if small else STEPS, 1 if small else SEEDS, DATASETS[SETUP.data]
    engine = LocalEngine(math.inf, Compiled())
    arms = tuple(Arm(SETUP.flow, SETUP.train, SETUP.data, seed=seed) for seed in range(seeds))
    run = engine.create(Experiment(arms, 0, DEVICE))
    engine.poll(run, REQUEST)
    engine.step(run, steps)
    report = engine.poll(run, REQUEST)
    if report.state is not State.PAUSED or any(arm.step != steps for arm in report.arms):
        raise RuntimeError(f"{report.state}: {report.message}")
    files = [engine.export(run, k) for k in range(seeds)]
    flows = [flow_file.from_bytes(file) for file in files if file]
    found = [_last(arm) | undone(flow, dataset) for arm, flow in zip(report.arms, flows, strict=True)]
    return Made(
        {"entropy": _entropy(dataset), "normal_kl": _normal_kl(dataset), "flows": found},
        {"data": SETUP.data, "steps": steps, "points": POINTS, "flow": repr(SETUP.flow), "train": repr(SETUP.train)},
        tuple(range(seeds)),
        backend_of(report.arms),
    )


def _entropy(dataset: Dataset) -> float:
    """In nats. Raises ValueError where the density is not known."""
    if dataset.truth is None:
        raise ValueError(f"{dataset.title} has no known density: use a set that has one.")
    return dataset.truth.entropy


def _normal_kl(dataset: Dataset) -> float:
    """The KL of the normal law with the mean and the covariance of the held-out points, which is the best: its entropy
    less that of the data."""
    covariance = torch.cov(dataset.held_out().double().T)
    return float(0.5 * torch.logdet(2 * math.pi * math.e * covariance)) - _entropy(dataset)


def _last(arm: ArmReport) -> dict[str, float]:
    """The newest held-out numbers, in nats, with standard errors."""
    loss: Any = arm.loss
    return {name: float(getattr(loss, f"held_{name}")[-1]) for name in ("nll", "se", "kl", "kl_se")}


@torch.no_grad()
def undone(flow: Flow, dataset: Dataset) -> dict[str, Any]:
    """The mass, and the largest distance between a point and its way back through the flow, in float64."""
    masses = measure.masses(Beliefs(flow, Exact()), dataset.window, CELLS)
    x = dataset.held_out()[:POINTS].double()
    exact = flow.double()
    back = exact.inverse(exact(x))
    return {
        "mass": [masses[0].value, masses[0].error],
        "back": float((back - x).norm(dim=1).max()),
        "lipschitz": max(block.branch.lipschitz for block in exact.blocks),
    }


def make_norms(small: bool) -> Made:
    """Flows that differ in the norms of their layers alone, on several sets."""
    steps, seeds = (SMALL_NORM_STEPS, 1) if small else (NORM_STEPS, SEEDS)
    sets = NORM_SETS[:1] if small else NORM_SETS
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    reports: list[ArmReport] = []
    for data in sets:
        found[data] = {}
        for chain in NORM_CHAINS:
            arms = trained(norm_arms(chain, data, range(seeds)), steps, REQUEST)
            reports += arms
            found[data][chain] = [_last(arm) for arm in arms]
    return Made(
        found,
        {"sets": sets, "steps": steps, "flow": repr(SETUP.flow), "train": repr(SETUP.train)},
        tuple(range(seeds)),
        backend_of(reports),
    )


def norm_arms(chain: str, data: str, seeds: Sequence[int]) -> list[Arm]:
    """The flow with this chain of norms, a seed each."""
    return [Arm(replace(SETUP.flow, norms=chain), SETUP.train, data, seed=seed) for seed in seeds]


def make_room(small: bool) -> Made:
    """Flows of one block under some chains of norms, with ActNorms and without, on data that another norm than 2 has
    more room for."""
    steps, seeds = (SMALL_ROOM_STEPS, 1) if small else (ROOM_STEPS, SEEDS)
    sets = [Sheared(cause) for cause in (True, False)]
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    with one_thread():
        for data in sets:
            found[data.title] = {}
            for actnorm in (False,) if small else (False, True):
                found[data.title]["with" if actnorm else "without"] = {
                    chain: [room_kl(data, chain, actnorm, seed, steps) for seed in range(seeds)]
                    for chain in ROOM_CHAINS
                }
    settings = {
        "dim": sets[0].dim,
        "steps": steps,
        "blocks": ROOM_FLOW.blocks,
        "slope": SIZE * RATE,
        "flow": repr(ROOM_FLOW),
        "train": repr(ROOM_TRAIN),
        "points": len(sets[0].held_out()),
    }
    return Made(found, settings, tuple(range(seeds)), f"torch {torch.__version__}, one thread")


def room_kl(data: Sheared, chain: str, actnorm: bool, seed: int, steps: int) -> float:
    """KL(data || flow) in nats at held-out points, after so many steps."""
    flow = replace(ROOM_FLOW, norms=chain, actnorm=actnorm, dim=data.dim)
    trainer = Trainer(flow, ROOM_TRAIN, data, seed)
    for _ in range(steps):
        trainer.step()
    x = data.held_out()
    with torch.no_grad():
        return float((data.log_prob(x) - trainer.evaluated.log_prob(x).double()).mean())


EVIDENCE = {
    LIKELIHOOD: Evidence(make_likelihood, lambda found: _is_density(found)),
    NORMS: Evidence(make_norms, lambda found: _are_measured(found)),
    ROOM: Evidence(make_room, lambda found: _another_norm_is_ahead(found)),
    JOINT: Evidence(joint.make, lambda found: _are_classified(found)),
    noise.NAME: Evidence(noise.make, noise.claims),
}


def _is_density(found: Mapping[str, Any]) -> Mapping[str, bool]:
    return {
        "every mass is 1": all(verdicts.is_one(one["mass"][0]) for one in found["flows"]),
        "every point comes back to where it was": all(one["back"] < verdicts.BACK for one in found["flows"]),
    }


def _are_measured(found: Mapping[str, Any]) -> Mapping[str, bool]:
    """Every verdict has its own words, so only that all is measured is claimed."""
    kls = [one["kl"] for of in found.values() for arms in of.values() for one in arms]
    return {"every flow has a fit that is a number": bool(kls) and bool(np.isfinite(kls).all())}


def _another_norm_is_ahead(found: Mapping[str, Any]) -> Mapping[str, bool]:
    return {
        f"{data}, without ActNorms: the flows with the norm that has more room come nearer": max(
            found[data]["without"][chain]
        )
        < min(found[data]["without"]["2"])
        for data, chain in (("One cause", "inf"), ("One effect", "1"))
    }


def _are_classified(found: Mapping[str, Any]) -> Mapping[str, bool]:
    """Every verdict has its own words, so only that all is measured is claimed."""
    runs = [
        run for flows in found.values() for of in flows.values() for runs in of["by_weight"].values() for run in runs
    ]
    return {"every accuracy is a share of points": bool(runs) and all(0 <= run["accuracy"] <= 100 for run in runs)}
