"""The inverse of one block: the walk to x, how long it takes over the plane, and how it breaks when g is scaled."""

from dataclasses import replace

import numpy as np
import streamlit as st

from app import session
from app.components.planes import Chart, Dots, Heat, Level, Pane, Path, clicked, planes
from app.engine.measurements.inversion import InversionRequest, Inversions
from app.engine.measurements.masses import Masses
from app.engine.reports import Report
from app.features.lipschitz.settings import LIPSCHITZ, Lipschitz
from app.metrics import is_one, with_error
from app.ui import controls, transport
from app.ui.chart_style import BLUE, GREEN, GREY, PURPLE, VERMILION
from app.ui.fragments import again, button, polled
from app.ui.scene import POLL_SECONDS
from app.words import number, order_name
from resflow_core.measure import Inversion
from resflow_core.measure.inversion import MOST_STEPS
from resflow_core.measure.invertibility import Regime
from resflow_core.settings import settings_of

PICTURES = "inverse"
# Scales that the slider has: 40 a decade.
SCALES = sorted({round(10 ** (k / 40), 3) for k in range(-40, 53)})
WALKS = {"banach": ("Banach", None, "solid"), "newton": ("Newton", BLUE, "dash"), "chord": ("chord", GREEN, "dot")}
ROUNDING, FAR = 1e-16, 1e4


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
    found = shown.found
    if bench.scale != 1 and not bench.block:  # which block is scaled must not change while the flow trains
        session.show_bench(replace(bench, block=found.block + 1))
        session.settle()
    _presets(bench, found)
    _numbers(report, found)
    st.markdown(_takeaway(found))
    chooses = session.offered(f"{LIPSCHITZ}z")
    planes(_panes(found, clickable=chooses), key=PICTURES, columns=3)
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


def _presets(bench: Lipschitz, found: Inversion) -> None:
    """Scales worth a look, and the way back. They are of the block that is drawn."""
    alone = found.lipschitz / found.scale
    least = float(found.breaking[found.block])
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


def _numbers(report: Report, found: Inversion) -> None:
    mass = report.arms[0].found(Masses)
    with st.container(horizontal=True, gap="small", key="numbers"):
        st.metric(
            "Bound s L",
            f"{found.lipschitz:.3g}",
            help=f"Certified Lipschitz bound of s g in the {order_name(found.order)}-norm. Below 1 it guarantees an "
            f"inverse.",
            width=110,
        )
        st.metric(
            "Smallest det(I + sA)",
            number(found.det.min()),
            help="Over the x plane as it is drawn. It must not reach 0.",
            width=165,
        )
        st.metric(
            "Folds at s*",
            number(found.breaking[found.block]) if np.isfinite(found.breaking[found.block]) else "never",
            help="The smallest scale at which a real eigenvalue of sA reaches −1 somewhere in the x plane as it is "
            "drawn.",
            width=110,
        )
        st.metric(
            "x found for this z",
            str(len(found.preimages)),
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


def _takeaway(found: Inversion) -> str:
    bound, least = found.lipschitz, found.breaking[found.block]
    banach = found.walks["banach"].fate
    refused = f" Samples are refused: {found.refusal}" if found.refusal else ""
    if found.regime is Regime.CERTIFIED:
        name = WALKS[found.method][0]
        slow = np.isnan(found.steps).any()
        steps = f"more than {MOST_STEPS}" if slow else f"at most {np.max(found.steps):.0f}"
        return (
            f"**Certified.** s L = {bound:.3g} is below 1: every z has exactly one x, which Banach's iteration finds. "
            f"{name}'s iteration takes {steps} steps here.{refused}"
        )
    if found.regime is Regime.UNCERTIFIED:
        nodes = f"at all {found.det.size:,} points of the x plane that were looked at"
        ahead = (
            f"A fold comes at s* = {number(least)}."
            if found.scale < least < np.inf
            else "No negative real eigenvalue of A was seen, so none comes as s grows."
            if least == np.inf
            else "Some eigenvalues have passed −1, in pairs."
        )
        return (
            f"**Uncertified.** s L = {bound:.3g} is not below 1, so nothing is guaranteed; but det(I + sA) is positive "
            f"{nodes}, so no fold is seen. {ahead} Banach's walk {banach}.{refused}"
        )
    several = (
        f" The z that is chosen has {len(found.preimages)} different x, each with its residual below $10^{{-9}}$."
        if len(found.preimages) > 1
        else ""
    )
    return (
        f"**Not invertible.** det(I + sA) changes sign in the x plane: beyond the fold line the map turns the plane "
        f"over.{several} Banach's walk {banach}.{refused}"
    )


def _panes(found: Inversion, *, clickable: bool = True) -> list[Pane | Chart]:
    name = WALKS[found.method][0]
    slow = float(np.nanmax(found.steps)) if np.isfinite(found.steps).any() else 1.0
    never = float(np.isnan(found.steps).mean())
    ring = (float(found.z[0]), float(found.z[1]))
    fold = (Path(found.fold_image, "image of the fold", VERMILION, width=2.5),) if len(found.fold) else ()
    steps = Pane(
        f"z: steps that {name}'s iteration takes",
        "z₁",
        "z₂",
        found.window,
        f"Steps of {name}'s iteration to a residual of 1e-6 for every z: up to {slow:.0f}; "
        f"{100 * never:.3g} percent do not arrive in {MOST_STEPS}.",
        heat=Heat(found.steps, "steps", "", 0.0, max(slow, 1.0)),
        paths=fold,
        note=f"Grey: not there after {MOST_STEPS} steps ({100 * never:.3g} %)."
        if never
        else f"At most {slow:.0f} steps.",
        clickable=clickable,
        point=ring,
    )
    far = float(np.abs(found.det).max())
    least = float(found.det.min())
    walks = tuple(
        Path(_near(found.walks[key].x, found), f"{label}'s walk", colour, dash, 1.6, markers=key == "banach")
        for key, (label, colour, dash) in WALKS.items()
        if key != "chord"
    )
    x_plane = Pane(
        "x: det(I + sA), and the walk from z to x",
        "x₁",
        "x₂",
        found.window,
        f"det(I + s A) over the plane of x, smallest {least:.3g}. "
        + ("It changes sign along the fold line." if least < 0 else "It is positive everywhere."),
        heat=Heat(found.det, "det(I + sA)", "", -far, far, palette="signed"),
        levels=(Level(found.det, 0.0, "fold: det = 0", VERMILION, width=2.5),) if least < 0 else (),
        paths=walks,
        dots=(
            Dots(found.preimages, "x with f(x) = z", PURPLE, "star", 13),
            Dots(found.z[None], "z", None, "circle-open", 11),
        ),
        note=("Blue is where the map turns the plane over." if least < 0 else "Orange: the map keeps its orientation.")
        + _unseen(found),
    )
    return [steps, x_plane, _errors(found)]


def _unseen(found: Inversion) -> str:
    """That some x are not in the picture, where it is so."""
    low, high = np.array(found.window).T
    outside = int((~((found.preimages >= low) & (found.preimages <= high)).all(1)).sum())
    are = "is" if outside == 1 else "are"
    return f" Of the {len(found.preimages)} x found, {outside} {are} outside of the picture." if outside else ""


def _near(walk: np.ndarray, found: Inversion) -> np.ndarray:
    """A walk as far as it stays near the plane that is drawn: what leaves would draw lines across it."""
    (x0, x1), (y0, y1) = found.window
    middle, reach = np.array([(x0 + x1) / 2, (y0 + y1) / 2]), 3 * max(x1 - x0, y1 - y0)
    with np.errstate(invalid="ignore"):
        gone = ~(np.abs(walk - middle).max(1) < reach)
    return walk[: int(gone.argmax())] if gone.any() else walk


def _errors(found: Inversion) -> Chart:
    known = any(np.isfinite(walk.error).any() for walk in found.walks.values())
    what = "error ‖xₙ − x‖" if known else "residual ‖rₙ‖"
    last = 1 + max(_arrival(walk.error if known else walk.residual) for walk in found.walks.values())
    n = np.arange(len(found.a_priori))

    def line(values: np.ndarray) -> np.ndarray:
        shown = np.where(values < FAR, np.maximum(values, ROUNDING), np.nan)  # what leaves would flatten all else
        return np.stack([n, shown], 1)[:last]

    paths = [
        Path(line(walk.error if known else walk.residual), WALKS[key][0], WALKS[key][1], WALKS[key][2], 2.2)
        for key, walk in found.walks.items()
    ]
    if np.isfinite(found.a_priori).all():
        paths += [
            Path(line(found.a_posteriori), "bound ‖rₙ‖ / (1 − L), Banach", GREY, "dashdot"),
            Path(line(found.a_priori), "bound Lⁿ / (1 − L) ‖x₁ − x₀‖", GREY, "dash"),
        ]
    fates = "; ".join(f"{WALKS[key][0]} {walk.fate}" for key, walk in found.walks.items())
    return Chart(
        f"{what[0].upper()}{what[1:]} against n",
        "iteration n",
        f"{what}, {order_name(found.order)}-norm",
        tuple(paths),
        f"The {what} of three iterations against n, on a logarithmic axis: {fates}.",
        log_y=True,
        note=f"{fates}. The chord is Newton's method with its first I + sA kept.",
    )


def _arrival(values: np.ndarray) -> int:
    """Where a curve gets to rounding, or its end."""
    there = np.flatnonzero(values < 1e-14)
    return int(there[0]) if len(there) else len(values)
