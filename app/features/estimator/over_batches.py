"""Pictures against the batch: what one N for all leaves, and when a biased estimator is the better one."""

import numpy as np
import streamlit as st

from app import session
from app.components.take import File
from app.estimates.settings import Bench
from app.features.estimator import across_figures as figures
from app.features.estimator.sweeps import Subject, across_batches
from app.features.estimator.verdicts import BatchErrors, SharedN, batch_errors, shared_n
from app.features.estimator.words import cut, finiteness
from app.takeaway.programs import PROGRAMS
from app.ui import heading, settled, takeaway
from app.words import ROUNDING, apart, number

WINNERS = {"roulette": "the roulette", "truncated": "the truncated series", "neither": "neither"}


def shared(bench: Bench, subject: Subject) -> None:
    heading.section("One N for the whole batch?")
    found, batches = session.note(shared_n(bench, subject)), across_batches(subject, bench)
    if not np.isfinite(found.shared):
        st.info(f"Both variances are {number(found.shared)} with this law: {finiteness(found.tail)}.")
        return
    said = _one_for_all(found)
    chart = figures.batches(
        batches.sizes,
        {"an N for each point": batches.own, "one N for all": batches.shared},
        bench.batch,
        "deviation of the mean (nats)",
        f"Standard deviation of a batch mean against the batch. {said}",
    )
    settled.show(chart, "Deviation of a batch mean", key="across.shared", files=_program(bench))
    st.markdown(said)


def _program(bench: Bench) -> tuple[File, ...]:
    run = takeaway.run_of(session.last_report()) if bench.subject == "flow" else None
    return tuple(takeaway.behind("batch-means", PROGRAMS["batch"], bench, run, needs=run))


def _one_for_all(found: SharedN) -> str:
    of_all, of_each = apart(found.shared, found.own)
    stays = " The part from the shared N never averages out, however large the batch is." if found.stays else ""
    return (
        f"The mean of a batch of {found.batch:,} is typically off by **{of_all}** nats with one N for all points, and "
        f"by **{of_each}** nats with an N for each point.{stays}"
    )


def batch_error(bench: Bench, subject: Subject) -> None:
    heading.section("When is a biased estimator better?")
    batches = across_batches(subject, bench)
    said = _contest(session.note(batch_errors(bench, subject)))
    chart = figures.batches(
        batches.sizes,
        {"roulette": batches.own, f"{bench.n_terms} terms": batches.truncated},
        bench.batch,
        "RMSE of the batch mean (nats)",
        f"Root mean squared error of a batch mean against the batch. {said}",
    )
    settled.show(chart, "Error of a batch mean", key="across.error", files=_program(bench))
    st.markdown(said)


def _contest(found: BatchErrors) -> str:
    truncated, roulette = apart(found.truncated, found.roulette)
    said = (
        f"{cut(found.n_terms)}, the series is off by {number(found.bias)} nats in every batch. At B = {found.batch:,} "
        f"its root mean squared error is {truncated}, and that of the roulette {roulette}"
    )
    if found.winner == "undecided":
        return f"{said}."
    return f"{said}: **{WINNERS[found.winner]} wins**. {_crossing(found)}"


def _crossing(found: BatchErrors) -> str:
    where = found.crossing
    if np.isinf(where):
        return "The lines never cross." if np.isfinite(found.roulette) else "The roulette's error is never smaller."
    if found.are_equal and abs(found.bias) <= ROUNDING:
        return "Both have no bias and the same noise."
    if where >= 1e9:
        return f"Being unbiased would pay only from a batch of {number(where)} on."
    if where <= 1:
        return "The roulette wins for every batch."
    return f"From a batch of about **{where:,.0f}** on, being unbiased pays."
