"""The stored answer to "can it be undone?": from which s on the blocks of trained flows fold, and what it costs.

The first flow is the one that comes with the project, so that the page can walk through it; the others differ from it
in their seed alone.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app import examples
from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.local import LocalEngine
from app.engine.reports import State
from app.evidence import Evidence, Made
from app.evidence.training import DEVICE, Compiled, backend_of
from app.features.lipschitz import answers
from app.features.lipschitz.walk import example
from resflow_core import measure
from resflow_core.api import flow_file
from resflow_core.data import DATASETS, Dataset
from resflow_core.flow import Flow, FlowConfig
from resflow_core.log_det import Exact
from resflow_core.measure import Beliefs, Inversion
from resflow_core.training.trainer import TrainConfig

NAME = "lipschitz-folds"
STEPS, SEEDS = 4_000, 3
SMALL_STEPS, SMALL_FLOW = 500, FlowConfig(blocks=8)
SCALES = tuple(float(f"{10 ** (k / 30):.3g}") for k in range(-9, 36))
"""That the mass is measured at, and the page walks through: 0.5 to 14.7, 30 a decade."""
CELLS = 128
"""On a side of the window in the quadrature of the mass."""


def make(small: bool) -> Made:
    dataset = DATASETS[examples.DATA]
    config, steps, seeds = (SMALL_FLOW, SMALL_STEPS, [1]) if small else (FlowConfig(), STEPS, range(1, SEEDS))
    others, backend = _trained(config, steps, list(seeds))
    flows = others if small else [example(), *others]
    found = [folds(flow, dataset) for flow in flows]
    return Made(
        {"flows": found, "walk": _walked(flows[0], found[0], dataset, () if small else SCALES)},
        {
            "data": examples.DATA,
            "steps": steps,
            "arm": repr(Arm(config, TrainConfig(), examples.DATA)),
            "first": "seed 1" if small else f"app/examples/{examples.NAME}",
            "points": ViewRequest().points,
        },
        tuple(seeds) if small else tuple(range(SEEDS)),
        backend,
    )


def _trained(config: FlowConfig, steps: int, seeds: list[int]) -> tuple[list[Flow], str]:
    """A flow from each seed, as pages train them, and what computed them. Raises RuntimeError where one failed."""
    engine, request = LocalEngine(math.inf, Compiled()), ViewRequest(frames=False)
    arms = tuple(Arm(config, TrainConfig(), examples.DATA, seed=seed) for seed in seeds)
    run = engine.create(Experiment(arms, 0, DEVICE))
    engine.poll(run, request)
    engine.step(run, steps)
    report = engine.poll(run, request)
    if report.state is not State.PAUSED or any(arm.step != steps for arm in report.arms):
        raise RuntimeError(f"{report.state}: {report.message}")
    files = [engine.export(run, k) for k in range(len(arms))]
    return [flow_file.from_bytes(file) for file in files if file], backend_of(report.arms)


def folds(flow: Flow, dataset: Dataset) -> dict[str, Any]:
    """Where each block folds; and of the block in the middle of them, scaled to twice that, how many x one z has, and
    the mass."""
    breaking = _inversion(flow, dataset, None, 1.0).breaking
    block = int(np.argsort(breaking)[(len(breaking) - 1) // 2])
    folds_at = float(breaking[block])
    at = answers.stops(1 / flow.blocks[block].branch.lipschitz, folds_at)[-1]
    twice = _inversion(flow, dataset, block, at)
    mass = _mass(flow, dataset, block, at)
    return {
        "guaranteed": 1 / flow.blocks[block].branch.lipschitz,
        "folds_at": breaking,
        "block": block,
        "window": twice.window,
        "z": twice.z,
        "preimages": len(twice.preimages),
        "mass": [mass.value, mass.error],
    }


def _inversion(flow: Flow, dataset: Dataset, block: int | None, scale: float) -> Inversion:
    points = dataset.held_out()[: ViewRequest().points]
    return measure.inversion(flow, points, block, scale, None, "newton")


def _mass(flow: Flow, dataset: Dataset, block: int, scale: float) -> measure.Mass:
    beliefs = Beliefs(flow.scaled(block, scale), Exact())
    return measure.masses(beliefs, dataset.window, CELLS)[0]


def _walked(flow: Flow, found: Mapping[str, Any], dataset: Dataset, scales: Sequence[float]) -> dict[str, Any]:
    """The mass at all scales that the page can walk through."""
    at = sorted({*scales, *answers.stops(found["guaranteed"], float(found["folds_at"][found["block"]]))})
    masses = [_mass(flow, dataset, found["block"], scale) for scale in at]
    return {"scales": at, "mass": [mass.value for mass in masses], "error": [mass.error for mass in masses]}


EVIDENCE = {NAME: Evidence(make, lambda found: answers.claims(answers.read(found)))}
