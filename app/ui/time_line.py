"""What the live picture needs to go back in time, as JSON. Pure."""

from typing import Any

from app.session.page import Continues


def time_line(checkpoints: tuple[int, ...], step: int | None, continues: Continues | None) -> dict[str, Any]:
    """The steps of stored checkpoints, and what the run goes on from. `step` is that of the earlier moment which the
    picture shows, as far as is known; None: the newest."""
    return {
        "checkpoints": list(checkpoints),
        "moment": step,
        "continues": continues and {"run": continues.timeline, "step": continues.step},
    }
