"""One matrix: every term of the estimate, throws of the roulette, and how they close in on the truth. Where nothing
that throws depend on is offered, the series alone."""

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import streamlit as st
import torch

from app import session
from app.estimates.sample import THROWS_EACH, Sample
from app.estimates.settings import BENCH, MOST_THROWS, Bench
from app.features.estimator import blind_test, coins, numbers, table, words
from app.features.estimator import draw_figures as figures
from app.features.estimator.numbers import Noise, SampleMean, Series
from app.text import signed, unbroken
from app.ui import controls, heading, matrices
from app.ui.fragments import again, button
from app.words import number
from resflow_core.estimators.draws import snippet
from resflow_core.estimators.moments import Remainders, log_det_remainders, terms_for, truncation_bias
from resflow_core.settings import settings_of

ROWS, MOST_ROWS = 8, 30
LAST = 3
AMOUNTS = (1, 100, 10_000, MOST_THROWS)


def show(bench: Bench) -> None:
    throws = _throws_are_offered(bench)
    only = ("law", "probe", "n_terms", "seed")
    typed = matrices.offered()
    left, right = controls.beside((1, 2.6), bool(typed or controls.drawn(bench, prefix=BENCH, only=only)))
    with left:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            heading.section("The matrix A", width="content")
            ready_made = st.popover("Examples", type="tertiary") if typed else None
        bench = matrices.fields(bench)
        if ready_made:
            with ready_made:
                matrices.examples(bench)
        bench = controls.edit(bench, rare=False, prefix=BENCH, only=only)
    if not throws:
        with right:
            _series(bench)
        return
    with right:
        bench = _which_throw(bench)
        terms, tested = st.container(), st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    with tested:
        bench = blind_test.choose(bench)
    session.apply_bench(bench)
    remainders = _remainders(bench)
    series = session.note(numbers.series(bench, remainders))
    with terms:
        _terms(bench, session.sample(), remainders, series)
    _throwing(bench, series.truth)
    st.markdown(words.factor(session.note(numbers.density(bench, series.truth)), bench.is_sound))
    with st.expander("With real coins", expanded=coins.asked_for()):
        coins.show(bench, series.truth)


def _throws_are_offered(bench: Bench) -> bool:
    """Whether throws can be chosen, or what they are drawn with."""
    drawn_with = controls.drawn(bench, prefix=BENCH, only=("law", "probe", "seed", "suspect"))
    return session.offered(f"{BENCH}throw") or bool(drawn_with)


def _series(bench: Bench) -> None:
    """The series without any throws."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        heading.section("The series, term by term", width="stretch")
        bench = replace(bench, fractions=_in_fractions(bench))
    session.apply_bench(bench)
    remainders = _remainders(bench)
    series = session.note(numbers.series(bench, remainders))
    rows = table.terms(bench.array, _biases(remainders, max(ROWS, bench.n_terms)))
    _shown(bench, rows, bench.n_terms, series)
    st.markdown(f"{words.truth(series)} {words.cut(series.n_terms)}, the series is off by {number(series.bias)} nats.")
    _copies(bench, rows)


def _in_fractions(bench: Bench) -> bool:
    if not session.offered(f"{BENCH}fractions"):
        return bench.fractions
    help_ = settings_of(Bench)["fractions"][1].help
    return st.toggle("Fractions", bench.fractions, key=f"{BENCH}fractions", help=help_)


def _which_throw(bench: Bench) -> Bench:
    limits = settings_of(Bench)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        heading.section("One throw, term by term", width="stretch")
        fractions, index = _in_fractions(bench), bench.throw
        if session.offered(f"{BENCH}throw"):
            index = st.number_input(
                "Throw", 1, MOST_THROWS, index, key=f"{BENCH}throw", help=limits["throw"][1].help,
                label_visibility="collapsed", width=150, icon=":material/casino:",
            )  # fmt: skip
    return replace(bench, throw=int(index), fractions=fractions)


def _remainders(bench: Bench) -> Remainders:
    jacobian = torch.as_tensor(bench.array)[None]
    return log_det_remainders(jacobian, terms_for(bench.radius, bench.law.tail_ratio)).pooled()


def _terms(bench: Bench, sample: Sample, remainders: Remainders, series: Series) -> None:
    """The estimate of one throw, term by term."""
    one = sample.one(bench.throw - 1)
    found = session.note(numbers.one_draw(bench, one))
    rows = table.rows(bench.array, bench.law, one.probe[0], _biases(remainders, max(ROWS, min(found.n, MOST_ROWS))))
    _shown(bench, rows, found.n, series)
    st.markdown(
        f"{words.example(found, bench.is_sound)} {words.truth(series)} {words.cut(series.n_terms)} instead, the series "
        f"is off by {number(series.bias)} nats, however many probes are averaged."
    )
    _copies(bench, rows)


def _biases(remainders: Remainders, terms: int) -> list[float]:
    return [float(truncation_bias(remainders, k)) for k in range(1, terms + 1)]


def _shown(bench: Bench, rows: list, n: int, series: Series) -> None:
    """The table, with what bounds its biases."""
    with st.container(key="terms"):
        st.markdown(table.markdown(rows, n, _digits(bench)))
    st.caption(words.bound(series))


def _digits(bench: Bench) -> Callable[[Fraction], str]:
    return table.exact if bench.fractions else table.decimal


def _copies(bench: Bench, rows: list) -> None:
    with st.expander("Copy: CSV, LaTeX"):
        as_csv, latex = st.tabs(["CSV", "LaTeX"])
        as_csv.code(table.csv(rows), language=None)
        latex.code(table.latex(rows, _digits(bench)), language="latex")


@st.fragment
def _throwing(bench: Bench, truth: float) -> None:
    """Buttons that throw, and what the throws add up to: of many, one part after the other."""
    sample = session.sample()
    sample.go_on()
    remainders = _remainders(bench)
    noise = session.note(numbers.noise(bench, remainders))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for amount in AMOUNTS:
            button(
                f"Throw {amount:,}" if amount < MOST_THROWS else "A million",
                on_click=sample.want,
                args=(amount,),
                key=f"throw.{amount}",
                disabled=sample.goal >= MOST_THROWS,
            )
        if sample.busy:
            button("Stop", on_click=sample.stop, icon=":material/stop:", key="throw.stop")
            st.progress(len(sample.values) / sample.goal, f"{len(sample.values):,} of {sample.goal:,}", width=260)
        else:
            button("Clear", on_click=sample.clear, disabled=not len(sample.values), key="throw.clear")
    values = sample.values
    mean = session.note(SampleMean.of(values, truth)) if len(values) > 1 else None
    st.caption(" &nbsp;·&nbsp; ".join(map(_told, sample.last(LAST))) or "No throws yet.")
    first, second, third = st.columns(3, gap="medium")
    with first:
        _mean(values, mean, bench)
    with second:
        _histogram(values, mean, noise, bench)
    with third:
        _coverage(bench, truth, noise)
    blind_test.show(bench, sample, mean, remainders, truth)
    with st.expander("Copy: NumPy"):
        whose = "The throws of this page" if bench.is_sound else "The sound estimator's throws"
        st.caption(f"{whose}, with NumPy alone: the same seed gives the same numbers.")
        n = len(values) if len(values) > 1 else 10_000
        st.code(snippet(bench.array, bench.law, bench.probe, n, bench.seed), language="python")
    if sample.busy:
        again()


def _told(throw: tuple[int, int, np.ndarray, float]) -> str:
    index, n, v, value = throw
    return f"Throw {index:,}: N = {n}, v = ({number(v[0])}, {number(v[1])}), estimate {number(value)}"


def _mean(values: np.ndarray, mean: SampleMean | None, bench: Bench) -> None:
    heading.section("Is it unbiased?")
    exactly = (
        f"The mean **is** the truth, exactly: {unbroken('P(N ≥ k)')} makes up for the throws that end before term k."
        if bench.is_sound
        else "Of an estimator under test that is not known: compare its mean with the truth."
    )
    if mean is None:
        st.info(f"{exactly} Throw a few, and see.", icon=":material/casino:")
        return
    said = f"After {mean.size:,} throws the mean is {words.mean_and_truth(mean)}."
    st.altair_chart(figures.running_mean(values, mean.truth, f"Running mean of the estimates. {said}"))
    st.markdown(said)
    st.caption(f"{exactly} Dashed: the truth. Band: one standard error to each side.")


def _histogram(values: np.ndarray, mean: SampleMean | None, noise: Noise, bench: Bench) -> None:
    heading.section("How far does one estimate stray?")
    closed, terms = words.closed_form(noise, bench.is_sound), words.expected(noise)
    if mean is None:
        st.info(f"{closed}. {terms}", icon=":material/functions:")
        return
    spread = f"{closed}; these throws have {signed(f'{mean.deviation:.4g}')}. {terms}"
    chart = figures.histogram(values, mean.truth, noise.deviation, f"Histogram of the estimates. {spread}")
    st.altair_chart(chart)
    st.markdown(spread)
    band = " Band: one deviation to each side." if math.isfinite(noise.deviation) else ""
    means = ", which is the mean of all estimates" if bench.is_sound else ""
    st.caption(f"Dashed: the truth{means}.{band}")


def _coverage(bench: Bench, truth: float, noise: Noise) -> None:
    heading.section("Can its error bar be trusted?")
    found = session.note(numbers.error_bars(bench, noise, truth))
    said = words.error_bar(found, bench.is_sound)
    shares, errors = list(found.shares), list(found.errors)
    st.altair_chart(figures.coverage(list(THROWS_EACH), shares, errors, f"Coverage of the error bars. {said}"))
    st.markdown(said)
