"""What a constraint claims of every layer and block, what is certified, and what is seen of it on data."""

import math
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from app import session
from app.components.planes import Chart, Path, planes
from app.engine.reports import MOVING, Report
from app.engine.training.measurements.bounds import Bounds
from app.features.lipschitz import arrival
from app.features.lipschitz.settings import LIPSCHITZ
from app.takeaway.programs import PROGRAMS
from app.ui import controls, opening, takeaway, transport
from app.ui.chart_style import BLUE, CATEGORIES, GREEN, GREY, ORANGE, VERMILION
from app.ui.fragments import polled, rests
from app.ui.scene import POLL_SECONDS
from app.words import number, order_name, wide
from resflow_core.flow import FlowConfig
from resflow_core.measure import BlockTable, Edited, Guarantee, NormEstimates

# A certified norm this far above its cap is above it, and not only rounding.
SLACK = 1e-4


@polled(POLL_SECONDS, rests)
def show() -> None:
    opening.lend()
    session.settle()
    buttons = st.container()
    _constraint()
    report = session.poll(until=_is_measured, frames=False, measured={"bounds": True})
    with buttons:
        transport.show(report)
        transport.message(report)
    arm = report.arms[0] if report.arms else None
    bounds = arm.found(Bounds) if arm else None
    if arm is None or bounds is None or arm.blocks is None:
        transport.waits(report, "The layers are being measured")
        return
    flow = session.setup().flow
    found = session.note(enforced(flow, arm.blocks, session.edited()))
    if opening.is_due() and arrival.is_untrained(report):
        st.info("This flow is not trained yet. Press Play, and see how much of its bound it uses.")
    else:
        st.markdown(_takeaway(found))
    run = takeaway.run_of(report)
    planes(
        [_layers(found, arm.blocks), _blocks(found, arm.blocks), _estimates(bounds.estimates)],
        key="enforced",
        columns=3,
        files=takeaway.behind("certificate", PROGRAMS["certificate"], run, needs=run),
    )
    _guaranteed(bounds)


def _is_measured(report: Report) -> bool:
    """Whether its bounds are of the flow as it stands; while it moves they are behind."""
    bounds = report.arms[0].found(Bounds)
    return bounds is not None and (report.state in MOVING or bounds.step == report.arms[0].step)


def _constraint() -> None:
    """How the page's flow is constrained; another way builds another flow."""
    setup = session.setup()
    # A key for every value: the sidebar may change it as well, and a widget shows what it was first drawn with.
    keys = f"{LIPSCHITZ}flow.{setup.flow.constraint}.{setup.flow.norms}."
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        flow = controls.edit(setup.flow, rare=True, keys=keys, only=("constraint", "norms"))
    if flow != setup.flow:
        session.apply(replace(setup, flow=flow))
        session.show(flow)
        session.settle()


@dataclass(frozen=True)
class Enforced:
    """What the layers of a flow allow its blocks, and what these use of it. Blocks count from 0."""

    budget: float  # L, which its constraint claims
    claim: str  # in words
    order: float | None  # of the norm in which the blocks are bounded; None if they are in different norms
    loosest: int  # the block whose layers allow most,
    certified: float  # and the product of their norms; not finite where some weights are not
    steepest: int  # the block with the largest ‖A‖ seen on data,
    seen: float  # and that
    cap: float  # of a single layer
    above_cap: int  # layers above it,
    layers: int  # of so many
    edited: Edited | None  # the block that is multiplied, if that alone takes it beyond the budget

    @property
    def finite(self) -> bool:
        return math.isfinite(self.certified)

    @property
    def within(self) -> bool:
        """Whether every block is certified to keep the budget."""
        return self.finite and self.certified <= self.budget * (1 + SLACK)

    @property
    def invertible(self) -> bool:
        """Whether an inverse is certified."""
        return self.finite and self.certified < 1


def enforced(flow: FlowConfig, blocks: BlockTable, edited: Edited | None) -> Enforced:
    """Of a flow with one block `edited`, if any is."""
    certified, seen = blocks.layer_norms.prod(1), blocks.largest_norm
    # The largest, or one that is no number.
    loosest, steepest = int(certified.argmax()), int(seen.argmax())
    cap = flow.budget ** (1 / blocks.layer_norms.shape[1])
    orders = {float(p) for p in blocks.orders[:, 0]}
    is_scaled = edited is not None and edited.block == loosest and edited.scale != 1
    within = edited is not None and certified[loosest] <= edited.scale * flow.budget * (1 + SLACK)
    return Enforced(
        flow.budget,
        flow.constraint.claim.format(budget=flow.budget),
        orders.pop() if len(orders) == 1 else None,
        loosest,
        float(certified[loosest]),
        steepest,
        float(seen[steepest]),
        cap,
        int((blocks.layer_norms > cap * (1 + SLACK)).sum()),
        blocks.layer_norms.size,
        edited if is_scaled and within else None,
    )


def _takeaway(found: Enforced) -> str:
    if not found.finite:
        return "**Not a number.** Some weights are not finite, so their norms are not known. Reset the run."
    used = f"At its steepest point, in block {found.steepest + 1}, ‖A‖ is **{number(found.seen)}**"
    if found.within:
        return (
            "**Within the budget.** In every block the product of the layers' norms is at most "
            f"{number(found.certified)}; the claim is L = {found.budget:g}. This is proven for the present "
            f"weights{_above_cap(found)}. {used}. This is {100 * found.seen / found.budget:.0f} % of the budget, and "
            "the rest is slack."
        )
    claim = f"Block {found.edited.block + 1} is scaled by {found.edited.scale:g}" if found.edited else found.claim
    lost = "" if found.invertible else "An inverse is no longer certified. "
    return (
        f"**Beyond the budget.** {claim}: the layers of block {found.loosest + 1} allow "
        f"**{number(found.certified)}**. {lost}{used}."
    )


def _above_cap(found: Enforced) -> str:
    """That single layers are, where their products are not above the budget."""
    above = found.above_cap
    if not above:
        return ""
    return f", although {above} of {found.layers} layers exceed{'s' * (above == 1)} the cap of {found.cap:.3f}"


def _layers(found: Enforced, blocks: BlockTable) -> Chart:
    n, layers = blocks.layer_norms.shape
    x, cap = np.arange(1, n + 1), found.cap
    paths = [
        Path(
            np.stack([x, blocks.layer_norms[:, i]], 1), f"layer {i + 1}", CATEGORIES[i % len(CATEGORIES)], markers=True
        )
        for i in range(layers)
    ]
    paths.append(Path(np.stack([x, np.full(n, cap)], 1), f"cap {cap:.3f}", GREY, "dash"))
    most = float(blocks.layer_norms.max())
    return Chart(
        "Layers: certified norms and their cap",
        "block",
        "certified ‖W‖",
        tuple(paths),
        f"Certified norm of every layer, at most {most:.3f}, beside the cap {cap:.3f}.",
        note=f"At most {most:.4f}; the cap is {cap:.4f}.",
    )


def _blocks(found: Enforced, blocks: BlockTable) -> Chart:
    x = np.arange(1, len(blocks.lipschitz) + 1)
    norm = "each block's norm" if found.order is None else f"{order_name(found.order)}-norm"
    paths = (
        Path(np.stack([x, np.full(len(x), found.budget)], 1), f"budget L = {found.budget:g}", GREY, "dash"),
        Path(np.stack([x, blocks.layer_norms.prod(1)], 1), "certified: product of layers", BLUE, markers=True),
        Path(np.stack([x, blocks.largest_norm], 1), "observed: largest ‖A‖", ORANGE, "dot", markers=True),
    )
    return Chart(
        "Blocks: claimed, certified, observed",
        "block",
        f"Lipschitz constant, {norm}",
        paths,
        f"For every block: the budget {found.budget:g}, the certified bound (at most {found.certified:.3f}) and the "
        f"largest norm of A on held-out data (at most {found.seen:.3f}).",
        note="The gap between observed and certified is the slack.",
    )


def _estimates(estimates: NormEstimates) -> Chart:
    steps, gram = np.arange(1, len(estimates.power) + 1), np.arange(len(estimates.gram))
    first = float(estimates.power[0])
    paths = (
        Path(np.stack([gram, estimates.gram], 1), "Gram iteration, from above", GREEN, "dot", markers=True),
        Path(np.stack([steps, np.full(len(steps), estimates.exact)], 1), "exact", GREY, "dash"),
        Path(np.stack([steps, estimates.power], 1), "power iteration, cold start, from below", VERMILION, markers=True),
    )
    return Chart(
        f"Estimates of ‖W‖₂: block {estimates.block + 1}, layer {estimates.layer + 1}",
        "steps",
        "estimate of ‖W‖₂",
        paths,
        f"Power iteration begins at {first:.3f} and rises to the norm {estimates.exact:.3f}; Gram iteration falls to "
        f"it.",
        note=f"After one step from a cold start the estimate is {100 * first / estimates.exact:.0f} % of the norm.",
    )


def _guaranteed(bounds: Bounds) -> None:
    found = bounds.guarantees
    norm = f"{order_name(found.order)}-norm"

    def row(name: str, of: Guarantee) -> str:
        low, high = ("no bound" if math.isinf(end) else wide(end) for end in (of.low, of.high))
        return f"| {name} | {low} | {wide(of.seen_low)} | {wide(of.seen_high)} | {high} |"

    st.markdown(
        "\n".join(
            [
                "| whole flow | guaranteed ≥ | smallest seen | largest seen | guaranteed ≤ |",
                "| :-- | --: | --: | --: | --: |",
                row(f"stretch ‖f(x) − f(y)‖ / ‖x − y‖, {norm}", found.stretch),
                row("log det, nats", found.log_det),
                row("log p(x), nats", found.log_prob),
            ]
        )
    )
    st.caption(
        "Guaranteed values follow from the bounds alone. The stretch lies within ∏(1 ± L), times ActNorm's scales, so "
        f"Lip(f) ≤ {wide(found.stretch.high)} "
        + (
            f"and Lip(f⁻¹) ≤ {wide(1 / found.stretch.low)}. "
            if found.stretch.low
            else "and nothing bounds Lip(f⁻¹), because a block has L ≥ 1. "
        )
        + "The log det of a block lies within d ln(1 ± L), so no density is above the last number. Seen "
        f"values are those of 2,000 held-out points, {session.age(bounds.step)}."
    )
