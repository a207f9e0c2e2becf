"""What the activations of the flow in training do: where their units are, which are saturated, and what is left of the
gradient of the log det."""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import streamlit as st
import torch

from app import session
from app.components.planes import Chart, Heat, Pane, Path, planes
from app.engine.reports import Report
from app.engine.training.measurements.activity import Activity
from app.features.activations.settings import ACTIVATIONS_BENCH, Activations
from app.takeaway.programs import PROGRAMS
from app.ui import controls, opening, side_by_side, takeaway, transport
from app.ui.chart_style import BLUE, GREY, ORANGE, VERMILION
from app.ui.fragments import polled, rests
from app.ui.scene import POLL_SECONDS
from app.words import number
from resflow_core.activations import activation_named
from resflow_core.expressions import SIGN
from resflow_core.measure import Saturation
from resflow_core.measure.activation import unit_derivatives
from resflow_core.residual import BRANCHES

LOG_DET, BASE = "of the mean log det", "of the mean log p(z)"
PER_UNIT = "nats per unit of a parameter"
GRADIENT_AXIS = f"norm, {PER_UNIT} (log scale)"
# Gradients with a cosine this near to 0 count as unrelated.
UNRELATED = 0.1
# With more measurements the marks would hide the lines.
MOST_MARKED = 20


@polled(POLL_SECONDS, rests)
def show() -> None:
    opening.lend()
    session.settle()
    buttons = st.container()
    bench = _controls(session.bench(Activations))
    session.apply_bench(bench)
    report = session.poll(until=_has_all, frames=False, measured={"activity": "all"})
    with buttons:
        transport.show(report)
        transport.message(report)
    found = report.arms[0].found(Activity) if report.arms else None
    if found is None:
        transport.waits(report, "The units are being measured")
        return
    blocks, layers = found.saturation.share.shape
    block, layer = min(bench.block, blocks) - 1, min(bench.layer, layers) - 1
    told = session.note(inside(found, session.setup().flow.activation))
    if opening.is_due() and not report.arms[0].step and session.setup().start is None:
        st.info("This flow is not trained yet. Press Play, and see where its units go.")
    else:
        st.markdown(_takeaway(told))
    looked_at = session.note(Layer(block, layer, float(found.saturation.share[block, layer])))
    panes = [
        _units(found.saturation, looked_at),
        _shares(found.saturation),
        _plane(found),
        _gradients(found),
        _over_training(found),
    ]
    run = takeaway.run_of(report)
    files = takeaway.behind("units", PROGRAMS["units"], run, needs=run)
    planes(panes, key="inside", columns=3, files=files)
    s = found.saturation
    st.caption(
        f"A unit is saturated if |φ′| ≥ {1 - s.delta:g} and β|φ″| ≤ {s.epsilon:g}: it passes its input on and bends "
        f"nothing. A unit that is off (on a flat side, with |φ′| near 0) does not count. At {found.points:,} held-out "
        f"points, {session.age(found.step)}; gradients of the means over these points, by the exact log det, with "
        "respect to the parameters of the blocks. ActNorms are left out: each log scale is a summand of the log det, "
        "so its gradient is 1 with every activation."
    )


def _has_all(report: Report) -> bool:
    activity = report.arms[0].found(Activity)
    return activity is not None and activity.saturation is not None


def _controls(bench: Activations) -> Activations:
    flow = session.setup().flow
    place = controls.row({"block": 1, "layer": 1}, ACTIVATIONS_BENCH)
    if "block" in place:
        block = (
            place["block"].select_slider(
                "Block", range(1, flow.blocks + 1), min(bench.block, flow.blocks), key=f"{ACTIVATIONS_BENCH}block"
            )
            if flow.blocks > 1
            else 1
        )
        bench = replace(bench, block=block)
    layers = BRANCHES[flow.branch].network.scale_count(flow.hidden_layers + 1)
    if "layer" in place and layers > 1:
        layer = place["layer"].select_slider(
            "Layer",
            range(1, layers + 1),
            min(bench.layer, layers),
            key=f"{ACTIVATIONS_BENCH}layer",
            help="The units of layer 1 are the two coordinates. The units of the other layers are hidden, as are all "
            "units of dense blocks.",
        )
        bench = replace(bench, layer=layer)
    return bench


class Pull(Enum):
    """How the gradients of the log det and of the base density pull."""

    TOGETHER = "together"
    AGAINST = "against each other"
    UNRELATED = "in unrelated directions"


@dataclass(frozen=True)
class Inside:
    """What the units of the whole flow do, and the two parts of the gradient in its blocks."""

    activation: str  # by its name
    saturated: float  # share of all units
    fullest: int  # the block, from 0, where most units are saturated,
    most: float  # and their share there
    log_det: float  # norm of the gradient of the mean log det, nats per unit of a parameter
    base: float  # norm of the gradient of the mean log p(z), likewise
    cosine: float  # between both

    @property
    def pull(self) -> Pull:
        if self.cosine < -UNRELATED:
            return Pull.AGAINST
        return Pull.TOGETHER if self.cosine > UNRELATED else Pull.UNRELATED


def inside(found: Activity, activation: str) -> Inside:
    by_block, gradient = found.saturation.by_block, found.split.residual
    fullest = int(by_block.argmax())
    return Inside(
        activation,
        float(found.saturation.overall),
        fullest,
        float(by_block[fullest]),
        float(gradient.log_det),
        float(gradient.base),
        float(gradient.cosine),
    )


def _takeaway(found: Inside) -> str:
    title = "your own formula" if found.activation.startswith(SIGN) else activation_named(found.activation).title
    return (
        f"**{100 * found.saturated:.1f}\N{NO-BREAK SPACE}% of all units are saturated**, most in block "
        f"{found.fullest + 1} ({100 * found.most:.1f}\N{NO-BREAK SPACE}%), with {title}. In the blocks, the gradient "
        f"of the mean log det has norm **{number(found.log_det)}** and that of the mean log p(z) has norm "
        f"{number(found.base)} {PER_UNIT}. They pull {found.pull.value} (cosine {number(found.cosine)})."
    )


@dataclass(frozen=True)
class Layer:
    """Whose units are looked at. Blocks and layers count from 0."""

    block: int
    layer: int
    saturated: float  # share of its units


def _units(s: Saturation, looked_at: Layer) -> Chart:
    """The distribution of pre-activations under the curves of |phi'| and |phi''|."""
    block, layer = looked_at.block, looked_at.layer
    edges = s.edges[block, layer]
    centres = (edges[1:] + edges[:-1]) / 2
    counts = s.counts[block, layer]
    activation = activation_named(session.setup().flow.activation)
    with torch.no_grad():
        near = activation.near(torch.as_tensor(centres, dtype=torch.float64)[None])
        slope, curvature = unit_derivatives(activation, near)
    constant, beta = float(s.constants[block, layer]), float(s.scales[block, layer])
    return Chart(
        f"Block {block + 1}, layer {layer + 1}: where its units are",
        "pre-activation t",
        "units (largest share = 1), |φ′|, β|φ″|",
        (
            Path(np.stack([centres, counts / max(counts.max(), 1)], 1), "units", GREY, width=3.0),
            Path(np.stack([centres, slope[0].numpy() / constant], 1), "|φ′|", BLUE, "dash"),
            Path(
                np.stack([centres, beta * curvature[0].numpy() / constant], 1), f"β|φ″|, β = {beta:.2f}", ORANGE, "dot"
            ),
        ),
        f"Distribution of the pre-activations of block {block + 1}, layer {layer + 1}, under the slope and the "
        f"curvature "
        f"of its activation; {100 * looked_at.saturated:.1f} percent of its units are saturated.",
        note=f"{100 * looked_at.saturated:.1f} % of these are saturated.",
    )


def _shares(s: Saturation) -> Chart:
    x = np.arange(1, len(s.share) + 1)
    paths = tuple(
        Path(np.stack([x, 100 * s.share[:, i]], 1), f"layer {i + 1}", markers=True, **side_by_side.style(i))
        for i in range(s.share.shape[1])
    )
    return Chart(
        "Saturated units by block",
        "block",
        "saturated, %",
        paths,
        f"Share of saturated units in every block and layer, at most {100 * s.share.max():.1f} percent.",
    )


def _plane(found: Activity) -> Pane:
    x, y = (axis.name for axis in session.setup().dataset.axes)
    low, high = 100 * float(found.share.min()), 100 * float(found.share.max())
    return Pane(
        "Saturated units over the plane",
        x,
        y,
        found.window,
        f"Share of the flow's units that are saturated at each point of the data space, {low:.0f} to {high:.0f} "
        f"percent.",
        heat=Heat(100 * found.share, "saturated", "%", low, max(high, low + 1), smooth=True),
        note=f"From {low:.0f} to {high:.0f} %.",
        legend=False,
    )


def _gradients(found: Activity) -> Chart:
    x, of = np.arange(1, len(found.split.blocks.log_det) + 1), found.split.blocks
    return Chart(
        "The two parts of the gradient, now",
        "block",
        GRADIENT_AXIS,
        (
            Path(_without_zeros(x, of.log_det), LOG_DET, VERMILION, markers=True),
            Path(_without_zeros(x, of.base), BASE, BLUE, "dash", markers=True),
        ),
        f"Norms of both parts of the gradient in every block: of the log det {of.log_det.min():.3g} to "
        f"{of.log_det.max():.3g}, of the base density {of.base.min():.3g} to {of.base.max():.3g}.",
        log_y=True,
        note=_zeros({LOG_DET: vanished(of.log_det), BASE: vanished(of.base)}),
    )


def _over_training(found: Activity) -> Chart:
    def lines(norms: np.ndarray) -> np.ndarray:
        gap = [[np.nan, np.nan]]
        return np.concatenate([np.concatenate([_without_zeros(found.steps, block), gap]) for block in norms.T])

    last = f", the last at step {found.steps[-1]}" if len(found.steps) else ""
    markers = len(found.steps) <= MOST_MARKED
    has_zeros = bool((found.log_det == 0).any() or (found.base == 0).any())
    return Chart(
        "The same over training, one line per block",
        "step",
        GRADIENT_AXIS,
        (
            Path(lines(found.log_det), LOG_DET, VERMILION, width=1.2, markers=markers),
            Path(lines(found.base), BASE, BLUE, "dash", 1.2, markers=markers),
        ),
        f"Norms of both parts of the gradient in every block, measured {len(found.steps)} times{last}.",
        log_y=True,
        note="A line has a gap if its norm is exactly 0." if has_zeros else "",
    )


def _without_zeros(x: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """Points of a line over a logarithmic axis, which has no place for 0: a gap there."""
    return np.where(norms[:, None] > 0, np.stack([x, norms], 1), np.nan)


def vanished(norms: np.ndarray) -> list[int]:
    """The blocks, from 1, whose gradient is exactly 0, so that they have no mark."""
    return (np.flatnonzero(norms == 0) + 1).tolist()


def _zeros(blocks: dict[str, list[int]]) -> str:
    """Which blocks have no mark, and why."""
    said = [f"{label} in block{'s' * (len(of) > 1)} {', '.join(map(str, of))}" for label, of in blocks.items() if of]
    return f"Without a mark, because exactly 0: {'; '.join(said)}." if said else ""
