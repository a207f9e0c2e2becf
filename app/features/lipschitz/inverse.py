"""The inverse of one block: the walk to x, how long it takes over the plane, and how it breaks when g is scaled."""

from dataclasses import replace

import numpy as np
import streamlit as st

from app import session
from app.components.planes import clicked, planes
from app.engine.measurements.inversion import InversionRequest, Inversions
from app.engine.measurements.masses import Masses
from app.engine.reports import Report
from app.features.lipschitz.numbers import Inverted, inverted
from app.features.lipschitz.pictures import WALKS, panes
from app.features.lipschitz.settings import LIPSCHITZ, Lipschitz
from app.metrics import is_one, with_error
from app.ui import controls, transport
from app.ui.fragments import again, button, polled
from app.ui.scene import POLL_SECONDS
from app.words import number, order_name
from resflow_core.measure.inversion import MOST_STEPS
from resflow_core.measure.invertibility import Regime
from resflow_core.settings import settings_of

PICTURES = "inverse"
# Scales that the slider has: 40 a decade.
SCALES = sorted({round(10 ** (k / 40), 3) for k in range(-40, 53)})


@polled(POLL_SECONDS)
def show() -> None:
    session.settle()
    buttons = st.container()
    bench = _controls(session.bench(Lipschitz))
    session.apply_bench(bench)
    wanted = bench.inversion
    report = session.poll(
        until=lambda report: _answers(report, wanted), frames=False, measured={"masses": True, "inversion": wanted}
    )
    with buttons:
        transport.show(report)
        transport.message(report)
    shown = report.arms[0].found(Inversions) if report.arms else None
    if shown is None:
        transport.waits(report, "The inverse is being measured")
        return
    found = session.note(inverted(shown.found))
    if bench.scale != 1 and not bench.block:  # which block is scaled must not change while the flow trains
        session.show_bench(replace(bench, block=found.block + 1))
        session.settle()
    _presets(bench, found)
    _numbers(report, found)
    st.markdown(_takeaway(found))
    chooses = session.offered(f"{LIPSCHITZ}z")
    planes(panes(shown.found, found, clickable=chooses), key=PICTURES, columns=3)
    how = "Click into the z plane, or move the ring with the arrow keys: the walks start there. " if chooses else ""
    st.caption(
        f"{how}Both planes are those of block {found.block + 1}, {session.age(shown.step)}, around the data that come "
        "to it."
    )
    if chooses and session.is_new(PICTURES, click := clicked(PICTURES)):
        session.apply_bench(replace(session.bench(Lipschitz), chosen=True, z=click[1:]))
        again()


def _answers(report: Report, wanted: InversionRequest) -> bool:
    found = report.arms[0].found(Inversions)
    return found is not None and (found.request, found.scaled) == (wanted, session.scaled())


def _controls(bench: Lipschitz) -> Lipschitz:
    blocks = session.setup().flow.blocks
    limits = {name: limit for name, (_, limit) in settings_of(Lipschitz).items()}
    bench = replace(bench, block=min(bench.block, blocks))
    place = controls.row({"block": 1, "scale": 2, "method": 1}, LIPSCHITZ)
    if "block" in place:
        block = place["block"].selectbox(
            limits["block"].label,
            range(blocks + 1),
            bench.block,
            key=f"{LIPSCHITZ}block",
            format_func=lambda k: f"block {k}" if k else "the first to fold",
            help="Whose inverse is drawn, and whose branch g is scaled.",
            filter_mode=None,
        )
        bench = replace(bench, block=block)
    if "scale" in place:
        scale = place["scale"].select_slider(
            "Scale s of its branch: f(x) = x + s g(x)",
            sorted({*SCALES, bench.scale}),
            bench.scale,
            key=f"{LIPSCHITZ}scale",
            format_func=lambda s: f"{s:g}",
            help="At s = 1 the flow is as it was trained. What you see of it is scaled on all screens; training is "
            "not.",
        )
        bench = replace(bench, scale=scale)
    if "method" in place:
        with place["method"]:
            bench = controls.edit(bench, rare=False, prefix=LIPSCHITZ, only=("method",))
    return bench


def _presets(bench: Lipschitz, found: Inverted) -> None:
    """Scales worth a look, and the way back. They are of the block that is drawn."""
    alone, least = found.bound / found.scale, found.folds_at
    choices = [("Bring it back: s = 1", 1.0, ":material/undo:", "back")]
    if np.isfinite(alone) and 0.1 <= 1 / alone <= 19:
        choices.append(("Just uncertified", round(1.01 / alone, 3), None, "uncertified"))
    if 0.1 <= least <= 19:
        choices.append(("Just folded", round(1.03 * least, 3), None, "folded"))
        choices.append(("Twice the fold", min(round(2 * least, 3), 20.0), None, "twice"))
    with st.container(horizontal=True, gap="small"):
        for label, scale, icon, key in choices if session.offered(f"{LIPSCHITZ}scale") else ():
            button(
                label,
                icon=icon,
                key=f"{LIPSCHITZ}{key}",
                on_click=session.show_bench,
                args=(replace(bench, block=found.block + 1, scale=scale),),
                disabled=scale == bench.scale,
            )
        if session.offered(f"{LIPSCHITZ}z"):
            button(
                "z where it folds first",
                key=f"{LIPSCHITZ}fold_point",
                on_click=session.apply_bench,
                args=(replace(bench, chosen=False),),
                disabled=not bench.chosen,
            )


def _numbers(report: Report, found: Inverted) -> None:
    mass = report.arms[0].found(Masses)
    with st.container(horizontal=True, gap="small", key="numbers"):
        st.metric(
            "Bound s L",
            f"{found.bound:.3g}",
            help=f"Certified Lipschitz bound of s g in the {order_name(found.order)}-norm. Below 1 it guarantees an "
            f"inverse.",
            width=110,
        )
        st.metric(
            "Smallest det(I + sA)",
            number(found.smallest_det),
            help="Over the x plane as it is drawn. It must not reach 0.",
            width=165,
        )
        st.metric(
            "Folds at s*",
            number(found.folds_at) if np.isfinite(found.folds_at) else "never",
            help="The smallest scale at which a real eigenvalue of sA reaches −1 somewhere in the x plane as it is "
            "drawn.",
            width=110,
        )
        st.metric(
            "x found for this z",
            str(found.preimages),
            help="By Newton's method from 258 starts; each is checked. There may be more.",
            width=140,
        )
        value, error = with_error(mass.exact.value, mass.exact.error) if mass else ("…", "")
        st.metric(
            "Mass of the density",
            value + ("" if not mass or is_one(mass.exact) else "  ≠ 1"),
            help=f"Integral over the plane, error {error}: 1 for an invertible flow; where f folds, points count "
            f"several "
            "times."
            if mass
            else "Not measured yet.",
            width=165,
        )
        st.metric(
            "Samples",
            "refused" if found.refusal else "given",
            help=found.refusal
            or "Every block's inverse is certified: to 1e-6, or to what rounding in single precision leaves.",
            width=105,
        )


def _takeaway(found: Inverted) -> str:
    banach = f"Banach's walk {found.fates['banach']}."
    refused = f" Samples are refused: {found.refusal}" if found.refusal else ""
    if found.regime is Regime.CERTIFIED:
        steps = f"more than {MOST_STEPS}" if found.late else f"at most {found.most_steps}"
        return (
            f"**Certified.** s L = {found.bound:.3g} is below 1: every z has exactly one x, which Banach's iteration "
            f"finds. {WALKS[found.method][0]}'s iteration takes {steps} steps here.{refused}"
        )
    if found.regime is Regime.UNCERTIFIED:
        ahead = (
            f"A fold comes at s* = {number(found.folds_at)}."
            if found.fold_ahead
            else "No negative real eigenvalue of A was seen, so none comes as s grows."
            if found.folds_at == np.inf
            else "Some eigenvalues have passed −1, in pairs."
        )
        return (
            f"**Uncertified.** s L = {found.bound:.3g} is not below 1, so nothing is guaranteed; but det(I + sA) is "
            f"positive at all {found.points:,} points of the x plane that were looked at, so no fold is seen. {ahead} "
            f"{banach}{refused}"
        )
    several = (
        f" The z that is chosen has {found.preimages} different x, each with its residual below $10^{{-9}}$."
        if found.preimages > 1
        else ""
    )
    return (
        f"**Not invertible.** det(I + sA) changes sign in the x plane: beyond the fold line the map turns the plane "
        f"over.{several} {banach}{refused}"
    )
