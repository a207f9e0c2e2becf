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
from app.estimates.sample import REPETITIONS, THROWS_EACH, Sample, coverage, thrown_settings
from app.estimates.settings import BENCH, MOST_THROWS, Bench
from app.features.estimator import blind_test, coins, table
from app.features.estimator import draw_figures as figures
from app.features.estimator.words import finiteness, mean_and_truth
from app.metrics import with_error
from app.text import signed, unbroken
from app.ui import controls, matrices
from app.ui.fragments import again, button
from app.words import number
from resflow_core.estimators.draws import snippet
from resflow_core.estimators.moments import (
    Remainders,
    believed_log_det,
    fourth_moment_margin,
    log_det_remainders,
    roulette_variance,
    terms_for,
    truncation_bias,
)
from resflow_core.log_det import Roulette
from resflow_core.roulette import expected_terms
from resflow_core.settings import settings_of

ROWS, MOST_ROWS = 8, 30
LAST = 3
PROMISED = 0.95
AMOUNTS = (1, 100, 10_000, MOST_THROWS)


def show(bench: Bench) -> None:
    throws = _throws_are_offered(bench)
    only = ("law", "probe", "n_terms", "seed")
    typed = matrices.offered()
    left, right = controls.beside((1, 2.6), bool(typed or controls.drawn(bench, prefix=BENCH, only=only)))
    with left:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown("##### The matrix A", width="content")
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
    jacobian = torch.as_tensor(bench.array)[None]
    remainders = _remainders(bench)
    truth = float(remainders.trace[0])
    with terms:
        _terms(bench, session.sample(), remainders, truth)
    _throwing(bench, truth)
    _density(bench, jacobian, truth)


def _throws_are_offered(bench: Bench) -> bool:
    """Whether throws can be chosen, or what they are drawn with."""
    drawn_with = controls.drawn(bench, prefix=BENCH, only=("law", "probe", "seed", "suspect"))
    return session.offered(f"{BENCH}throw") or bool(drawn_with)


def _series(bench: Bench) -> None:
    """The series without any throws."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("##### The series, term by term", width="stretch")
        bench = replace(bench, fractions=_in_fractions(bench))
    session.apply_bench(bench)
    remainders = _remainders(bench)
    rows = table.terms(bench.array, _biases(remainders, max(ROWS, bench.n_terms)))
    _shown(bench, rows, bench.n_terms)
    st.markdown(f"{_truth(float(remainders.trace[0]))} {_cut(bench)}, the series is off by {_bias(bench, remainders)}.")
    _copies(bench, rows)


def _in_fractions(bench: Bench) -> bool:
    if not session.offered(f"{BENCH}fractions"):
        return bench.fractions
    help_ = settings_of(Bench)["fractions"][1].help
    return st.toggle("Fractions", bench.fractions, key=f"{BENCH}fractions", help=help_)


def _which_throw(bench: Bench) -> Bench:
    limits = settings_of(Bench)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("##### One throw, term by term", width="stretch")
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


def _terms(bench: Bench, sample: Sample, remainders: Remainders, truth: float) -> None:
    """The estimate of one throw, term by term."""
    one = sample.one(bench.throw - 1)
    n, v = int(one.n[0]), one.probe[0]
    rows = table.rows(bench.array, bench.law, v, _biases(remainders, max(ROWS, min(n, MOST_ROWS))))
    _shown(bench, rows, n)
    estimate = signed(f"{one.value[0]:.4f}")
    beside = "" if bench.is_sound else blind_test.beside(bench, one)
    st.markdown(
        f"Example: throw {bench.throw:,} drew **{unbroken(f'N = {n}')}** and "
        f"{unbroken(f'v = ({number(v[0])}, {number(v[1])})')}: its estimate is **{estimate}**. {beside}{_truth(truth)} "
        f"{_cut(bench)} instead, the series is off by {_bias(bench, remainders)}, however many probes are averaged."
    )
    _copies(bench, rows)


def _biases(remainders: Remainders, terms: int) -> list[float]:
    return [float(truncation_bias(remainders, k)) for k in range(1, terms + 1)]


def _shown(bench: Bench, rows: list, n: int) -> None:
    """The table, with what bounds its biases."""
    with st.container(key="terms"):
        st.markdown(table.markdown(rows, n, _digits(bench)))
    norm = table.norm(bench.array)
    none = "" if norm < 1 else ", where there is none: it takes a norm below 1"
    st.caption(
        rf"*Its bound*: ${{|\text{{bias}}| \le 2 \textstyle\sum_{{j>k}} \lVert A \rVert_2^j / j}}$, here with "
        rf"${{\lVert A \rVert_2 = {number(norm)}}}${none}."
    )


def _digits(bench: Bench) -> Callable[[Fraction], str]:
    return table.exact if bench.fractions else table.decimal


def _truth(truth: float) -> str:
    return f"The truth is log det(I + A) = **{signed(f'{truth + 0.0:.6g}')}** nats."


def _cut(bench: Bench) -> str:
    return f"Cut after {bench.n_terms} term{'s' * (bench.n_terms != 1)}"


def _bias(bench: Bench, remainders: Remainders) -> str:
    return f"{number(float(truncation_bias(remainders, bench.n_terms)))} nats"


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
    variance = roulette_variance(remainders, bench.law, bench.probe)
    deviation = math.sqrt(float(variance.total))
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
    st.caption(" &nbsp;·&nbsp; ".join(map(_told, sample.last(LAST))) or "No throws yet.")
    first, second, third = st.columns(3, gap="medium")
    with first:
        _mean(values, truth, bench)
    with second:
        _histogram(values, truth, deviation, bench, variance)
    with third:
        _coverage(bench, truth, math.isinf(deviation))
    blind_test.show(bench, sample, remainders, truth)
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


def _mean(values: np.ndarray, truth: float, bench: Bench) -> None:
    st.markdown("##### Is it unbiased?")
    exactly = (
        f"The mean **is** the truth, exactly: {unbroken('P(N ≥ k)')} makes up for the throws that end before term k."
        if bench.is_sound
        else "Of an estimator under test that is not known: compare its mean with the truth."
    )
    if len(values) < 2:
        st.info(f"{exactly} Throw a few, and see.", icon=":material/casino:")
        return
    mean, error = float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5)
    said = f"After {len(values):,} throws the mean is {mean_and_truth(mean, error, truth)}."
    st.altair_chart(figures.running_mean(values, truth, f"Running mean of the estimates. {said}"))
    st.markdown(said)
    st.caption(f"{exactly} Dashed: the truth. Band: one standard error to each side.")


def _histogram(values: np.ndarray, truth: float, deviation: float, bench: Bench, variance) -> None:
    st.markdown("##### How far does one estimate stray?")
    whose = "the deviation" if bench.is_sound else "a sound estimator's deviation"
    if not math.isfinite(deviation):
        why = finiteness(bench.radius, bench.law.tail_ratio)
        closed = f"In closed form {whose} is **{number(deviation)}**: {why}"
    else:
        least = "at least " if float(variance.rest) > 0.01 * deviation**2 else ""
        closed = (
            f"In closed form {whose} is **{least}{signed(f'{deviation:.4g}')} nats**; of the variance, "
            f"{number(float(variance.probe))} is the probe's and {number(float(variance.roulette))} the roulette's"
        )
    mean = f"{expected_terms(bench.law):.3g}"
    terms = f"On average {'1 term is' if mean == '1' else f'{mean} terms are'} computed"
    if len(values) < 2:
        st.info(f"{closed}. {terms}.", icon=":material/functions:")
        return
    spread = f"{closed}; these throws have {signed(f'{values.std(ddof=1):.4g}')}. {terms}."
    st.altair_chart(figures.histogram(values, truth, deviation, f"Histogram of the estimates. {spread}"))
    st.markdown(spread)
    band = " Band: one deviation to each side." if math.isfinite(deviation) else ""
    means = ", which is the mean of all estimates" if bench.is_sound else ""
    st.caption(f"Dashed: the truth{means}.{band}")


def _coverage(bench: Bench, truth: float, is_infinite: bool) -> None:
    st.markdown("##### Can its error bar be trusted?")
    shares, errors = coverage(thrown_settings(bench), truth)
    last = f"{100 * shares[-1]:.0f}"  # none or all of them have no error
    if errors[-1]:
        last = " \N{PLUS-MINUS SIGN} ".join(with_error(100 * shares[-1], 100 * errors[-1]))
    said = (
        f"Of {REPETITIONS} repetitions of {THROWS_EACH[-1]:,} throws, **{last} %** have "
        "the truth within 1.96 standard errors; 95 % are promised."
    )
    settles = fourth_moment_margin(bench.law, torch.tensor(bench.radius)) > 0
    what = "variance" if is_infinite else "fourth moment"
    if not settles and bench.is_sound:
        # Where the tail is one-sided, as with an eigenvalue near -1, most samples know nothing of it.
        short = ", and too many are too short" if shares[-1] + 3 * errors[-1] < PROMISED else ""
        said += f" The {what} is infinite here, so that the length of an error bar never settles{short}."
    elif not settles:
        said += f" The sound estimator's {what} is infinite here: its error bars are not to be trusted either."
    st.altair_chart(figures.coverage(list(THROWS_EACH), shares, errors, f"Coverage of the error bars. {said}"))
    st.markdown(said)


def _density(bench: Bench, jacobian: torch.Tensor, truth: float) -> None:
    """What the estimate is worth as a density, and the same with coins."""
    believed = float(believed_log_det(Roulette(bench.law, bench.probe), jacobian))
    if math.isinf(believed):
        factor = "**infinite** here"
    elif believed - truth > 20:
        factor = f"**e^{believed - truth:.4g}** times det(I + A)"
    else:
        factor = f"**{math.exp(believed - truth):.4g}** times det(I + A)"
    whose = "" if bench.is_sound else "of the sound estimator "
    st.markdown(f"An unbiased log-density is not an unbiased density: E exp(estimate) {whose}is {factor}.")
    with st.expander("With real coins", expanded=coins.asked_for()):
        coins.show(bench, truth)
