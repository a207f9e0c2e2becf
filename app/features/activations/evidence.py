"""The stored answer of the activation bench: flows with ELU and with LipSwish, alike in all else."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.engine.commands import ViewRequest
from app.engine.reports import ArmReport
from app.evidence import Evidence, Made
from app.evidence.training import backend_of, fit_report, kept_fit, trained
from app.features.activations import answers
from app.features.activations.arms import compared as arms_of
from app.features.activations.settings import label_of
from app.features.activations.used import Compared, Units, compared, units_of
from app.setup import Setup
from app.ui import bands
from app.ui.bands import Groups
from resflow_core.flow import FlowConfig

NAME = "activations-saturation"
NAMES = ("elu", "lipswish")
SETUP = Setup(flow=FlowConfig(blocks=8))
STEPS, SEEDS = 2_000, 3
SMALL_STEPS, SMALL_SEEDS = 400, 3
MOST_POINTS = 40
"""Of a curve."""
REQUEST = ViewRequest(frames=False, measured={"activity": "all"})


def make(small: bool) -> Made:
    steps, seeds = (SMALL_STEPS, SMALL_SEEDS) if small else (STEPS, SEEDS)
    arms = trained(list(arms_of(SETUP, NAMES, seeds).values()), steps, REQUEST)
    groups = bands.grouped(NAMES, arms, seeds)
    return Made(
        {name: [_kept(arm) for arm in of] for name, of in groups.items()},
        {
            "data": SETUP.data,
            "steps": steps,
            "arms": {name: repr(arm) for name, arm in zip(NAMES, arms_of(SETUP, NAMES, 1).values(), strict=True)},
        },
        tuple(range(SETUP.seed, SETUP.seed + seeds)),
        backend_of(arms),
    )


def _kept(arm: ArmReport) -> dict[str, Any]:
    (found,) = units_of([arm])
    return kept_fit(arm, MOST_POINTS) | {
        "shares": found.shares.round(5),
        "saturated": found.saturated,
        "straight": found.straight,
        "scale": found.scale,
    }


def groups_of(found: Mapping[str, Any]) -> Groups:
    """What was stored, as the reports of flows that have just been trained, by the activation's label."""
    return {label_of(name): [fit_report(arm) for arm in arms] for name, arms in found.items()}


def units(found: Mapping[str, Any]) -> dict[str, Sequence[Units]]:
    """Where the units of each seed were, by the activation's label."""
    return {
        label_of(name): [
            Units(np.array(arm["shares"]), arm["saturated"], arm["straight"], arm["scale"]) for arm in arms
        ]
        for name, arms in found.items()
    }


def read(found: Mapping[str, Any]) -> Compared:
    """What was stored, in numbers. Raises ValueError where flows are missing."""
    if (told := compared(SETUP.dataset, groups_of(found), units(found))) is None:
        raise ValueError("Two flows at least are to be compared.")
    return told


EVIDENCE = {NAME: Evidence(make, lambda found: answers.claims(read(found)))}
