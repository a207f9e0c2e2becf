"""Pictures against the batch: what one N for all leaves, and when a biased estimator is the better one."""

import numpy as np
import streamlit as st

from app.estimates.settings import Bench
from app.features.estimator import across_figures as figures
from app.features.estimator.sweeps import Subject, across_batches, crossing
from app.features.estimator.words import finiteness
from app.words import ROUNDING, apart, number


def shared(bench: Bench, subject: Subject) -> None:
    st.markdown("##### One N for the whole batch?")
    found = across_batches(subject, bench)
    at = int(np.searchsorted(found.sizes, bench.batch))
    own, shared = found.own[at], found.shared[at]
    if not np.isfinite(shared):
        why = finiteness(subject.radius, bench.law.tail_ratio)
        st.info(f"Both variances are {number(shared)} with this law: {why}.")
        return
    of_all, of_each = apart(shared, own)
    said = (
        f"In a batch of {bench.batch:,}, one N for all strays by **{of_all}**, N of its own for each point by "
        f"**{of_each}**"
    )
    said += ": what the shared draw adds never averages out." if shared > own + ROUNDING else "."
    chart = figures.batches(
        found.sizes,
        {"N of its own": found.own, "one N for all": found.shared},
        bench.batch,
        "deviation of the batch mean (nats)",
        f"Standard deviation of a batch mean against the batch. {said}",
    )
    st.altair_chart(chart)
    st.markdown(said)


def batch_error(bench: Bench, subject: Subject) -> None:
    st.markdown("##### When is a biased estimator the better one?")
    found = across_batches(subject, bench)
    at = int(np.searchsorted(found.sizes, bench.batch))
    roulette, truncated = found.own[at], found.truncated[at]
    where = crossing(subject, bench)
    bias = subject.bias(bench.n_terms)
    same = abs(roulette - truncated) <= 1e-12 * truncated
    winner = "neither" if same else "the roulette" if roulette < truncated else "the truncated series"
    errors = apart(truncated, roulette)
    said = (
        f"Cut after {bench.n_terms} term{'s' * (bench.n_terms != 1)}, the series is off by {number(bias)} nats in "
        f"every batch. At B = {bench.batch:,} its error is {errors[0]}, the roulette's {errors[1]}: "
        f"**{winner} wins**. "
    )
    if np.isnan(roulette):
        said = said.partition(": **")[0] + "."
    elif np.isinf(where):
        said += "The roulette's never becomes the smaller one." if not np.isfinite(roulette) else "They never cross."
    elif same and abs(bias) <= ROUNDING:
        said += "Without bias and with the same noise, they are alike."
    elif where >= 1e9:
        said += f"Only from a batch of {number(where)} on would being unbiased pay."
    elif where <= 1:
        said += "The roulette wins for every batch."
    else:
        said += f"From a batch of about **{where:,.0f}** on, being unbiased pays."
    chart = figures.batches(
        found.sizes,
        {"roulette": found.own, f"{bench.n_terms} terms": found.truncated},
        bench.batch,
        "RMSE of the batch mean (nats)",
        f"Root mean squared error of a batch mean against the batch. {said}",
    )
    st.altair_chart(chart)
    st.markdown(said)
