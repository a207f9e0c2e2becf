"""Over the plane: how noisy or how biased the estimate is at each point, and where its eigenvalues lie."""

from dataclasses import replace

import numpy as np
import streamlit as st

from app import examples, session
from app.components import map_and_disc
from app.estimates.hashed_jacobians import HashedJacobians, series_problem
from app.estimates.maps import MAPS, Field, field
from app.estimates.settings import BENCH, Bench, matrix_problem
from app.ui import controls
from app.ui.fragments import button
from app.words import number

PICTURES = "map_and_disc"
DISC = "Eigenvalues of every point's A in the complex disc, coloured by the error of the truncated series."


def show(bench: Bench) -> None:
    found = session.jacobians()
    filled = bool(controls.drawn(bench, prefix=BENCH, only=("map", "block", *_estimator(bench))))
    left, right = controls.beside((1, 3.4), filled)
    with left:
        bench = _controls(bench, session.setup().flow.blocks)
    session.apply_bench(bench)
    with right:
        if found is None:
            st.info("The flow is being measured; this takes a moment.", icon=":material/hourglass:")
            return
        if problem := series_problem(HashedJacobians(found)):
            st.warning(problem, icon=":material/warning:")
            return
        bench = replace(bench, block=min(bench.block, len(found.grid)))
        drawn = field(HashedJacobians(found), bench)
        said, in_disc = _takeaway(bench, drawn), _disc(bench, drawn)
        q, chosen, of_node = bench.law.tail_ratio, MAPS[bench.map], map_and_disc.chosen_node(PICTURES)
        circles = [("1", 1.0), ("L", session.setup().flow.budget), *([("√q", q**0.5), ("q^¾", q**0.75)] if q else [])]
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
                limit=q**0.5 if q and bench.map != "bias" else None,  # which has nothing to do with the roulette
                circles=circles,
                axes=[axis.name for axis in session.setup().dataset.axes],
                alt={"map": f"{chosen.title} over the plane. {said}", "disc": f"{DISC} {in_disc}"},
            ),
            key=PICTURES,
        )
        st.markdown(f"{said} {in_disc}")
        _picked(bench, found.grid, drawn, of_node)
        st.caption(
            "Drag in the map or in the disc: what you mark lights up in both. A click in the map, or its arrow keys, "
            "choose a point. In the disc, no eigenvalue passes the budget L that layers are constrained to; inside √q "
            "the variance is finite, inside q^¾ the fourth moment too."
        )


def _controls(bench: Bench, blocks: int) -> Bench:
    if session.offered(f"{BENCH}map") or session.offered(f"{BENCH}block"):
        st.markdown("##### What is drawn")
    if not session.focused():
        _example()
    bench = controls.edit(bench, rare=False, prefix=BENCH, only=("map",))
    if session.offered(f"{BENCH}block"):
        block = st.select_slider(
            "Block",
            range(blocks + 1),
            min(bench.block, blocks),
            key=f"{BENCH}block",
            format_func=lambda k: f"block {k}" if k else "whole flow",
            help="Of the whole flow, the disc shows the block with the largest ρ at each point.",
        )
        bench = replace(bench, block=block)
    if controls.drawn(bench, prefix=BENCH, only=_estimator(bench)):
        st.markdown("##### How it is estimated")
    return controls.edit(bench, rare=False, prefix=BENCH, only=_estimator(bench))


def _estimator(bench: Bench) -> tuple[str, ...]:
    """What the map depends on of how the log det is estimated."""
    return ("n_terms",) if bench.map == "bias" else ("law", "probe", "n_probes", "n_draws", "n_terms")


def _example() -> None:
    trained = session.setup().start is not None and session.setup().start.file.name == examples.NAME
    button(
        "Use a trained flow",
        on_click=session.open_example,
        key="example",
        icon=":material/check:" if trained else ":material/model_training:",
        disabled=trained,
        help="Begin with a flow that was trained on the checkerboard; its settings take the place of yours.",
        width="stretch",
    )


def _takeaway(bench: Bench, drawn: Field) -> str:
    whose = f"Block {bench.block}" if bench.block else "The flow"
    q = bench.law.tail_ratio
    beyond = float((drawn.radius**2 > q).mean())
    values = drawn.value[~drawn.infinite]
    if bench.map == "deviation":
        if not len(values):
            return f"{whose} has **an infinite variance everywhere**: ρ² is above q = {q:.3g} at every point."
        line = (
            f"The line is ρ = √q = {q**0.5:.3g}; beyond it, on **{100 * beyond:.3g} %** of the plane, the variance "
            "is infinite (grey). "
            if beyond
            else f"No point has ρ above √q = {q**0.5:.3g}, so the variance is finite everywhere. "
        )
        one = "Elsewhere one" if beyond else "One"
        return f"{line}{one} estimate strays by {number(np.median(values))} nats in the median."
    if bench.map == "bias":
        return (
            f"{whose}, cut after {bench.n_terms} terms, is off by between {number(values.min())} and "
            f"**{number(values.max())} nats**, by {number(np.median(values))} in the median. Where it is orange, a "
            "truncated loss flatters itself."
        )
    return (
        f"{whose} has ρ up to **{values.max():.3f}**; the line is √q = {q**0.5:.3g}, and {100 * beyond:.3g} % of "
        "the plane lies beyond it."
    )


def _disc(bench: Bench, drawn: Field) -> str:
    error = drawn.series_error[:, 0]
    worst = drawn.eigenvalues[np.abs(error).argmax(), 0]
    imaginary = f" {'−' if worst.imag < 0 else '+'} {number(abs(worst.imag))}i" if worst.imag else ""
    return (
        f"In the disc, the series cut after {bench.n_terms} terms is too high (orange) at "
        f"{100 * (error > 0).mean():.3g} % of the points, and farthest off where λ = {number(worst.real)}{imaginary}."
    )


def _picked(bench: Bench, grid: np.ndarray, drawn: Field, chosen: int | None) -> None:
    """Offer the A of the chosen node; without one, of that with the largest ρ."""
    node = int(drawn.radius.argmax()) if chosen is None or chosen >= len(drawn.radius) else chosen
    block = int(drawn.leading[node])
    entries = tuple(round(float(a), 4) for a in grid[block, node].flatten())
    where = "the point with the largest ρ" if chosen is None else "the point that you chose"
    problem = matrix_problem(entries)
    with st.container(horizontal=True, vertical_alignment="center"):
        takes = session.offered(f"{BENCH}view", f"{BENCH}matrix")
        if takes:
            button(
                "Take A to the bench",
                on_click=session.show_bench,
                args=(replace(bench, view="by_hand", matrix=bench.matrix if problem else entries),),
                disabled=bool(problem),
                icon=":material/content_paste_go:",
                key="take",
            )
        st.markdown(
            f"Of {where}, in block {block + 1}: A = ({', '.join(map(number, entries))}), ρ = {drawn.radius[node]:.3f}."
            + (f" It cannot be taken: {problem}" if takes and problem else "")
        )
