"""From a report to the scene that the live picture draws (`app.components.live`). Pure: report in, JSON out."""

import dataclasses
from functools import lru_cache
from typing import Any

import numpy as np

from app import channel
from app.components.live.encode import (
    encode_curves,
    encode_frame,
    encode_labels,
    encode_point,
    encode_points,
    encode_weights,
)
from app.drawing import CLASSES
from app.engine.reports import FRAME_WINDOW, MOVING, ArmReport, Frame, Report
from app.engine.training.measurements.point import AtPoint
from app.metrics import Readout, gap_to_truth, held_out_nll, is_standardised, readouts, with_error
from app.setup import Setup
from app.ui.step_parts import parts_of
from resflow_core.data import Dataset
from resflow_core.measure import grid_points, has_belief
from resflow_core.settings import to_json

POLL_SECONDS = 1.0
SHARP_GRID = 200
"""Nodes a side of the true density, as many as a sharp picture has."""


def scene_of(setup: Setup, report: Report, n_points: int) -> dict[str, Any]:
    """The scene of a run with one arm: losses, numbers, and what it is drawn from while that does not come by the
    channel, its weights or a frame."""
    dataset, by_channel = setup.dataset, channel.CHANNEL.is_read(report.id)
    moves = report.state in MOVING
    arm = report.arms[0] if report.arms else ArmReport(step=0, steps_per_second=0.0, seconds=0.0)
    numbers = readouts(dataset, setup.train.log_det, arm)
    return {
        "run": report.timeline,
        "playing": moves,
        "window": dataset.window,
        "frame_window": FRAME_WINDOW,
        "axes": [dataclasses.asdict(axis) for axis in dataset.axes],
        "blocks": setup.flow.blocks,
        "truth": dataset.title if dataset.truth else None,
        "channel": channel.path(),
        "weights": None if by_channel or not arm.weights else encode_weights(arm.weights, report.timeline),
        "frame": encode_frame(arm.frame) if isinstance(arm.frame, Frame) and not (by_channel and moves) else None,
        "at": encode_point(at) if (at := arm.found(AtPoint)) else None,
        "belief": to_json(setup.train)["log_det"] if has_belief(setup.train.log_det) else None,
        "loss": encode_curves(arm.loss) if arm.loss else None,
        "loss_unit": _unit(dataset),
        "floor": dataset.truth.entropy if dataset.truth else None,
        "readouts": [dataclasses.asdict(number) for number in numbers],
        "parts": parts_of(setup, report),
        "alt": _alt(dataset, setup.flow.blocks, arm, numbers),
        **_points(dataset, n_points, CLASSES if setup.own and setup.own.drawing else ()),
    }


def truth_of(setup: Setup) -> tuple[str, np.ndarray | None]:
    """What `live.mount_truth` takes: the scene's name for the truth, and the true density; None where nobody knows
    it."""
    dataset = setup.dataset
    return dataset.title, true_density(dataset, SHARP_GRID) if dataset.truth else None


@lru_cache(maxsize=64)
def true_density(dataset: Dataset, n: int) -> np.ndarray:
    """p_true at the nodes of `measure.density_grid`: (n, n), row = y ascending, per unit area."""
    return dataset.truth.log_prob(grid_points(dataset.window, n)).exp().view(n, n).numpy()


@lru_cache(maxsize=16)
def _points(dataset: Dataset, n: int, order: tuple[str, ...] = ()) -> dict[str, Any]:
    """The first n held-out points, and their classes where they have some; those of `order` first."""
    labels = getattr(dataset, "held_out_labels", None)
    return {
        "points": encode_points(dataset.held_out()[:n].numpy()),
        "labels": encode_labels(labels, n, order) if labels else None,
    }


def _unit(dataset: Dataset) -> str:
    return "nats, standardised" if is_standardised(dataset) else "nats"


def _alt(dataset: Dataset, blocks: int, arm: ArmReport, numbers: list[Readout]) -> dict[str, str]:
    """What each view shows, in words, with what to take away from it."""
    title, unit, at = dataset.title, _unit(dataset), f"after {arm.step:,} steps"
    entropy = f" The entropy of the data is {dataset.truth.entropy:.3f} nats." if dataset.truth else ""
    nll = held_out_nll(arm)
    fit = [f"held-out NLL {nll[0]:.2f} {unit}, standard error {nll[1]:.2f}" if nll else "held-out NLL not measured yet"]
    if gap := gap_to_truth(arm):
        fit.append("KL(data || model) {} nats, standard error {}".format(*with_error(*gap)))
    fit += [
        f"{n.label[0].lower()}{n.label[1:]} {n.value}" for n in numbers if n.name in ("mass", "believed") and n.value
    ]
    summary = "; ".join(fit)
    return {
        "data": f"Data space: density of the flow {at}, with contours and held-out points of {title}; {summary}.",
        "latent": f"Latent space {at}: where the flow takes data and a straight grid, with circles that hold 39, 86 "
        f"and 98.9 percent of a standard normal. The better the fit, the more the points look normal; {summary}.",
        "stage": f"Inside the flow {at}: data and a straight grid on their way through its {blocks} blocks, each of "
        "which bends the plane without folding it.",
        "truth": f"The true density that {title} is drawn from, in the colours of the flow's density beside it."
        f"{entropy}",
        "difference": f"The flow's density {at} minus the true one: orange where the flow has too much, blue where it "
        f"has too little; {summary}.",
        "believed": f"The density {at} that training believes in, by its own estimate of the log det: in the colours "
        f"of the flow's density beside it, and grey where it is infinite; {summary}.",
        "loss": f"Loss against steps, {at}: batch and held-out negative log-likelihood in {unit}{_believed(arm)}; "
        f"{summary}.{entropy}",
    }


def _believed(arm: ArmReport) -> str:
    """What the dashed curve says, where training's estimate of the log density is biased."""
    curves = arm.loss
    if curves is None or not len(curves.held_bias) or not curves.held_bias[-1]:
        return ""
    return f"; dashed, the loss that training believes in, now {curves.held_nll[-1] - curves.held_bias[-1]:.2f}"
