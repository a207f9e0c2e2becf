"""The stored answers of the ready-made comparisons: trained once as the page trains them, and read as the page reads
what it has just trained."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from app.engine.commands import ViewRequest
from app.engine.reports import ArmReport
from app.engine.training.measurements.masses import Masses
from app.evidence import Evidence, Made
from app.evidence.training import backend_of, fit_report, kept_fit, trained
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
    if masses is None:
        raise ValueError("The run ended before it was measured.")
    return kept_fit(arm, MOST_POINTS) | {
        "exact": [masses.exact.value, masses.exact.error],
        "believed": masses.believed and [masses.believed.value, masses.believed.error],
    }


def groups_of(found: Mapping[str, Any]) -> Groups:
    """What was stored, as the reports of arms that have just been trained."""
    return {label: [_report(arm) for arm in arms] for label, arms in found.items()}


def _report(kept: Mapping[str, Any]) -> ArmReport:
    exact, believed = (pair and Mass(pair[0], pair[1], 0.0) for pair in (kept["exact"], kept["believed"]))
    masses = Masses(kept["step"], Exact(), exact, believed)
    return fit_report(kept, {Masses: masses})


def read(found: Mapping[str, Any], preset: str) -> Compared:
    """What was stored of a ready-made comparison, in numbers."""
    chosen = PRESETS[preset]
    setup = setup_of(chosen)
    return compared(setup.dataset, contenders(setup, chosen.bench), groups_of(found))


def _claims(preset: str, found: Mapping[str, Any]) -> Mapping[str, bool]:
    return PRESETS[preset].answer.claims(read(found, preset))


EVIDENCE = {name_of(one): Evidence(partial(make, one), partial(_claims, one)) for one in PRESETS}
