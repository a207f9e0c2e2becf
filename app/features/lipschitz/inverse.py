"""The inverse of one block: the walk to x, how long it takes over the plane, and how it breaks when g is scaled."""

from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import session
from app.components.planes import clicked, planes
from app.components.take import File
from app.engine.reports import Report
from app.engine.training.measurements.inversion import InversionRequest, Inversions
from app.engine.training.measurements.masses import Masses
from app.features.lipschitz import arrival, pictures, stepping, words
from app.features.lipschitz.numbers import Inverted, inverted
from app.features.lipschitz.settings import LIPSCHITZ, Lipschitz
from app.features.lipschitz.strip import strip
from app.features.lipschitz.weights import of_block
from app.metrics import is_one, with_error
from app.takeaway.programs import PROGRAMS
from app.text import csv_of
from app.ui import controls, opening, takeaway, transport
from app.ui.fragments import again, polled, rests
from app.ui.scene import POLL_SECONDS
from app.words import number, order_name
from resflow_core.measure import Mass
from resflow_core.settings import settings_of

PICTURES = "inverse"
# Scales that the slider has: 40 a decade.
SCALES = sorted({round(10 ** (k / 40), 3) for k in range(-40, 53)})


@polled(POLL_SECONDS, rests)
def show() -> None:
    session.settle()
    opening.follow(arrival.hides_settings())
    if not opening.is_due():
        beside_lesson()
    elif arrival.is_due():
        arrival.show()
    else:
        opening.lend()
        live()


def live() -> None:
    """The page's own flow, in the place of the one that the page opens with."""
    said, above = st.container(), st.container()
    bench, strip_place, row = _scaled(session.bench(Lipschitz))
    session.apply_bench(bench)
    buttons, below = st.container(), st.container()
    with (
        below,
        st.expander("Three iterations to x, and the steps that one takes from each z", key="lipschitz.steps"),
    ):
        if session.offered(f"{LIPSCHITZ}method"):
            with st.container(width=240):
                bench = controls.edit(bench, rare=False, prefix=LIPSCHITZ, only=("method",))
            session.apply_bench(bench)
        steps = st.container()
    report = _polled(bench)
    if arrival.is_due():  # it was reset
        again()
    with buttons:
        transport.show(report)
        transport.message(report)
    shown = _shown(report)
    if shown is None:
        return
    found = session.note(inverted(shown.found))
    _fix_block(bench, found)
    with row:
        _presets(bench, found)
    mass = mass_shown(report, shown)
    with said:
        if arrival.is_untrained(report):
            st.info("This flow is not trained yet. Press Play, and see when its blocks fold.")
        else:
            opening.sentence(words.answer(found, mass))
    strip_place.html(strip(_scales(bench), bench.scale, found.guaranteed, found.folds_at))
    clickable = session.offered(f"{LIPSCHITZ}z")
    with above:
        way, promised = shown.found.walks["banach"], shown.found.a_priori
        n = stepping.step(way)
        planes(
            [
                pictures.bent(shown.found, clickable=clickable),
                pictures.before(shown.found, way, n),
                pictures.undoing(way, promised, n),
            ],
            key=PICTURES,
            columns=3,
            files=_program(report, bench),
        )
        stepping.buttons(way, primary=False)
        st.markdown(stepping.told(way, promised, n))
    with steps:
        st.markdown(words.walk(found))
        planes(pictures.panes(shown.found, found, clickable=False), key="lipschitz.iteration", columns=3)
    with below, st.expander("The numbers of this block, explained, and as files", key="lipschitz.numbers"):
        st.markdown(words.table(found, mass))
        contents = {"Blocks": lambda: _by_block(shown), "Errors": lambda: _by_iteration(shown)}
        takeaway.menu(takeaway.tables("inverse", contents), key="lipschitz.live.files")
    _tell_of(shown, found, clickable)


def _scaled(bench: Lipschitz) -> tuple[Lipschitz, DeltaGenerator, DeltaGenerator]:
    """The slider with the strip above it, and what is chosen in the row below: with the places of both."""
    blocks = session.setup().flow.blocks
    bench = replace(bench, block=min(bench.block, blocks))
    with st.container(key="lipschitz.strip", gap=None):
        if is_scaled := session.offered(f"{LIPSCHITZ}scale"):
            st.caption(arrival.SCALE)
        place = st.container()
        if is_scaled:
            bench = replace(bench, scale=_scale(bench, label_visibility="collapsed"))
    row = st.container(horizontal=True, gap="small", vertical_alignment="bottom")
    if session.offered(f"{LIPSCHITZ}block"):
        with row.container(width=190):
            bench = of_block(bench, _block(bench, blocks, label_visibility="collapsed"))
    return bench, place, row


def beside_lesson() -> None:
    """As lessons speak of it."""
    buttons = st.container()
    bench = _controls(session.bench(Lipschitz))
    session.apply_bench(bench)
    report = _polled(bench)
    with buttons:
        transport.show(report)
        transport.message(report)
    shown = _shown(report)
    if shown is None:
        return
    found = session.note(inverted(shown.found))
    _fix_block(bench, found)
    with st.container(horizontal=True, gap="small"):
        _presets(bench, found)
    _numbers(mass_shown(report, shown), found)
    st.markdown(words.takeaway(found))
    clickable = session.offered(f"{LIPSCHITZ}z")
    drawn = pictures.panes(shown.found, found, clickable=clickable)
    planes(drawn, key=PICTURES, columns=3, files=_program(report, bench))
    _tell_of(shown, found, clickable)


def _program(report: Report, bench: Lipschitz) -> list[File]:
    run = takeaway.run_of(report)
    return takeaway.behind("inverse", PROGRAMS["inverse"], run, bench.inversion, needs=run)


def _polled(bench: Lipschitz) -> Report:
    wanted = bench.inversion
    return session.poll(
        until=lambda report: _answers(report, wanted), frames=False, measured={"masses": True, "inversion": wanted}
    )


def _shown(report: Report) -> Inversions | None:
    shown = report.arms[0].found(Inversions) if report.arms else None
    if shown is None:
        transport.waits(report, "The inverse is being measured")
    return shown


def _fix_block(bench: Lipschitz, found: Inverted) -> None:
    """Which block is scaled must not change while the flow trains."""
    if bench.scale != 1 and not bench.block:
        session.show_bench(replace(bench, block=found.block + 1))
        session.settle()


def _tell_of(shown: Inversions, found: Inverted, clickable: bool) -> None:
    """What the planes are, and how a click in one chooses a z."""
    how = "Click into the z plane, or move the ring with the arrow keys, to choose another z. " if clickable else ""
    st.caption(
        f"{how}Both planes belong to block {found.block + 1}, {session.age(shown.step)}. They show the region where "
        "the data reach this block."
    )
    if clickable and session.is_new(PICTURES, click := clicked(PICTURES)):
        session.apply_bench(replace(session.bench(Lipschitz), chosen=True, z=click[1:]))
        stepping.go(stepping.END)
        again()


def _by_block(shown: Inversions) -> bytes:
    return csv_of({"block": k + 1, "folds_at": float(at)} for k, at in enumerate(shown.found.breaking))


def _by_iteration(shown: Inversions) -> bytes:
    return csv_of(
        {"iteration": name, "n": n, "residual": float(walk.residual[n]), "error": float(walk.error[n])}
        for name, walk in shown.found.walks.items()
        for n in range(len(walk.residual))
    )


def _answers(report: Report, wanted: InversionRequest) -> bool:
    found = report.arms[0].found(Inversions)
    return found is not None and (found.request, found.edited) == (wanted, session.edited())


def _scales(bench: Lipschitz) -> list[float]:
    """Those that the slider has."""
    return sorted({*SCALES, bench.scale})


def _controls(bench: Lipschitz) -> Lipschitz:
    blocks = session.setup().flow.blocks
    bench = replace(bench, block=min(bench.block, blocks))
    place = controls.row({"block": 1, "scale": 2, "method": 1}, LIPSCHITZ)
    if "block" in place:
        with place["block"]:
            bench = of_block(bench, _block(bench, blocks))
    if "scale" in place:
        with place["scale"]:
            bench = replace(bench, scale=_scale(bench))
    if "method" in place:
        with place["method"]:
            bench = controls.edit(bench, rare=False, prefix=LIPSCHITZ, only=("method",))
    return bench


def _block(bench: Lipschitz, blocks: int, **how: Any) -> int:
    return st.selectbox(
        settings_of(Lipschitz)["block"][1].label,
        range(blocks + 1),
        bench.block,
        key=f"{LIPSCHITZ}block",
        format_func=lambda k: f"block {k}" if k else "the first to fold",
        help="The block whose inverse is drawn and whose branch g is scaled.",
        filter_mode=None,
        **how,
    )


def _scale(bench: Lipschitz, **how: Any) -> float:
    return st.select_slider(
        "Scale s of its branch: f(x) = x + s g(x)",
        _scales(bench),
        bench.scale,
        key=f"{LIPSCHITZ}scale",
        format_func=lambda s: f"{s:g}",
        help="At s = 1 the flow is as trained. All screens show the scaled flow; training goes on without the scale.",
        **how,
    )


def _presets(bench: Lipschitz, found: Inverted) -> None:
    """Scales worth a look, and the way back. They are of the block that is drawn."""
    alone, least = found.bound / found.scale, found.folds_at
    choices = [("Bring it back: s = 1", 1.0, ":material/undo:", "back")]
    if np.isfinite(alone) and 0.1 <= 1 / alone <= 19:
        choices.append(("Just beyond the guarantee", round(1.01 / alone, 3), None, "uncertified"))
    if 0.1 <= least <= 19:
        choices.append(("Just folded", round(1.03 * least, 3), None, "folded"))
        choices.append(("Far beyond the fold", min(round(2 * least, 3), 20.0), None, "twice"))
    for label, scale, icon, key in choices if session.offered(f"{LIPSCHITZ}scale") else ():
        st.button(
            label,
            icon=icon,
            key=f"{LIPSCHITZ}{key}",
            on_click=session.show_bench,
            args=(replace(bench, block=found.block + 1, scale=scale),),
            disabled=scale == bench.scale,
        )
    if session.offered(f"{LIPSCHITZ}z"):
        st.button(
            "Choose the z where it folds first",
            key=f"{LIPSCHITZ}fold_point",
            on_click=session.apply_bench,
            args=(replace(bench, chosen=False),),
            disabled=not bench.chosen,
        )


def mass_shown(report: Report, shown: Inversions) -> Mass | None:
    """Of the flow with the block as it is shown; None while only that of another scale is known."""
    masses = report.arms[0].found(Masses)
    return masses.exact if masses and masses.edited == shown.edited else None


def _numbers(mass: Mass | None, found: Inverted) -> None:
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
            help="Over the part of the x plane that is drawn. It must not reach 0.",
            width=165,
        )
        if not session.is_still_asked(f"{LIPSCHITZ}scale"):  # what happens at another scale
            st.metric(
                "Folds at s*",
                number(found.folds_at) if np.isfinite(found.folds_at) else "never",
                help="The smallest scale at which a real eigenvalue of sA reaches −1, over the part of the x plane "
                "that is drawn.",
                width=110,
            )
        st.metric(
            "x found for this z",
            str(found.preimages),
            help="By Newton's method from 258 starts; each is checked. There may be more.",
            width=140,
        )
        value, error = with_error(mass.value, mass.error) if mass else ("…", "")
        st.metric(
            "Mass of the density",
            value + ("" if not mass or is_one(mass) else "  ≠ 1"),
            help=f"Integral over the plane, error {error}. It is 1 for an invertible flow. If f folds, some points "
            "count several times."
            if mass
            else "Not measured yet.",
            width=165,
        )
        st.metric(
            "Samples",
            "refused" if found.refusal else "given",
            help=found.refusal
            or "The inverse of every block is certified, with an error of at most 1e-6 or of rounding in single "
            "precision.",
            width=105,
        )
