"""Buttons that draw, and what the draws add up to, as lessons name and order them."""

import math

import numpy as np
import streamlit as st

from app import session
from app.estimates.sample import THROWS_EACH
from app.estimates.settings import BENCH, Bench
from app.features.estimator import blind_test, drawing, numbers, words
from app.features.estimator import draw_figures as figures
from app.features.estimator.bars import binned
from app.features.estimator.hand_charts import BAND
from app.features.estimator.numbers import Noise, SampleMean
from app.text import signed, unbroken
from app.ui import heading, settled
from app.ui.fragments import again
from resflow_core.estimators.moments import Remainders

BINS = 60


@st.fragment
def show(bench: Bench, remainders: Remainders, truth: float) -> None:
    """Of many draws one part after the other."""
    sample = session.go_on_drawing()
    noise = session.note(numbers.noise(bench, remainders))
    drawing.buttons(sample, "Draw")
    values = sample.values
    mean = session.note(SampleMean.of(values, truth)) if len(values) > 1 else None
    drawing.latest(sample, "Draw")
    tells = not session.is_still_asked("coverage")
    # Without draws the first two are short texts: each in a column of its own would leave it empty.
    columns = st.columns((1 if mean is None else 2) + tells, gap="medium")
    with columns[0]:
        _mean(values, mean, bench)
    with columns[0 if mean is None else 1]:
        _histogram(values, mean, noise, bench)
    if tells:
        with columns[-1]:
            _coverage(bench, truth, noise)
    blind_test.show(bench, sample, mean, remainders, truth)
    with st.expander("Copy: NumPy"):
        drawing.program(bench, sample)
    if sample.busy:
        again()


def _mean(values: np.ndarray, mean: SampleMean | None, bench: Bench) -> None:
    heading.section(words.UNBIASED)
    exactly = (
        f"The mean **is** the truth, exactly: {unbroken('P(N ≥ k)')} makes up for the draws that end before term k."
        if bench.is_sound
        else "The estimator under test may be biased: compare its mean with the truth."
    )
    if mean is None:
        st.info(f"{exactly} Draw a few, and see.", icon=":material/casino:")
        return
    said = f"After {mean.size:,} draws the mean is {words.mean_and_truth(mean)}."
    chart = figures.running_mean(values, mean.truth, f"Running mean of the estimates. {said}")
    settled.show(chart, "Running mean of the estimates", key="lesson.mean")
    st.markdown(said)
    st.caption(f"{exactly} Dashed: the truth. Band: {BAND} standard errors to each side.")


def _histogram(values: np.ndarray, mean: SampleMean | None, noise: Noise, bench: Bench) -> None:
    heading.section(words.OFF)
    closed, terms = words.closed_form(noise, bench.is_sound), words.expected(noise, bench.is_sound)
    if mean is None:
        st.info(f"{closed}. {terms}", icon=":material/functions:")
        return
    spread = f"{closed}. The standard deviation of these draws is {signed(f'{mean.deviation:.4g}')} nats. {terms}"
    bars = binned(values, mean.truth, noise.deviation, BINS)
    chart = figures.histogram(bars, mean.truth, noise.deviation, f"Histogram of the estimates. {spread}")
    settled.show(chart, "Histogram of the estimates", key="lesson.histogram")
    st.markdown(spread)
    band = " Band: one standard deviation to each side." if math.isfinite(noise.deviation) else ""
    means = ", which is also the expected value of the estimate" if bench.is_sound else ""
    far = f" The outermost bars also count the {bars.beyond:,} draws beyond them." if bars.beyond else ""
    st.caption(f"Dashed: the truth{means}.{band}{far}")


def _coverage(bench: Bench, truth: float, noise: Noise) -> None:
    heading.section(words.TRUSTED)
    found = session.note(numbers.error_bars(bench, noise, truth))
    said = words.error_bar(found, bench.is_sound, session.offered(f"{BENCH}seed"))
    shares, errors = list(found.shares), list(found.errors)
    chart = figures.coverage(list(THROWS_EACH), shares, errors, f"Coverage of the error bars. {said}")
    settled.show(chart, "Coverage of the error bars", key="lesson.coverage")
    st.markdown(said)
