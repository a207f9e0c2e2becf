"""What a density costs a classifier, in the plane and beyond it: residual flows beside coupling flows of as nearly as
many parameters, which are affine or made of splines, and keep fixed halves of the coordinates or learn rotations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from app.evidence import Made
from app.evidence.training import one_thread
from app.features.paper.rotated import Rotated
from app.features.paper.written import Written
from resflow_core import measure
from resflow_core.baselines.coupling import CouplingConfig
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Exact, Roulette
from resflow_core.training.parameter_count import parameter_count
from resflow_core.training.trainer import HybridTrainConfig, Trainer

RESIDUAL = "Residual flow"
PEERS = {
    "RealNVP": CouplingConfig("affine", rotated=False, transforms=8),
    "RealNVP with rotations": CouplingConfig("affine", transforms=8),
    "Spline coupling with rotations": CouplingConfig("spline", transforms=4),
}
"""In the shapes that they are matched in. The paper's peers are coupling flows without and with 1 x 1 convolutions."""
PEER_WIDTHS = range(2, 200)
WEIGHTS = (0.0, 1.0)
"""Of the density."""
TRAIN = HybridTrainConfig(batch=256)
IMAGES = replace(TRAIN, log_det=Roulette(probe="rademacher", gradient="neumann"), batch=128, weight_decay=1.0)
"""As the digits' density is trained elsewhere: with all terms the log det takes longer than the rest of a step."""
SMALL_STEPS = 60


@dataclass(frozen=True)
class Case:
    """`data` makes the data of a seed; a peer is trained as `train` says, but for the log det, which it has exactly."""

    title: str
    data: Callable[[int], Any]
    flow: FlowConfig
    train: HybridTrainConfig
    steps: int
    seeds: int
    told: int | None = None
    """Points of a batch whose classes are told, always the same ones; None for all."""


CASES: Mapping[str, Case] = {
    "plane": Case(
        "checkerboard in the plane",
        lambda seed: Rotated("checkerboard", dim=2),
        FlowConfig(blocks=10),
        TRAIN,
        steps=600,
        seeds=3,
    ),
    "eight": Case(
        "noisy moons among noise", lambda seed: Rotated(dim=8), FlowConfig(blocks=8, dim=8), TRAIN, steps=500, seeds=3
    ),
    "sixteen": Case(
        "the same among more noise",
        lambda seed: Rotated(dim=16),
        FlowConfig(blocks=8, dim=16),
        TRAIN,
        steps=300,
        seeds=3,
    ),
    "told": Case(
        "noisy moons with few labels",
        lambda seed: Rotated(dim=8, told=10, seed=seed),
        FlowConfig(blocks=8, dim=8),
        TRAIN,
        steps=300,
        seeds=3,
        told=10,
    ),
    "digits": Case(
        "digits of ten classes",
        Written,
        FlowConfig(blocks=8, width=64, budget=0.97, dim=64),
        IMAGES,
        steps=200,
        seeds=3,
    ),
}


def make(small: bool) -> Made:
    """All cases, or a part of the first."""
    names = list(CASES)[: 1 if small else None]
    return made({name: measured(CASES[name], small) for name in names})


def made(found: Mapping[str, Any]) -> Made:
    """With what made it."""
    cases = {name: CASES[name] for name in found}
    settings = {
        "weights": WEIGHTS,
        "cases": {
            name: {
                "title": case.title,
                "dim": case.flow.dim,
                "steps": case.steps,
                "told": case.told,
                "seeds": case.seeds,
                "points": len(case.data(0).judged[0]),
                "flows": {family: repr(flow) for family, flow in flows(case).items()},
                "train": repr(case.train),
            }
            for name, case in cases.items()
        },
    }
    seeds = tuple(range(max(case.seeds for case in cases.values())))
    return Made(found, settings, seeds, f"torch {torch.__version__}, one thread")


def measured(case: Case, small: bool = False) -> dict[str, Any]:
    """Of every family its parameters, and by the weight what came of each seed."""
    steps, seeds = (SMALL_STEPS, 1) if small else (case.steps, case.seeds)
    with one_thread():
        return {
            family: {
                "parameters": parameter_count(HybridConfig(flow, len(case.data(0).classes))),
                "by_weight": {
                    f"{weight:g}": [run(case, family, weight, seed, steps) for seed in range(seeds)]
                    for weight in WEIGHTS
                },
            }
            for family, flow in flows(case).items()
        }


def flows(case: Case) -> dict[str, Any]:
    """The residual flow, and each peer with the width that brings its size nearest."""
    wanted = parameter_count(case.flow)
    peers = {
        name: min(
            (replace(peer, width=width, dim=case.flow.dim) for width in PEER_WIDTHS),
            key=lambda one: abs(parameter_count(one) - wanted),
        )
        for name, peer in PEERS.items()
    }
    return {RESIDUAL: case.flow, **peers}


def run(case: Case, family: str, weight: float, seed: int, steps: int) -> dict[str, float]:
    """Accuracy in per cent, -log p(y|x) and -log p(x) in nats at the points that nobody was trained on."""
    data, flow = case.data(seed), flows(case)[family]
    train = replace(case.train, weight=weight, horizon=max(steps, 64))
    if family != RESIDUAL:
        train = replace(train, log_det=Exact())
    config = HybridConfig(flow, len(data.classes))
    trainer = Trainer(config, train, data, seed, exact_losses=train.log_det == Exact())
    for _ in range(steps):
        trainer.step()
    x, y = data.judged
    model: Any = trainer.evaluated_model
    with torch.no_grad():
        found = measure.classification(measure.log_class_probs(model, x), y)
        nll = -float(measure.log_prob(trainer.evaluated, x).double().mean())
    return {"accuracy": 100 * found.accuracy.value, "class_nll": found.nll.value, "nll": nll}
