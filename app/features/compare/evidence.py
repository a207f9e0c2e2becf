"""The stored answers of the ready-made comparisons: trained once as the page trains them, and read as the page reads
what it has just trained."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from app.engine.commands import ViewRequest
from app.engine.measurements.masses import Masses
from app.engine.reports import ArmReport, LossCurves
from app.evidence import Evidence, Made
from app.evidence.training import backend_of, trained
from app.features.compare.arms import contenders
from app.features.compare.numbers import Compared, compared
from app.features.compare.presets import PRESETS, Preset
from app.setup import Setup
from app.ui import bands
from app.ui.bands import Groups
from resflow_core.log_det import Exact
from resflow_core.measure import Mass

MOST_POINTS = 80
"""Of a curve."""
SMALL_STEPS, SMALL_SEEDS = 700, 1
LEAST_SEEDS = 3
CURVES = ("held_step", "held_seconds", "held_nll", "held_se", "held_kl", "held_kl_se", "held_bias", "held_bias_se")
REQUEST = ViewRequest(frames=False, measured={"masses": True})


def name_of(preset: str) -> str:
    """What its stored answer is called."""
    return f"compare-{preset}"


def setup_of(preset: Preset) -> Setup:
    return Setup(data=preset.data, flow=preset.flow, train=preset.train)


def make(preset: str, small: bool) -> Made:
    """Train all arms of a ready-made comparison, from three seeds at least."""
    chosen = PRESETS[preset]
    bench, setup = chosen.bench, setup_of(chosen)
    steps = min(SMALL_STEPS, bench.steps) if small else bench.steps
    seeds = SMALL_SEEDS if small else max(LEAST_SEEDS, bench.seeds)
    found = contenders(setup, bench)
    arms = trained(
        list(bands.seeded({one.label: one.arm for one in found}, setup.seed, seeds).values()), steps, REQUEST
    )
    groups = bands.grouped([one.label for one in found], arms, seeds)
    return Made(
        {label: [_kept(arm) for arm in of] for label, of in groups.items()},
        {"preset": preset, "data": chosen.data, "steps": steps, "arms": {one.label: repr(one.arm) for one in found}},
        tuple(range(setup.seed, setup.seed + seeds)),
        backend_of(arms),
    )


def _kept(arm: ArmReport) -> dict[str, Any]:
    masses = arm.found(Masses)
    if masses is None or arm.loss is None:
        raise ValueError("The run ended before it was measured.")
    at = np.unique(np.linspace(0, len(arm.loss.held_step) - 1, MOST_POINTS).round().astype(int))
    curves = {name: getattr(arm.loss, name) for name in CURVES}
    return {
        "step": arm.step,
        "seconds": arm.seconds,
        "curves": {name: values[at] if len(values) else values for name, values in curves.items()},
        "exact": [masses.exact.value, masses.exact.error],
        "believed": masses.believed and [masses.believed.value, masses.believed.error],
    }


def groups_of(found: Mapping[str, Any]) -> Groups:
    """What was stored, as the reports of arms that have just been trained."""
    return {label: [_report(arm) for arm in arms] for label, arms in found.items()}


def _report(kept: Mapping[str, Any]) -> ArmReport:
    curves: dict[str, Any] = {
        name: np.array(values, np.int64 if name == "held_step" else np.float32)
        for name, values in kept["curves"].items()
    }
    curves |= {
        "step": np.empty(0, np.int64),
        "batch_nll": np.empty(0, np.float32),
        "orders": np.empty((0, 0, 0), np.float32),
    }
    exact, believed = (pair and Mass(pair[0], pair[1], 0.0) for pair in (kept["exact"], kept["believed"]))
    masses = Masses(kept["step"], Exact(), exact, believed)
    return ArmReport(kept["step"], 0.0, kept["seconds"], loss=LossCurves(**curves), measured={Masses: masses})


def read(found: Mapping[str, Any], preset: str) -> Compared:
    """What was stored of a ready-made comparison, in numbers."""
    chosen = PRESETS[preset]
    setup = setup_of(chosen)
    return compared(setup.dataset, contenders(setup, chosen.bench), groups_of(found))


def _claims(preset: str, found: Mapping[str, Any]) -> Mapping[str, bool]:
    return PRESETS[preset].answer.claims(read(found, preset))


EVIDENCE = {name_of(one): Evidence(partial(make, one), partial(_claims, one)) for one in PRESETS}
