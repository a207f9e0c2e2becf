"""From a report to the scene that the live picture draws (`app.live`). Pure: report in, JSON out."""

import dataclasses
from functools import lru_cache
from typing import Any

from app.engine.messages import LATENT_WINDOW, MOVING, ArmReport, Report
from app.live.encode import encode_curves, encode_frame, encode_points
from app.setup import Setup
from resflow_core.datasets import Dataset

POLL_SECONDS = 1.0


def scene_of(setup: Setup, report: Report, n_points: int) -> dict[str, Any]:
    """The scene of a run with one arm: its newest frames, the sharp picture if it stands still, and the losses."""
    dataset = setup.dataset
    arm = report.arms[0] if report.arms else ArmReport(step=0, steps_per_second=0.0, seconds=0.0)
    return {
        "run": f"{report.id}:{report.rewinds}",
        "playing": report.state in MOVING,
        "poll_ms": round(1000 * POLL_SECONDS),
        "window": dataset.window,
        "latent_window": LATENT_WINDOW,
        "axes": [dataclasses.asdict(axis) for axis in dataset.axes],
        "points": _points(dataset, n_points),
        "frames": [encode_frame(frame) for frame in arm.frames],
        "still": encode_frame(arm.still) if arm.still else None,
        "loss": encode_curves(arm.loss) if arm.loss else None,
        "floor": None,
        "alt": _alt(dataset.title, arm),
    }


@lru_cache(maxsize=64)
def _points(dataset: Dataset, n: int) -> dict[str, Any]:
    return encode_points(dataset.held_out()[:n].numpy(), dataset.window)


def held_out_nll(arm: ArmReport) -> tuple[float, float] | None:
    """The newest held-out NLL in nats and its standard error."""
    if arm.loss is None or not len(arm.loss.held_nll):
        return None
    return float(arm.loss.held_nll[-1]), float(arm.loss.held_se[-1])


def _alt(title: str, arm: ArmReport) -> dict[str, str]:
    nll = held_out_nll(arm)
    fit = f"held-out NLL {nll[0]:.2f} nats, standard error {nll[1]:.2f}" if nll else "held-out NLL not measured yet"
    at = f"after {arm.step:,} steps"
    return {
        "data": f"Data space: density of the flow {at}, with contours and held-out points of {title}; {fit}.",
        "latent": f"Latent space {at}: where the flow takes data and a straight grid, with circles that hold 39, 86 "
        "and 98.9 percent of a standard normal. The better the fit, the more the points look normal.",
        "loss": f"Loss against steps, {at}: batch and held-out negative log-likelihood in nats; {fit}.",
    }
