"""Variances across the settings of the roulette: which are finite, what they cost, and when bias is the lesser evil."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import session
from app.components.planes import planes
from app.components.take import File
from app.estimates.hashed_jacobians import HashedJacobians, series_problem
from app.estimates.settings import BENCH, Bench
from app.features.estimator import answers, cost_chart, over_batches, over_p, presets, verdicts
from app.features.estimator.sweeps import P, Subject, across_p, cost, points_of, subject_of
from app.features.estimator.verdicts import Products
from app.takeaway.programs import PROGRAMS
from app.text import csv_of
from app.ui import controls, heading, matrices, opening, takeaway

SUBJECT = ("subject", "quantity")
ESTIMATOR = ("law", "probe", "n_probes", "n_draws", "first_exact", "n_terms", "batch")
TELLS = {over_p.product: "optimal_terms", over_batches.shared: "shared_deviation"}
"""The observable of lessons that a picture gives away."""


def show(bench: Bench) -> None:
    answer = st.container()
    with st.container(key="bench_beside"):
        left, right = controls.beside((1, 3.6 if opening.is_due() else 2.9), _has_controls(bench))
    with left:
        bench, ready_made = _controls(bench)
    session.apply_bench(bench)
    if bench.subject == "flow":
        opening.lend()
    found = session.jacobians() if bench.subject == "flow" else None
    problem = series_problem(HashedJacobians(found)) if found else None
    subject = None if problem else subject_of(bench, found)
    with right:
        if problem:
            st.warning(problem, icon=":material/warning:")
            return
        if subject is None:
            st.info("The flow is being measured; this takes a moment.", icon=":material/hourglass:")
            return
        if opening.is_due():
            if found and not found.step and session.setup().start is None:
                st.info("This flow is not trained yet. Press Play, and its numbers appear here.")
                return
            _page(bench, subject, answer)
        else:
            _beside_lesson(bench, subject)
    if ready_made:
        with ready_made:
            presets.choose(bench, subject)


def _page(bench: Bench, subject: Subject, answer: DeltaGenerator) -> None:
    """What an estimate costs against p; all else folded."""
    found = session.note(verdicts.products(bench, subject))
    said = answers.cost_sentence(found)
    with answer:
        opening.sentence(said)
    _take_best(bench, found)
    here = cost(subject, bench.law, bench.probe, bench.n_probes, bench.n_draws)
    run = takeaway.run_of(session.last_report()) if bench.subject == "flow" else None
    files = [
        File("CSV: costs against p", "cost-against-p.csv", lambda: cost_table(subject, bench)),
        *takeaway.behind("cost-against-p", PROGRAMS["settings"], bench, run, needs=run),
    ]
    chart = cost_chart.chart(across_p(subject, bench), found, bench.law, here, said)
    planes([chart], key="across.cost", columns=1, files=files)
    st.markdown(over_p.cheapest(found, bench.quantity))
    parts = "The variance and its parts: which p are safe, and what an exact first term and the probe save"
    with st.expander(parts, key="across.variance"):
        pictures = [over_p.variance, over_p.first_term, over_p.probes]
        if bench.subject == "flow":
            pictures.insert(0, over_p.infinite_share)
        _in_pairs(pictures, bench, subject)
    with st.expander("Means over a batch: one N for all points, and when a cut series is better", key="across.batch"):
        _in_pairs([over_batches.shared, over_batches.batch_error], bench, subject)
    with st.expander("Known estimators: bias, standard deviation and cost of each", key="across.named"):
        _named(bench, subject)


def cost_table(subject: Subject, bench: Bench) -> bytes:
    """A row for each p and number of exact terms; what is infinite is an empty cell."""
    return csv_of(
        {
            "exact terms": n,
            "p": float(p),
            "variance by the probe (nats^2)": _finite(one.probe),
            "variance by random stopping (nats^2)": _finite(one.roulette),
            "expected terms": one.terms,
            "variance x expected terms (nats^2)": _finite(one.product),
        }
        for n, of_p in across_p(subject, bench).items()
        for p, one in zip(P, of_p, strict=True)
    )


def _finite(value: float) -> float | str:
    return value if np.isfinite(value) else ""


def _take_best(bench: Bench, found: Products) -> None:
    """The primary action: the cheapest law in the place of the one that is set."""
    if found.geometric is None or not session.offered(f"{BENCH}law"):
        return
    law, _ = found.geometric
    terms = f"{law.n_exact} exact term{'s' * (law.n_exact != 1)}"
    st.button(
        f"Set the cheapest: p = {law.p:.3g} after {terms}",
        type="primary",
        on_click=session.show_bench,
        args=(replace(bench, law=law),),
        key="across.best",
        icon=":material/check:" if bench.law == law else ":material/savings:",
        disabled=bench.law == law,
    )


def _beside_lesson(bench: Bench, subject: Subject) -> None:
    """What lessons describe, in their order."""
    pictures = [
        over_p.variance,
        over_p.product,
        over_p.probes,
        over_p.first_term,
        over_batches.shared,
        over_batches.batch_error,
    ]
    if bench.subject == "flow":
        pictures.insert(0, over_p.infinite_share)
    told = [draw for draw in pictures if not session.is_still_asked(TELLS.get(draw, ""))]
    _in_pairs(told, bench, subject)
    heading.section("Known estimators")
    _named(bench, subject)


def _in_pairs(pictures: Sequence[Callable[[Bench, Subject], None]], bench: Bench, subject: Subject) -> None:
    for first in range(0, len(pictures), 2):
        for column, draw in zip(st.columns(2, gap="medium"), pictures[first : first + 2], strict=False):
            with column:
                draw(bench, subject)


def _named(bench: Bench, subject: Subject) -> None:
    with st.container(key="named"):
        st.markdown(presets.table(bench, subject))


def _has_controls(bench: Bench) -> bool:
    of_gradient = ("entry",) if bench.quantity != "log_det" else ()
    only = (*SUBJECT, *of_gradient, *ESTIMATOR)
    return bool(controls.drawn(bench, prefix=BENCH, only=only)) or (bench.subject == "matrix" and matrices.offered())


def _controls(bench: Bench) -> tuple[Bench, DeltaGenerator | None]:
    """The bench as it now stands, and the popover that presets go into, if any is offered."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        heading.section("What is estimated", width="content")
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
            st.caption(f"Mean over {points} held-out points, {session.age(found.step)}. Measured again at each pause.")
    if bench.quantity != "log_det":
        bench = controls.edit(bench, rare=False, prefix=BENCH, only=("entry",))
    named = None
    if controls.drawn(bench, prefix=BENCH, only=ESTIMATOR):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            heading.section("How it is estimated", width="content")
            named = st.popover("Presets", type="tertiary") if presets.offered() else None
    return controls.edit(bench, rare=False, prefix=BENCH, only=ESTIMATOR), named
