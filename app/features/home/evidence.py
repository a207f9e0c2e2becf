"""The stored run that the home page replays: a flow that learns the checkerboard by the exact log det, and the same one
that trusts a series cut after a few terms."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.local import LocalEngine
from app.engine.reports import Frame
from app.evidence import Evidence, Made
from app.evidence.training import DEVICE, Compiled
from app.quantise import levels, packed, top_of
from app.setup import Setup
from resflow_core import measure
from resflow_core.api import flow_file
from resflow_core.data import DATASETS, Window
from resflow_core.flow import Flow, FlowConfig
from resflow_core.log_det import Exact, LogDet, Truncated
from resflow_core.training.trainer import TrainConfig

NAME = "home"
DATA, TERMS, SEEDS = "checkerboard", 5, 3
FLOW, TRAIN = FlowConfig(blocks=10, budget=0.97), TrainConfig(batch=256, horizon=4096)
STEPS = (
    0,
    10,
    20,
    35,
    50,
    70,
    100,
    130,
    160,
    200,
    250,
    300,
    360,
    430,
    500,
    600,
    700,
    800,
    900,
    1000,
    1100,
    1200,
    1350,
    1500,
)
SMALL_STEPS = (0, 900)
"""Where a part is made."""
GRID = 44
EXACT, CUT = "exact", "cut"
REQUEST = ViewRequest(grid=GRID, ways=False, samples=False)
CELLS, LAST_CELLS = 40, 64
"""On a side of the window in the quadrature of a mass: on the way, and at the end."""


def arms() -> dict[str, Arm]:
    """The two flows, and how each is trained."""
    source = Setup(data=DATA, flow=FLOW, train=TRAIN).source
    log_dets: dict[str, LogDet] = {EXACT: Exact(), CUT: Truncated(TERMS)}
    return {name: Arm(FLOW, replace(TRAIN, log_det=log_det), source) for name, log_det in log_dets.items()}


def make(small: bool) -> Made:
    """The first seed of each of the two in pictures, and how all of them end."""
    dataset = DATASETS[DATA]
    window, truth = dataset.window, dataset.truth
    if truth is None:
        raise ValueError(f"The density of {dataset.title} is not known, and so no entropy.")
    seeds, steps = (1, SMALL_STEPS) if small else (SEEDS, STEPS)
    found, backends = {}, []
    for name, arm in arms().items():
        told = [_told(arm, k, steps, window, with_pictures=k == 0) for k in range(seeds)]
        backends += [one.pop("backend") for one in told]
        first, *_ = told
        ends = {key: [one[key][-1] for one in told] for key in ("true", "bias", "mass")}
        found[name] = first | {"ends": ends}
    return Made(
        {"steps": steps, "entropy": truth.entropy, "window": window, **found},
        {"data": DATA, "terms": TERMS, "flow": repr(FLOW), "train": repr(TRAIN)},
        tuple(range(seeds)),
        "; ".join(dict.fromkeys(backends)),
    )


def _told(arm: Arm, seed: int, steps: Sequence[int], window: Window, *, with_pictures: bool) -> dict[str, Any]:
    """Losses in nats after each of these steps, with pictures and masses on the way or the last mass alone."""
    engine = LocalEngine(float("inf"), Compiled())
    run = engine.create(Experiment((arm,), seed, DEVICE))
    found: dict[str, Any] = {"density": [], "true": [], "bias": [], "mass": []}
    for before, step in pairwise((0, *steps)):
        if step > before:
            engine.step(run, step - before)
        (report,) = engine.poll(run, REQUEST).arms
        loss, frame, saved = report.loss, report.frame, engine.export(run, 0)
        if loss is None or saved is None or not isinstance(frame, Frame):
            raise ValueError("The run ended before it was measured.")
        found["true"].append(float(loss.held_nll[-1]))
        found["bias"].append(float(loss.held_bias[-1]))
        if with_pictures:
            found["density"].append(_density(frame))
        if with_pictures or step == steps[-1]:
            flow = flow_file.from_bytes(saved)
            found["mass"].append(_mass(flow, arm.train.log_det, window, LAST_CELLS if step == steps[-1] else CELLS))
    return found | {"backend": report.fingerprint}


def _density(frame: Frame) -> dict[str, Any]:
    """As levels up to where colours end."""
    top = top_of(frame.density)
    return {"level": packed(levels(frame.density / top, 255).astype(np.uint8)), "top": top}


def _mass(flow: Flow, log_det: LogDet, window: Window, cells: int) -> float:
    """Of the density that training by this log det believes in."""
    return measure.masses(measure.Beliefs(flow, log_det), window, cells)[-1].value


def claims(found: Mapping[str, Any]) -> Mapping[str, bool]:
    """What the switch shows."""
    exact, cut = found[EXACT]["ends"], found[CUT]["ends"]
    believed = np.subtract(cut["true"], cut["bias"])
    return {
        "by the exact log det no seed reports less than the entropy": min(exact["true"]) > found["entropy"],
        "with the cut series every seed reports less than the entropy": believed.max() < found["entropy"],
        "and its true loss is larger than that of the exact one": min(cut["true"]) > max(exact["true"]),
        "and the mass that it believes in is above 1": min(cut["mass"]) > 1.05,
    }


EVIDENCE = {NAME: Evidence(make, claims)}
