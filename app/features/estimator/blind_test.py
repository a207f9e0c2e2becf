"""An estimator under test: which one, what its N say, and what is wrong with it, once somebody has a suspicion."""

import math

import streamlit as st

from app import session
from app.estimates.sample import Sample, chances, furthest
from app.estimates.settings import BENCH, SUSPECTS, Bench
from app.features.estimator import draw_figures as figures
from app.features.estimator.words import nats
from app.text import signed
from app.ui import controls
from app.words import ROUNDING, number
from resflow_core.estimators.draws import Draws, values
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


def beside(bench: Bench, one: Draws) -> str:
    """What the sound estimator makes of the same throw."""
    sound, mine = (signed(f"{x:.4f}") for x in (values(bench.array, bench.law, one.n, one.probe)[0], one.value[0]))
    makes = f"makes **{sound}**" if sound != mine else f"for once makes the same, **{sound}**,"
    return f"The table has the terms of the sound estimator, which {makes} of the same N and v. "


def show(bench: Bench, sample: Sample, remainders: Remainders, truth: float) -> None:
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
            _answered(bench, bug, sample, remainders, truth)


def _drawn(bench: Bench, sample: Sample) -> None:
    st.markdown("##### Does N follow its law?")
    total = len(sample.values)
    if not total:
        st.info("Throw a few, and see which N are drawn.", icon=":material/casino:")
        return
    said = _furthest(bench, sample)
    latest = ", ".join(str(n) for _, n, _, _ in sample.last(LAST))
    by_law = chances(bench.law, len(sample.counts))
    st.altair_chart(
        figures.terms(sample.counts / total, by_law, f"Share of the throws with each N, beside its law. {said}")
    )
    st.markdown(said)
    st.caption(f"Bars: share of the throws. Ticks: P(N = n) by the law that is set. The latest N first: {latest}.")


def _furthest(bench: Bench, sample: Sample) -> str:
    """The share that is furthest from the law, in standard errors of independent throws."""
    found = furthest(bench.law, sample.counts)
    if found is None:
        return "Too few throws to compare with the law."
    return (
        f"Furthest from the law is N = {found.n}: {number(100 * found.share)} % of the throws, and by the law "
        f"{number(100 * found.chance)} %. With independent throws this is {found.off:.1f} standard errors off."
    )


def _named(bench: Bench) -> str | None:
    """The bug that somebody takes it for."""
    st.markdown("##### What is wrong with it?")
    return st.radio(
        f"The bug of {name(bench)}",
        [bug for bug in FAULTY_ESTIMATORS if bug != "none"],
        index=None,
        format_func=lambda bug: FAULTY_ESTIMATORS[bug].title,
        key=f"named.{bench.suspect}",
    )


def _answered(bench: Bench, named: str, sample: Sample, remainders: Remainders, truth: float) -> None:
    """Whether it is that bug, and what the bug does to the mean."""
    bug = FAULTY_ESTIMATORS[named]
    mean = bug.mean(bench.array, bench.law)
    if bug is bench.estimator:
        said = f"Yes. {bug.wrong} In closed form {_mean(mean, truth)}{_too_short(bench, bug, remainders)}"
        st.success(said, icon=":material/check:")
        return
    said = f"No. With this bug {_mean(mean, truth)}"
    if len(thrown := sample.values) > 1:
        said += f" These throws have {nats(float(thrown.mean()), float(thrown.std(ddof=1)) / len(thrown) ** 0.5)}."
    st.warning(said, icon=":material/close:")


def _mean(mean: float, truth: float) -> str:
    if math.isnan(mean):
        return f"the mean is not known here; the truth is {_value(truth)} nats."
    if abs(mean - truth) <= ROUNDING:
        return f"the mean is the truth, **{_value(truth)}** nats."
    if _value(mean) == _value(truth):
        return f"the mean is off by **{number(mean - truth)}** nats only."
    return f"the mean is **{_value(mean)}**, and the truth is {_value(truth)} nats."


def _too_short(bench: Bench, bug: FaultyEstimator, remainders: Remainders) -> str:
    """By how much an error bar is, where throws share their N."""
    if bug.batch == 1:
        return ""
    alone = float(roulette_variance(remainders, bench.law, bench.probe).total)
    of_mean = float(batch_variance(remainders, bench.law, bug.batch, True, bench.probe))
    if not (math.isfinite(alone) and alone > 0):
        return ""
    factor = number(math.sqrt(of_mean * bug.batch / alone))
    return f" Here the true standard error of a mean is **{factor} times** the one that is told."


def _value(value: float) -> str:
    return signed(f"{value + 0.0:.{DIGITS}g}")
