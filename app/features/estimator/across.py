"""Variances across the settings of the roulette: which are finite, what they cost, and when bias is the lesser evil."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import session
from app.estimates.hashed_jacobians import HashedJacobians, series_problem
from app.estimates.settings import BENCH, Bench
from app.features.estimator import over_batches, over_p, presets
from app.features.estimator.sweeps import points_of, subject_of
from app.ui import controls, heading, matrices

SUBJECT = ("subject", "quantity")
ESTIMATOR = ("law", "probe", "n_probes", "n_draws", "n_terms", "batch")


def show(bench: Bench) -> None:
    left, right = controls.beside((1, 2.9), _has_controls(bench))
    with left:
        bench, ready_made = _controls(bench)
    session.apply_bench(bench)
    found = session.jacobians()
    problem = series_problem(HashedJacobians(found)) if found and bench.subject == "flow" else None
    subject = None if problem else subject_of(bench, found)
    with right:
        if problem:
            st.warning(problem, icon=":material/warning:")
            return
        if subject is None:
            st.info("The flow is being measured; this takes a moment.", icon=":material/hourglass:")
            return
        pictures = [over_p.variance, over_p.product, over_p.probes, over_batches.shared, over_batches.batch_error]
        if bench.subject == "flow":
            pictures.insert(0, over_p.infinite_share)
        for first in range(0, len(pictures), 2):
            for column, draw in zip(st.columns(2, gap="medium"), pictures[first : first + 2], strict=False):
                with column:
                    draw(bench, subject)
        heading.section("Estimators with a name, here")
        with st.container(key="named"):
            st.markdown(presets.table(bench, subject))
    if ready_made:
        with ready_made:
            presets.choose(bench, subject)


def _has_controls(bench: Bench) -> bool:
    of_gradient = ("entry",) if bench.quantity != "log_det" else ()
    only = (*SUBJECT, *of_gradient, *ESTIMATOR)
    return bool(controls.drawn(bench, prefix=BENCH, only=only)) or (bench.subject == "matrix" and matrices.offered())


def _controls(bench: Bench) -> tuple[Bench, DeltaGenerator | None]:
    """The bench as it now stands, and the popover that presets go into, if any is offered."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        heading.section("Whose estimate", width="content")
        is_matrix = bench.subject == "matrix"
        ready_made = st.popover("Examples", type="tertiary", disabled=not is_matrix) if matrices.offered() else None
    bench = controls.edit(bench, rare=False, prefix=BENCH, only=SUBJECT)
    if bench.subject == "matrix":
        bench = matrices.fields(bench)
        if ready_made:
            with ready_made:
                matrices.examples(bench)
    else:
        found = session.jacobians()
        if found:
            points = min(found.points.shape[1], points_of(bench.quantity))
            st.caption(f"Mean over {points} held-out points, {session.age(found.step)}. Measured anew at each pause.")
    if bench.quantity != "log_det":
        bench = controls.edit(bench, rare=False, prefix=BENCH, only=("entry",))
    named = None
    if controls.drawn(bench, prefix=BENCH, only=ESTIMATOR):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            heading.section("How it is estimated", width="content")
            named = st.popover("Presets", type="tertiary") if presets.offered() else None
    return controls.edit(bench, rare=False, prefix=BENCH, only=ESTIMATOR), named
