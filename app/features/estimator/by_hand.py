"""One matrix: what a draw of the estimate costs, and every term of it. Where nothing that draws depend on is offered,
the series alone; beside a lesson the draws come first."""

from collections.abc import Callable, Collection
from dataclasses import replace
from fractions import Fraction

import streamlit as st

from app import session
from app.estimates.sample import Sample
from app.estimates.settings import BENCH, MOST_THROWS, Bench
from app.features.estimator import (
    blind_test,
    coins,
    drawing,
    drawing_in_lesson,
    example,
    numbers,
    own_draw,
    paste,
    table,
    words,
)
from app.features.estimator.numbers import Series
from app.ui import controls, heading, matrices, opening
from app.ui.fragments import again
from app.words import number
from resflow_core.estimators.moments import Remainders, truncation_bias
from resflow_core.settings import settings_of

ROWS, MOST_ROWS = 8, 30
ONLY = ("law", "probe", "first_exact", "n_terms", "seed")


def show(bench: Bench) -> None:
    example.arrive()
    if not _throws_are_offered(bench):
        _series_alone(bench)
    elif opening.is_due():
        _page(bench)
    else:
        _beside_lesson(bench)


def _throws_are_offered(bench: Bench) -> bool:
    """Whether draws can be chosen, or what they are drawn with."""
    drawn_with = controls.drawn(bench, prefix=BENCH, only=("law", "probe", "first_exact", "seed", "suspect"))
    return session.offered(f"{BENCH}throw") or bool(drawn_with)


def _page(bench: Bench) -> None:
    """The answer, the settings beside the picture of draws, and all else folded."""
    answer = st.container()
    with st.container(key="bench_beside"):
        left, right = controls.beside((1, 3.6), _has_settings(bench))
    with left:
        bench = _settings(bench)
        example.further(bench)
    terms = st.expander("One draw term by term: the table, and as files", key="hand.terms")
    own = None if session.focused() else st.expander("A draw of your own: choose N and v", key="hand.own")
    tested = st.expander("Estimators with a bug: find it", expanded=not bench.is_sound, key="hand.tested")
    with terms:
        bench = _which_throw(bench)
    with tested, st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        bench = blind_test.choose(bench)
    session.apply_bench(bench)
    remainders = numbers.remainders_of(bench)
    series = session.note(numbers.series(bench, remainders))
    sample = session.go_on_drawing()
    with answer:
        drawing.answer(bench, sample, remainders)
    with right:
        mean = drawing.show(bench, sample, remainders, series)
    with terms:
        _terms(bench, sample, remainders, series)
    if own:
        with own:
            own_draw.show(bench, biases(remainders, own_draw.MOST_N), series.truth)
    with tested:
        blind_test.show(bench, sample, mean, remainders, series.truth)
    with st.expander(
        "With real coins: a sheet to print, and a field for the draws of a class", expanded=coins.asked_for()
    ):
        coins.show(bench, series.truth)
    with st.expander("The draws as files, and a NumPy program of 15 lines that repeats them", key="hand.files"):
        drawing.files(bench, sample, series.truth)
        drawing.program(bench, sample)
    if sample.busy:
        again()


def _has_settings(bench: Bench) -> bool:
    return bool(matrices.offered() or controls.drawn(bench, prefix=BENCH, only=ONLY))


def _settings(bench: Bench) -> Bench:
    """The matrix and how its log det is estimated, in the order in which one needs them."""
    typed = matrices.offered()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        heading.section("The matrix A", width="content")
        ready_made = st.popover("Examples", type="tertiary") if typed else None
        pasted = st.popover("Size or paste", type="tertiary") if typed and not session.focused() else None
    bench = matrices.fields(bench)
    if typed and opening.is_due() and not session.focused():
        matrices.from_flow(bench)
    if ready_made:
        with ready_made:
            matrices.examples(bench)
    if pasted:
        with pasted:
            paste.show(bench)
    return controls.edit(bench, rare=False, prefix=BENCH, only=ONLY)


def _beside_lesson(bench: Bench) -> None:
    """The draws beside the settings that they depend on, since the tasks of lessons are about these. Below them one
    draw, term by term; above them real coins, where the step waits for these."""
    left, right = controls.beside((1, 3.6), _has_settings(bench))
    with left:
        bench = _settings(bench)
    with right:
        tossed = st.container()
        tested, draws = st.container(horizontal=True, vertical_alignment="bottom", gap="small"), st.container()
    terms = st.container()
    with tested:
        bench = blind_test.choose(bench)
    with terms, st.container(horizontal=True, vertical_alignment="center", gap="small"):
        heading.section("One draw, term by term", width="stretch")
        bench = _which_throw(bench)
    session.apply_bench(bench)
    remainders = numbers.remainders_of(bench)
    series = session.note(numbers.series(bench, remainders))
    with draws:
        drawing_in_lesson.show(bench, remainders, series.truth)
        if not session.is_still_asked("factor"):
            st.markdown(words.factor(session.note(numbers.density(bench, series.truth)), bench.is_sound))
    with terms:
        _terms(bench, session.sample(), remainders, series)
    if coins.lead_on(bench):
        # The step that waits for coins has them in sight: they are all that is done in it.
        with tossed if coins.asked_for() else st.container(), st.expander("With real coins", coins.asked_for()):
            coins.show(bench, series.truth)


def _series_alone(bench: Bench) -> None:
    """The series without any draws."""
    left, right = controls.beside((1, 2.6), _has_settings(bench))
    with left:
        bench = _settings(bench)
    with right:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            heading.section("The series, term by term", width="stretch")
            bench = replace(bench, fractions=_in_fractions(bench))
        session.apply_bench(bench)
        remainders = numbers.remainders_of(bench)
        series = session.note(numbers.series(bench, remainders))
        rows = table.terms(bench.array, biases(remainders, max(ROWS, bench.n_terms)))
        told = not session.is_still_asked("bias")
        without = () if told else table.OF_CUT
        _shown(bench, rows, bench.n_terms if told else 0, series, without)
        off = f" {words.cut(series.n_terms)} (bold), the series is off by {number(series.bias)} nats." if told else ""
        st.markdown(f"{words.truth(series)}{off}")
        with st.expander("Copy: CSV, LaTeX"):
            _copies(bench, rows, without)


def _in_fractions(bench: Bench) -> bool:
    if not session.offered(f"{BENCH}fractions"):
        return bench.fractions
    help_ = settings_of(Bench)["fractions"][1].help
    return st.toggle("Fractions", bench.fractions, key=f"{BENCH}fractions", help=help_)


def _which_throw(bench: Bench) -> Bench:
    """Fields for the draw that is looked at, in a row."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        fractions, index = _in_fractions(bench), bench.throw
        if session.offered(f"{BENCH}throw"):
            index = st.number_input(
                "Draw number", 1, MOST_THROWS, index, key=f"{BENCH}throw",
                help=settings_of(Bench)["throw"][1].help, label_visibility="collapsed", width=150,
                icon=":material/casino:",
            )  # fmt: skip
    return replace(bench, throw=int(index), fractions=fractions)


def _terms(bench: Bench, sample: Sample, remainders: Remainders, series: Series) -> None:
    """The estimate of one draw, term by term."""
    one = sample.one(bench.throw - 1)
    found = session.note(numbers.one_draw(bench, one))
    cut = biases(remainders, max(ROWS, min(found.n, MOST_ROWS)))
    rows = table.rows(bench.array, bench.law, one.probe[0], cut, bench.exact_traces)
    _shown(bench, rows, found.n, series)
    st.markdown(
        f"{words.example(found, len(rows), bench.is_sound)} {words.truth(series)} {words.cut(series.n_terms)} instead, "
        f"the series is off by {number(series.bias)} nats, however many probes are averaged."
    )
    if opening.is_due():
        _copies(bench, rows)
    else:
        with st.expander("Copy: CSV, LaTeX"):
            _copies(bench, rows)


def biases(remainders: Remainders, terms: int) -> list[float]:
    """Of the series cut after 1, ..., `terms` terms."""
    return [float(truncation_bias(remainders, k)) for k in range(1, terms + 1)]


def _shown(bench: Bench, rows: list, n: int, series: Series, without: Collection[str] = ()) -> None:
    """The table, with what bounds its biases."""
    with st.container(key="terms"):
        st.markdown(table.markdown(rows, n, _digits(bench), without))
    if "bound" not in without:
        st.caption(words.bound(series))


def _digits(bench: Bench) -> Callable[[Fraction], str]:
    return table.exact if bench.fractions else table.decimal


def _copies(bench: Bench, rows: list, without: Collection[str] = ()) -> None:
    as_csv, latex = st.tabs(["CSV", "LaTeX"])
    as_csv.code(table.csv(rows, without), language=None)
    latex.code(table.latex(rows, _digits(bench), without), language="latex")
