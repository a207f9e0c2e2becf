"""A residual flow on digits: images from the latent space, and bits per dimension beside a Gaussian's."""

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import cast

import numpy as np
import streamlit as st

from app import session
from app.components import images
from app.components.planes import Chart, Path, planes
from app.components.planes.panes import Dash
from app.engine.experiment import Arm
from app.engine.reports import ArmReport
from app.engine.training.job_records import DIGITS as DATA
from app.engine.training.job_records import BitsCurve, ImageFrame
from app.examples import digits as example
from app.features.dimensions.settings import DIMENSIONS, Dimensions
from app.metrics import with_error
from app.takeaway.programs import PROGRAMS
from app.takeaway.training import Run
from app.ui import controls, takeaway, transport
from app.ui.chart_style import BLUE, GREEN, ORANGE
from app.ui.fragments import polled
from app.ui.scene import POLL_SECONDS
from resflow_core import measure
from resflow_core.data.digits import DIGITS, LEVELS, SIDE
from resflow_core.measure import Estimate

NAME, SHOWN = "digits", (8, 8)
UNIFORM = math.log2(LEVELS)
"""Bits per dimension by the uniform density."""
# What was trained is trained on by a tenth of the rate, which does not fall any more: else the first steps undo much.
CONTINUED = replace(example.TRAIN, learning_rate=example.TRAIN.learning_rate / 10, schedule="constant")


def arm(start: str) -> Arm:
    """The flow of the example, from its weights or from scratch."""
    if start == "stored":
        return Arm(example.FLOW, CONTINUED, DATA, weights=example.weights())
    return Arm(example.FLOW, example.TRAIN, DATA)


@polled(POLL_SECONDS)
def show(primary: bool = True) -> None:
    """Not `primary` where something else on the page is to be pressed first."""
    session.settle()
    with st.container(width=260):
        bench = controls.edit(session.bench(Dimensions), rare=False, prefix=DIMENSIONS, only=("start",))
    session.apply_bench(bench)
    try:
        stored, flow = example.stored(), arm(bench.start)
    except (OSError, ValueError) as error:
        st.error(
            f"The stored flow cannot be used. {error} Choose *From scratch*, or build it again with `python -m "
            "app.examples.digits`."
        )
        stored, flow = None, arm("scratch")
    session.compare(NAME, (flow,))
    report = session.poll_comparison(NAME, ways=False, frame_seconds=1.0, measured={"results": True})
    transport.show(report, of=NAME, primary=primary)
    with st.container():
        transport.message(report)
    pictures = session.pictures(NAME)
    if not report.arms or not pictures or pictures[0] is None:
        transport.waits(report, "The flow is being built")
        return
    drawn = cast(ImageFrame, pictures[0])
    curve, before = report.arms[0].found(BitsCurve), stored.curve if flow.weights else ()
    st.markdown(verdict(session.note(needed(curve, gaussian(), report.arms[0], before))))
    made_by = (flow, session.setup().seed, report.arms[0].step, report.arms[0].fingerprint, report.device)
    files = takeaway.behind("digits", PROGRAMS["digits"], *made_by, needs=Run(*made_by))
    shown = grids(drawn, report.arms[0].step, bool(flow.weights))
    images.show(shown, key=f"{NAME}.images", files=files)
    with st.container():
        if drawn.refusal:
            st.info(f"No images are drawn. {drawn.refusal}", icon=":material/block:")
    planes(
        [curves(curve, before, gaussian(), by_time=by_time) for by_time in (False, True)],
        key=f"{NAME}.charts",
        columns=2,
    )
    st.caption(ABOUT)


ABOUT = (
    r"Grey levels $v = 0, \dots, 16$ become $x = (v + u)/17$ with uniform noise $u$, and the flow learns their logits. "
    r"$\mathrm{bits} = \frac1d \big(-\log_2 p(x)\big) + \log_2 17$, with the exact log det (64 tangents per point), "
    "on 359 held-out images, ± the standard error. By Jensen's inequality this is an **upper bound** on the bits that "
    "the flow needs for the discrete images. Training never computes an exact log det: it uses the roulette, one N per "
    "batch, and the Neumann gradient. The size of the flow and the number of steps were chosen on the same held-out "
    "images. Seed and device are those of *Explore*."
)


@cache
def gaussian() -> Estimate:
    """Of the best normal distribution, on the same images."""
    return measure.gaussian_bits(DIGITS)


Before = tuple[tuple[int, float, float, float], ...]
"""How the stored flow was trained, as `Stored.curve` has it; nothing where it is not begun with."""


@dataclass(frozen=True)
class Needed:
    """Bits per dimension on held-out digits: what the flow needs, and what knows less."""

    gaussian: Estimate  # of the best normal distribution
    flow: Estimate | None  # of this flow; None before the first measurement
    best: float  # the smallest so far; NaN before
    measured_at: int  # the step of the newest measurement; 0 before
    step: int  # where the flow is
    stored: Estimate | None  # of the stored flow, as its file notes it; None unless it is begun with

    @property
    def behind(self) -> bool:
        """Whether the flow has gone on since it was measured."""
        return self.measured_at != self.step

    @property
    def by_heart(self) -> bool:
        """Whether the flow was better before, by more than noise."""
        return self.flow is not None and self.flow.value - self.best > 2 * self.flow.standard_error


def needed(curve: BitsCurve | None, normal: Estimate, arm: ArmReport, before: Before = ()) -> Needed:
    stored = Estimate(*before[-1][2:]) if before else None
    if curve is None:
        return Needed(normal, None, math.nan, 0, arm.step, stored)
    newest = Estimate(float(curve.bits[-1]), float(curve.error[-1]))
    return Needed(normal, newest, float(curve.bits.min()), curve.step, arm.step, stored)


def verdict(found: Needed) -> str:
    """Where the flow is, beside what knows less, in a sentence or two."""

    def shown(text: str, of: Estimate) -> str:
        return text.format(*with_error(of.value, of.standard_error))

    baseline = (
        f"{shown('A Gaussian with a full covariance, fitted in closed form, needs **{} ± {}**', found.gaussian)}, and "
        f"the uniform density {UNIFORM:.2f}."
    )
    if found.flow is None:
        noted = shown("The stored flow had {} ± {}. ", found.stored) if found.stored else ""
        return f"Bits per dimension are being measured. {noted}{baseline}"
    said = shown("The flow needs at most **{} ± {} bits per dimension**", found.flow)
    if found.behind:
        said += f" (at step {found.measured_at:,})"
    said += " on held-out digits. " + baseline
    if found.by_heart:
        said += " The flow was better before: **it learns the training images by heart**. Press Reset to go back."
    return said


def grids(frame: ImageFrame, step: int, continued: bool) -> list[images.Grid]:
    """Digits that nobody trained on, and, as far as there are some, samples and interpolations."""
    real = DIGITS.held_out_levels[: math.prod(SHOWN)].numpy().reshape(*SHOWN, SIDE, SIDE)
    data = images.Grid(
        "Data", real, LEVELS - 1, "Held-out digits.", f"{math.prod(SHOWN)} held-out digits, 8 × 8 pixels each."
    )
    if not frame.samples.size:
        return [data]
    age = f"step {frame.step:,}{' after the stored flow' if continued else ''}"
    pairs = len(frame.interpolations)
    return [
        data,
        images.Grid(
            "Samples",
            frame.samples,
            LEVELS - 1,
            "Every frame uses the same noise, so changes come from the flow.",
            f"{frame.samples.shape[0] * frame.samples.shape[1]} images drawn from the flow at {age}: "
            f"{'most of the digits can be read' if continued else 'digits appear as the flow trains'}.",
        ),
        images.Grid(
            "Interpolations",
            frame.interpolations,
            LEVELS - 1,
            "Between two held-out digits, along an arc in latent space.",
            f"{pairs} rows of images, each from one held-out digit on its left to another on its right, at {age}: "
            "both ends are the digits themselves, because the flow is invertible.",
        ),
    ]


def curves(curve: BitsCurve | None, before: Before, normal: Estimate, *, by_time: bool) -> Chart:
    """Bits per dimension against steps or seconds: how the stored flow was trained, and what came after here."""
    paths, ends = [], [0.0]
    start = 0.0
    if before:
        stored = np.array(before)[:, [1 if by_time else 0, 2, 3]]
        start = float(stored[-1, 0])
        paths += banded(stored, "as it was trained", ORANGE, "dash")
        ends.append(start)
    if curve is not None:
        x = curve.seconds if by_time else curve.steps
        live = np.stack([start + x, curve.bits, curve.error], 1)
        paths += banded(live, "here", BLUE, "solid")
        ends.append(float(live[-1, 0]))
    end = max(ends) or 1.0
    paths.append(Path(np.array([[0.0, normal.value], [end, normal.value]]), "Gaussian", GREEN, "dot"))
    now = "not measured yet" if curve is None else "{} ± {}".format(*with_error(curve.bits[-1], curve.error[-1]))
    x = "training time, s" if by_time else "step"
    return Chart(
        f"Bits per dimension against {'time' if by_time else 'steps'}",
        x,
        "bits per dimension, held out",
        tuple(paths),
        f"Held-out bits per dimension against {x}: now {now}, a Gaussian has {normal.value:.3f}. Lower is better.",
        note="Thin lines: one standard error.",
    )


def banded(points: np.ndarray, label: str, colour: str, dash: Dash) -> list[Path]:
    """A line through (x, value, standard error) with thin lines around; the first value of a new flow is left out
    where it would flatten all others."""
    x, value, error = points[points[:, 1] < UNIFORM].T
    gap = [[np.nan, np.nan]]
    around = np.concatenate([np.stack([x, value - error], 1), gap, np.stack([x, value + error], 1)])
    line = np.stack([x, value], 1)
    return [Path(line, label, colour, dash, markers=len(x) < 3), Path(around, "", colour, "solid", 0.8)]
