"""The loss of each step of training, in float32, of presets, ready-made comparisons and each way to train."""

from collections.abc import Iterator
from typing import Any

import torch

from tests.golden import subject, subject_flows
from tests.golden.stored import load, save

NAME = "losses.json"
PRESET_STEPS, STEPS, FEW = 50, 20, 5
SEED = 3
TOLERANCES = ((20, 1e-5), (30, 1e-4), (40, 2e-2), (50, 1e-1))
"""Of a loss, up to a step. Other instruction sets (`ATEN_CPU_CAPABILITY=default`, `MKL_ENABLE_INSTRUCTIONS=SSE4_2`)
moved losses by at most 4e-7 in 20 steps; later only those of the fine preset by more than 2e-5: by 1e-5 at step 30,
4e-3 at 40, 2e-2 at 50."""
TINY = {"blocks": "4", "width": "16", "batch": "128", "data": "pinwheel"}
WAYS: dict[str, dict[str, str]] = {
    "learned norms": {"norms": "learned"},
    "mixed norms": {"norms": "mixed"},
    "power iteration": {"constraint": "power"},
    "orthonormal": {"constraint": "bjorck"},
    "hard": {"constraint": "hard"},
    "no constraint": {"constraint": "off"},
    "deep": {"hidden_layers": "3", "activation": "lipswish"},
    "decay and clip": {"weight_decay": "0.5", "clip": "0.5", "warmup": "0"},
    "constant": {"schedule": "constant"},
    "inverse square root": {"schedule": "inverse square root", "horizon": "64"},
    "Poisson": {"log_det": "roulette", "log_det.law": "poisson", "log_det.probe": "sphere", "log_det.n_draws": "3"},
    "shared N": {"log_det": "roulette", "log_det.shared": "True", "log_det.gradient": "in_forward"},
    "a formula": {"activation": "=sin(2*z)/2 + z/4"},
}
COMPARED = {
    "joint": {
        "data": "noisymoons",
        "joint.seeds": "1",
        "joint.width": "8",
        "blocks": "4",
        "width": "16",
        "batch": "128",
    },
    "digits": {"dimensions.start": "scratch"},
}


def make() -> None:
    """Links that are stored stay."""
    try:
        kept = {label: case for label, case in load(NAME)["cases"].items()}
    except FileNotFoundError:
        kept = {}
    cases = dict(queries()) | {label: without_losses(case) for label, case in kept.items()}
    found = {label: case | {"losses": losses(case)} for label, case in cases.items()}
    save(NAME, {"torch": torch.__version__, "cases": found})


def queries() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every case: a link, which of its arms, and how many steps."""
    for label, link in subject.ready_made():
        if label.startswith("preset "):
            yield label, {"link": link, "arm": 0, "steps": PRESET_STEPS}
        elif label.startswith("comparison "):
            yield from _ends(label, link, STEPS)
    yield from _ends("joint", COMPARED["joint"], STEPS)
    yield "digits", {"link": COMPARED["digits"], "arm": 1, "steps": FEW}
    for name, link in WAYS.items():
        yield name, {"link": TINY | link, "arm": 0, "steps": STEPS}
    for name in subject_flows.data_sets():
        yield f"data {name}", {"link": TINY | {"data": name}, "arm": 0, "steps": FEW}


def _ends(label: str, link: dict[str, str], steps: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of the arms beside the page's own the first and the last."""
    for index in sorted({1, len(subject.arms(link)) - 1}):
        yield f"{label} {index}", {"link": link, "arm": index, "steps": steps}


def tolerance(step: int) -> float:
    """How far the loss of a step, from 1, may be from the stored one, as a part of it."""
    return next(allowed for last, allowed in TOLERANCES if step <= last)


def without_losses(case: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in case.items() if name != "losses"}


def losses(case: dict[str, Any]) -> list[float]:
    return subject_flows.losses(subject.arms(case["link"])[case["arm"]], SEED, case["steps"])
