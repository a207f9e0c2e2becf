"""An estimator under test: which one, what its N say, and what is wrong with it, once somebody has a suspicion."""

import math
from dataclasses import dataclass

import streamlit as st

from app import session
from app.estimates.sample import Sample, Share, chances, furthest
from app.estimates.settings import BENCH, SUSPECTS, Bench
from app.features.estimator import draw_figures as figures
from app.features.estimator.numbers import SampleMean
from app.features.estimator.words import nats
from app.text import signed
from app.ui import controls, heading, settled
from app.words import ROUNDING, number
from resflow_core.estimators.faulty_estimators import FAULTY_ESTIMATORS, FaultyEstimator
from resflow_core.estimators.moments import Remainders, batch_variance, roulette_variance

LAST = 20
DIGITS = 6


def choose(bench: Bench) -> Bench:
    """Who is under test."""
    with st.container(width=240):
        bench = controls.edit(bench, rare=False, prefix=BENCH, only=("suspect",))
    if not bench.is_sound:
        st.markdown(f"**{name(bench)} is under test**: it claims to be unbiased. Is it?", width="stretch")
    return bench


def name(bench: Bench) -> str:
    return SUSPECTS[bench.suspect].title


def show(bench: Bench, sample: Sample, mean: SampleMean | None, remainders: Remainders, truth: float) -> None:
    """Which N were drawn, and a place to say what is wrong. A lesson about suspects asks that itself, and looks at the
    sound estimator's N as well."""
    step = session.step_over("estimator")
    asked = step is not None and f"{BENCH}suspect" in step.settings
    if bench.is_sound and not asked:
        return
    drawn, named, answered = st.columns(3, gap="medium")
    with drawn:
        _drawn(bench, sample)
    if asked:
        return
    with named:
        bug = _named(bench)
    if bug:
        with answered:
            _answered(session.note(answer(bench, bug, remainders, truth)), mean)


def _drawn(bench: Bench, sample: Sample) -> None:
    heading.section("Does N follow its law?")
    total = len(sample.values)
    if not total:
        st.info("Draw a few, and see which N occur.", icon=":material/casino:")
        return
    said = _furthest(furthest(bench.law, sample.counts))
    latest = ", ".join(str(n) for _, n, _, _ in sample.last(LAST))
    by_law = chances(bench.law, len(sample.counts))
    told = f"Share of the draws with each N, beside its law. {said}"
    settled.show(figures.terms(sample.counts / total, by_law, told), "Does N follow its law", key="blind.terms")
    st.markdown(said)
    st.caption(
        f"Bars: share of the draws. Ticks: P(N = n) by the law that is set. The newest N, latest first: {latest}."
    )


def _furthest(found: Share | None) -> str:
    """The share that is furthest from the law, in standard errors of independent draws."""
    if found is None:
        return "Too few draws to compare with the law."
    return (
        f"N = {found.n} differs most from the law: {number(100 * found.share)} % of the draws have it, and by the law "
        f"it should be {number(100 * found.chance)} %. If draws are independent, this is {found.off:.1f} standard "
        "errors off."
    )


def _named(bench: Bench) -> str | None:
    """The bug that somebody takes it for."""
    heading.section("What is wrong with it?")
    return st.radio(
        f"The bug of {name(bench)}",
        [bug for bug in FAULTY_ESTIMATORS if bug != "none"],
        index=None,
        format_func=lambda bug: FAULTY_ESTIMATORS[bug].title,
        key=f"named.{bench.suspect}",
    )


@dataclass(frozen=True)
class Answer:
    """Whether the bug of the estimator under test was named, and what the named bug does. In nats."""

    bug: FaultyEstimator  # as it was named
    is_right: bool
    mean: float  # of an estimator with this bug; NaN if it is not known
    truth: float
    stretched: float | None  # the true standard error of a mean over the one that is told; None if that cannot be said

    @property
    def is_unbiased(self) -> bool:
        return abs(self.mean - self.truth) <= ROUNDING


def answer(bench: Bench, named: str, remainders: Remainders, truth: float) -> Answer:
    bug = FAULTY_ESTIMATORS[named]
    is_right = bug is bench.estimator
    stretched = _stretched(bench, bug, remainders) if is_right else None
    return Answer(bug, is_right, bug.mean(bench.array, bench.law, bench.exact_traces), truth, stretched)


def _stretched(bench: Bench, bug: FaultyEstimator, remainders: Remainders) -> float | None:
    """By how much an error bar is too short if throws share their N."""
    if bug.batch == 1:
        return None
    alone = float(roulette_variance(remainders, bench.law, bench.probe).total)
    of_mean = float(batch_variance(remainders, bench.law, bug.batch, True, bench.probe))
    return math.sqrt(of_mean * bug.batch / alone) if math.isfinite(alone) and alone > 0 else None


def _answered(found: Answer, thrown: SampleMean | None) -> None:
    """Whether it is that bug, and what the bug does to the mean."""
    if found.is_right:
        short = (
            f" Here the true standard error of a mean is **{number(found.stretched)} times** the one that is reported."
            if found.stretched is not None
            else ""
        )
        st.success(f"Yes. {found.bug.wrong} In closed form {_mean(found)}{short}", icon=":material/check:")
        return
    said = f"No. With this bug {_mean(found)}"
    if thrown is not None:
        said += f" The mean of these draws is {nats(thrown.mean, thrown.error)}."
    st.warning(said, icon=":material/close:")


def _mean(found: Answer) -> str:
    mean, truth = _value(found.mean), _value(found.truth)
    if math.isnan(found.mean):
        return f"the mean is not known here; the truth is {truth} nats."
    if found.is_unbiased:
        return f"the mean is the truth, **{truth}** nats."
    if mean == truth:
        return f"the mean is off by only **{number(found.mean - found.truth)}** nats."
    return f"the mean is **{mean}**, and the truth is {truth} nats."


def _value(value: float) -> str:
    return signed(f"{value + 0.0:.{DIGITS}g}")
