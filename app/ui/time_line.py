"""What the live picture needs to go back in time, as JSON: the stored checkpoints, and the flow of a moment that is
asked for. Pure."""

import dataclasses
from typing import Any

from app.components.live.encode import encode_frame
from app.metrics import readouts
from app.session.page import Continues, Glimpse
from app.setup import Setup, in_force


def time_line(
    setup: Setup, checkpoints: tuple[int, ...], step: int | None, continues: Continues | None, glimpse: Glimpse | None
) -> dict[str, Any]:
    """`step` is that of the earlier moment which the picture shows, as far as is known; None: the newest. `setup` is
    what the run began with, and all that changed since."""
    return {
        "checkpoints": list(checkpoints),
        "moment": step,
        "continues": continues and {"run": continues.timeline, "step": continues.step},
        "glimpse": glimpse and _glimpse(setup, glimpse),
    }


def _glimpse(setup: Setup, glimpse: Glimpse) -> dict[str, Any]:
    """`still` and `readouts` are null until they are known."""
    arm = glimpse.report.arms[0] if glimpse.report else None
    numbers = readouts(setup.dataset, in_force(setup, glimpse.step).log_det, arm) if arm else []
    return {
        "asked": glimpse.asked,
        "step": glimpse.step,
        "since": glimpse.since,
        "still": encode_frame(arm.still) if arm and arm.still else None,
        "readouts": [dataclasses.asdict(number) for number in numbers],
    }
