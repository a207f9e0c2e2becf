"""Over the plane: how noisy or how biased the estimate is at each point, and where its eigenvalues lie."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import streamlit as st

from app import examples, session
from app.components import map_and_disc
from app.engine.reports import MOVING, Report
from app.engine.training.measurements.jacobians import Jacobians
from app.estimates.hashed_jacobians import HashedJacobians, series_problem
from app.estimates.maps import MAPS, Field, field
from app.estimates.settings import BENCH, Bench, matrix_problem
from app.features.estimator import answers, stored
from app.features.estimator.answers import OnPlane
from app.features.estimator.evidence import DATA, FLOW, STEPS, TRAIN, radius_of, with_paper
from app.features.estimator.verdicts import infinite_points
from app.features.estimator.words import cut
from app.takeaway.programs import PROGRAMS
from app.ui import controls, heading, opening, share, takeaway
from app.words import number

PICTURES = "map_and_disc"
OF_THE_ROULETTE = " Inside the circle √q the variance is finite. Inside q^¾ the fourth moment is finite too."
PLAYS = "plane.plays"
"""Of the session: whether a flow whose settings were just chosen trains as soon as it is there."""
DISC = "Eigenvalues of every point's A in the complex disc, coloured by the error of the truncated series."


def offers_its_own(view: str, report: Report) -> bool:
    """Whether the view opens with buttons of its own in the place of those that train."""
    return view == "plane" and _is_stored(_step(report)) and not session.focused() and report.state not in MOVING


def _step(report: Report) -> int:
    return report.arms[0].step if report.arms else 0


def _is_stored(step: int) -> bool:
    """Whether stored flows stand in the place of one that nobody has trained."""
    return opening.is_due() and not step and session.setup().start is None


def hides_settings() -> bool:
    """Whether the stored flows stand alone, without the settings of the page's own."""
    return offers_its_own(session.view(Bench), session.last_report()) and not opening.wants_settings()


def play_soon() -> None:
    """Train as soon as the settings that were just chosen hold."""
    if st.session_state.pop(PLAYS, False):
        session.play_or_pause(until=STEPS)


def _train() -> None:
    """The flow of the stored map, with its estimator."""
    opening.want_settings()
    session.use(DATA, FLOW, TRAIN)
    session.show_bench(with_paper(session.bench()))
    st.session_state[PLAYS] = True


def _opening() -> None:
    """The answer on trained flows, and what begins one's own."""
    opening.sentence(stored.plane_sentence())
    if not session.focused() and session.last_report().state not in MOVING:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button(
                f"Train this flow: {STEPS:,} steps",
                type="primary",
                icon=":material/play_arrow:",
                on_click=_train,
                key="plane.train",
            )
            if hides_settings():
                opening.settings_button("plane.settings")
            else:
                st.button(
                    "Train with my settings", on_click=session.play_or_pause, icon=":material/tune:", key="plane.own"
                )
            _example("content")
            share.of_settings("bench")
    opening.picture(stored.plane_panes(), stored.plane(), key="plane.stored", columns=2)


def show(bench: Bench) -> None:
    found = session.jacobians()
    is_stored = _is_stored(found.step if found else 0)
    if is_stored and not session.focused():
        session.apply_bench(bench)
        _opening()
        return
    answer = st.container()
    filled = bool(controls.drawn(bench, prefix=BENCH, only=("map", "block", *_estimator(bench))))
    left, right = controls.beside((1, 3.4), filled)
    with left:
        bench = _controls(bench, session.setup().flow.blocks)
    session.apply_bench(bench)
    with right:
        if is_stored:
            _opening()
            return
        if found is None:
            st.info("The flow is being measured; this takes a moment.", icon=":material/hourglass:")
            return
        if problem := series_problem(HashedJacobians(found)):
            st.warning(problem, icon=":material/warning:")
            return
        bench = replace(bench, block=min(bench.block, len(found.grid)))
        drawn = field(HashedJacobians(found), bench)
        if opening.is_due():
            with answer:
                opening.sentence(_live_sentence(bench, found))
        otherwise = replace(bench, first_exact=not bench.first_exact)
        other = field(HashedJacobians(found), otherwise) if bench.map == "deviation" else drawn
        said = _takeaway(session.note(mapped(bench, drawn, other)))
        eigenvalues = _disc(session.note(in_disc(bench, drawn)))
        q = bench.law.tail_ratio if bench.map != "bias" else None  # which has nothing to do with the roulette
        chosen, of_node = MAPS[bench.map], map_and_disc.chosen_node(PICTURES)
        circles = [("1", 1.0), ("L", session.setup().flow.budget), *([("√q", q**0.5), ("q^¾", q**0.75)] if q else [])]
        run = takeaway.run_of(session.last_report())
        map_and_disc.show(
            map_and_disc.scene(
                found.window,
                drawn.value,
                drawn.infinite,
                drawn.radius,
                drawn.eigenvalues,
                drawn.series_error,
                title=f"{chosen.title}, {session.age(found.step)}",
                name=chosen.name,
                unit=chosen.unit,
                signed=chosen.diverging,
                limit=q**0.5 if q else None,
                circles=circles,
                axes=[axis.name for axis in session.setup().dataset.axes],
                alt={"map": f"{chosen.title} over the plane. {said}", "disc": f"{DISC} {eigenvalues}"},
            ),
            key=PICTURES,
            files=takeaway.behind("estimates-on-the-plane", PROGRAMS["plane"], run, bench, needs=run),
        )
        st.markdown(f"{said} {eigenvalues}")
        _picked(bench, session.note(picked(found.grid, drawn, of_node)))
        st.caption(
            "Drag in the map or in the disc to mark points; they light up in both. Click in the map, or use the arrow "
            "keys, to choose a point. In the disc, no eigenvalue lies beyond the Lipschitz budget L."
            + (OF_THE_ROULETTE if q else "")
        )


def _controls(bench: Bench, blocks: int) -> Bench:
    if session.offered(f"{BENCH}map") or session.offered(f"{BENCH}block"):
        heading.section("What is drawn")
    if not session.focused():
        _example("stretch")
    bench = controls.edit(bench, rare=False, prefix=BENCH, only=("map",))
    if session.offered(f"{BENCH}block"):
        block = st.select_slider(
            "Block",
            range(blocks + 1),
            min(bench.block, blocks),
            key=f"{BENCH}block",
            format_func=lambda k: f"block {k}" if k else "whole flow",
            help="For the whole flow, the disc shows the block with the largest ρ at each point.",
        )
        bench = replace(bench, block=block)
    if controls.drawn(bench, prefix=BENCH, only=_estimator(bench)):
        heading.section("How it is estimated")
    return controls.edit(bench, rare=False, prefix=BENCH, only=_estimator(bench))


def _estimator(bench: Bench) -> tuple[str, ...]:
    """What the map depends on of how the log det is estimated."""
    return ("n_terms",) if bench.map == "bias" else ("law", "probe", "n_probes", "n_draws", "first_exact", "n_terms")


def _live_sentence(bench: Bench, found: Jacobians) -> str:
    """Of the flow in training, at its held-out points."""
    q = bench.law.tail_ratio
    points = infinite_points(radius_of(found.points), q)
    return answers.plane_sentence(OnPlane((points.share,), (points.safe,), q), session.age(found.step))


def _example(width: Literal["stretch", "content"]) -> None:
    trained = session.setup().start is not None and session.setup().start.file.name == examples.NAME
    st.button(
        "Use a trained flow",
        on_click=session.open_example,
        key="example",
        icon=":material/check:" if trained else ":material/model_training:",
        disabled=trained,
        help="Begin with a flow that was trained on the checkerboard. Its settings replace yours.",
        width=width,
    )


@dataclass(frozen=True)
class Mapped:
    """What the map shows, over the nodes of the plane; the values are in the map's unit."""

    map: str  # of `MAPS`
    block: int  # 1, 2, ...; 0 is the whole flow
    n_terms: int  # of the truncated series
    tail_ratio: float  # q
    beyond: float  # the share of the nodes where ρ² > q
    low: float  # of the values that are finite; the three are NaN if none is
    median: float
    high: float
    first_exact: bool  # of the estimates,
    otherwise: float  # and the median of those with the first term estimated where it is exact, or the other way round

    @property
    def is_infinite(self) -> bool:
        """Whether it is infinite everywhere."""
        return math.isnan(self.median)


def mapped(bench: Bench, drawn: Field, other: Field) -> Mapped:
    """`other`: the same with the first term estimated where it is exact, or the other way round."""
    q, values = bench.law.tail_ratio, drawn.value[~drawn.infinite]
    beyond = float((drawn.radius**2 > q).mean())
    found = (values.min(), np.median(values), values.max()) if len(values) else (math.nan,) * 3
    otherwise = float(np.median(other.value[~other.infinite])) if len(values) else math.nan
    low, median, high = map(float, found)
    return Mapped(bench.map, bench.block, bench.n_terms, q, beyond, low, median, high, bench.first_exact, otherwise)


def _takeaway(found: Mapped) -> str:
    whose = f"Block {found.block}" if found.block else "The flow"
    q, beyond = found.tail_ratio, f"{100 * found.beyond:.3g} %"
    if found.map == "deviation":
        if found.is_infinite:
            return f"{whose} has **an infinite variance everywhere**: ρ² is above q = {q:.3g} at every point."
        line = (
            f"The line is ρ = √q = {q**0.5:.3g}; beyond it, on **{beyond}** of the plane, the variance "
            "is infinite (grey). "
            if found.beyond
            else f"No point has ρ above √q = {q**0.5:.3g}, so the variance is finite everywhere. "
        )
        one = "Elsewhere one" if found.beyond else "One"
        first = "estimated" if found.first_exact else "exact"
        return (
            f"{line}{one} estimate is typically off by {number(found.median)} nats (median over the plane); with the "
            f"first term {first} it would be {number(found.otherwise)}."
        )
    if found.map == "bias":
        return (
            f"{cut(found.n_terms)}, the log det of {whose.lower()} is off by {number(found.low)} to "
            f"**{number(found.high)} nats** (median {number(found.median)}). Where the map is orange it is too high, "
            "so a truncated loss looks better than it is."
        )
    return (
        f"{whose} has ρ up to **{found.high:.3f}**; the line is √q = {q**0.5:.3g}, and {beyond} of "
        "the plane lies beyond it."
    )


@dataclass(frozen=True)
class InDisc:
    """The error of the truncated series at the larger eigenvalue of each node."""

    n_terms: int
    too_high: float  # the share of the nodes where it is positive
    farthest: complex  # the eigenvalue where it is largest in absolute value


def in_disc(bench: Bench, drawn: Field) -> InDisc:
    error = drawn.series_error[:, 0]
    worst = complex(drawn.eigenvalues[np.abs(error).argmax(), 0])
    return InDisc(bench.n_terms, float((error > 0).mean()), worst)


def _disc(found: InDisc) -> str:
    worst = found.farthest
    imaginary = f" {'−' if worst.imag < 0 else '+'} {number(abs(worst.imag))}i" if worst.imag else ""
    return (
        f"In the disc, the series {cut(found.n_terms).lower()} is too high (orange) at {100 * found.too_high:.3g} % of "
        f"the points. It is farthest off at λ = {number(worst.real)}{imaginary}."
    )


@dataclass(frozen=True)
class Picked:
    """The A of one node and one block."""

    is_chosen: bool  # or the node with the largest ρ
    block: int  # from 0; the one with the largest ρ there
    entries: tuple[float, ...]  # row by row, as they can be typed
    radius: float  # ρ
    problem: str | None  # why the bench cannot have it, with the remedy


def picked(grid: np.ndarray, drawn: Field, chosen: int | None) -> Picked:
    """Of the node `chosen`, of which there may be fewer by now; without one, of that with the largest ρ."""
    node = int(drawn.radius.argmax()) if chosen is None or chosen >= len(drawn.radius) else chosen
    block = int(drawn.leading[node])
    entries = tuple(round(float(a), 4) for a in grid[block, node].flatten())
    return Picked(chosen is not None, block, entries, float(drawn.radius[node]), matrix_problem(entries))


def _picked(bench: Bench, found: Picked) -> None:
    """Offer it to the bench."""
    where = "the point that you chose" if found.is_chosen else "the point with the largest ρ"
    with st.container(horizontal=True, vertical_alignment="center"):
        takes = session.offered(f"{BENCH}view", f"{BENCH}matrix")
        if takes:
            st.button(
                "Check this A by hand",
                on_click=session.show_bench,
                args=(replace(bench, view="by_hand", matrix=bench.matrix if found.problem else found.entries),),
                disabled=bool(found.problem),
                icon=":material/content_paste_go:",
                key="take",
            )
        a, b, c, d = map(number, found.entries)
        st.markdown(
            f"At {where}, in block {found.block + 1}: A has the rows ({a}, {b}) and ({c}, {d}). Its spectral radius is "
            f"ρ = {found.radius:.3f}." + (f" It cannot be taken: {found.problem}" if takes and found.problem else "")
        )
