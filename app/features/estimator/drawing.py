"""The picture of draws, the buttons that draw them, and four questions as numbers with small pictures that fill."""

import math
from dataclasses import dataclass

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import session
from app.components import staircase as component
from app.components.planes import Chart, planes
from app.estimates.sample import THROWS_EACH, Sample, thrown_settings
from app.estimates.settings import BENCH, MOST_THROWS, Bench
from app.features.estimator import (
    answers,
    blind_test,
    example,
    hand_charts,
    numbers,
    small_charts,
    staircase,
    staircase_view,
    stored,
    words,
)
from app.features.estimator.hand_charts import Mean
from app.features.estimator.numbers import ByHand, Noise, SampleMean, Series, places, running_mean
from app.takeaway.programs import PROGRAMS
from app.text import csv_of, signed
from app.ui import opening, takeaway
from app.words import number
from resflow_core.estimators.draws import snippet
from resflow_core.estimators.moments import Remainders

FORMULA = (
    r"\underbrace{\widehat{\log\det}(I + A)}_{\text{one draw}} = \sum_{k=1}^{N} "
    r"\underbrace{\frac{(-1)^{k+1}}{k}}_{a_k}\; \underbrace{\frac{1}{P(N \ge k)}}_{\text{weight}}\; v^\top A^k\,v"
)
AMOUNTS = (1, 100, 10_000, MOST_THROWS)
FIRST = 10_000
LAST = 3
MOST_SAVED = 100_000


def answer(bench: Bench, sample: Sample, remainders: Remainders) -> None:
    """What estimating this matrix costs, in a sentence."""
    if not bench.is_sound:
        opening.sentence(
            f"**{blind_test.name(bench)}** claims to be unbiased. Draw, and compare its mean with the truth."
        )
    elif _is_stored(bench, sample):
        opening.sentence(stored.hand_sentence())
    else:
        opening.sentence(answers.hand_sentence(session.note(numbers.by_hand(bench, remainders))))


def _is_stored(bench: Bench, sample: Sample) -> bool:
    """Whether stored draws stand in the place of those that nobody has drawn yet."""
    return not len(sample.values) and example.is_shown(bench)


def show(bench: Bench, sample: Sample, remainders: Remainders, series: Series) -> SampleMean | None:
    """The mean of what was drawn, if it was more than one draw."""
    found, is_stored = numbers.by_hand(bench, remainders), _is_stored(bench, sample)
    noise = session.note(numbers.noise(bench, remainders))
    st.markdown(words.ABOUT)
    with st.container(key="hand.formula"):
        st.latex(FORMULA)
    buttons(sample, "Draw", first=1)
    weights = not bench.is_sound or _staircase(bench, sample, series, noise)
    mean = session.note(SampleMean.of(sample.values, series.truth)) if len(sample.values) > 1 else None
    if is_stored:
        _stored_picture(found)
        values = stored.hand_draws()
        drawn = Drawn(values, SampleMean.of(values, series.truth), f" (seed {stored.by_hand().seeds[0]})")
    else:
        values = _estimates(bench, sample, weights=weights)
        _picture(bench, sample, values, found, weights=weights)
        drawn = Drawn(values, mean, "")
        if mean and not weights:
            drawn = Drawn(values, SampleMean.of(values, series.truth), " without weights")
    _questions(bench, drawn, noise, series)
    return mean


def _staircase(bench: Bench, sample: Sample, series: Series, noise: Noise) -> bool:
    """Draws as rows and terms as columns: ideal ones before anything is drawn, and whenever they are asked for. Whether
    terms have their weights."""
    ideal, n = staircase.ideal(bench), len(sample.values)
    asks = st.container(horizontal=True, vertical_alignment="center", gap="medium")
    with asks:
        shows_ideal = not n or bool(ideal and st.toggle("Sixteen ideal draws", key="stair.ideal"))
        weights = not _weights_off(asks, bench, series.truth)
    if not n and not ideal:
        st.caption(words.NO_IDEAL)
        return weights
    if ideal and shows_ideal:
        rows, columns, sums = ideal, staircase.columns_of(bench, ideal), np.empty(0)
    else:
        numbers, drawn_n, v, _ = zip(*sample.last(staircase.ROWS)[::-1], strict=True)
        rows = staircase.drawn(bench, numbers, np.array(drawn_n), np.stack(v))
        columns = staircase.columns(thrown_settings(bench), n)
        sums = _estimates(bench, sample, weights=weights)
    component.staircase(
        staircase_view.encoded(bench, rows, columns, sums, series, noise.deviation, weights=weights),
        key="hand.staircase",
    )
    return weights


GUESSES: dict[str, int] = {"At the truth": 0, "Above the truth": 1, "Below the truth": -1}


def _weights_off(place: DeltaGenerator, bench: Bench, truth: float) -> bool:
    """What the weights are for: a prediction, the answer, and a switch that takes them away."""
    if not session.offered(f"{BENCH}throw"):
        return False
    guess = place.segmented_control("Without the weights 1 / P(N ≥ k), the mean settles", GUESSES, key="stair.guess")
    if guess is None:
        return False
    found = session.note(staircase.without_weights(bench, truth))
    st.markdown(words.without_weights(found, truth, GUESSES[guess] == found.side))
    return place.toggle("Weights off", key="stair.off")


def _stored_picture(found: ByHand) -> None:
    seeds = ", ".join(map(str, stored.by_hand().seeds))
    title = "Running means of stored draws; yours will appear here"
    chart = hand_charts.chart(found, stored.hand_means(), title, f"means of stored draws, seeds {seeds}")
    opening.picture([chart], stored.by_hand(), key="hand.picture")


def _estimates(bench: Bench, sample: Sample, *, weights: bool) -> np.ndarray:
    """Of all draws so far; without the weights from the same N and v."""
    return sample.values if weights else staircase.unweighted(thrown_settings(bench), len(sample.values))


def _picture(bench: Bench, sample: Sample, values: np.ndarray, found: ByHand, *, weights: bool) -> None:
    """The running mean of one's own draws; and where no staircase has them, the newest."""
    means = {}
    if len(values):
        at = places(len(values))
        means[f"seed {bench.seed}"] = Mean(at, running_mean(values, at))
    title = f"Mean of your {len(values):,} draws" if means else "Where the mean should be: press a button to draw"
    name = f"mean of your draws{'' if weights else ' without weights'}, seed {bench.seed}"
    chart = hand_charts.chart(found, means, title, name, is_sound=bench.is_sound)
    files = takeaway.behind(f"log-det-seed-{bench.seed}", PROGRAMS["estimate"], bench, max(2, len(values)))
    planes([chart], key="hand.picture", columns=1, files=files)
    if not bench.is_sound:
        latest(sample, "Draw")


@dataclass(frozen=True, eq=False)
class Drawn:
    """Estimates, their mean where there are two, and which they are, unless one's own."""

    values: np.ndarray
    mean: SampleMean | None
    whose: str


def _questions(bench: Bench, drawn: Drawn, noise: Noise, series: Series) -> None:
    bars = session.note(numbers.error_bars(bench, noise, series.truth))
    density = session.note(numbers.density(bench, series.truth))
    charts = [
        _unbiased(drawn, series, noise, bench.is_sound),
        _off(drawn, noise, series.truth, bench.is_sound),
        small_charts.coverage(THROWS_EACH, bars, words.intervals(bars, bench.is_sound)),
        small_charts.exponential(
            drawn.values, series.truth, density.log_factor, words.exponential(density, bench.is_sound)
        ),
    ]
    planes(charts, key="hand.questions", columns=len(charts))


def _unbiased(drawn: Drawn, series: Series, noise: Noise, is_sound: bool) -> Chart:
    """The distance of the mean from the truth."""
    if drawn.mean is None:
        said = "Its mean is the truth, exactly." if is_sound else "Draw, and see."
    else:
        said = f"{drawn.mean.size:,} draws{drawn.whose} have the mean {words.mean_and_truth(drawn.mean)}."
    return small_charts.distance(drawn.values, series, noise, said)


def _off(drawn: Drawn, noise: Noise, truth: float, is_sound: bool) -> Chart:
    """The spread of single draws."""
    whose = "" if is_sound else " of the sound estimator"
    said = f"Standard deviation{whose}: {_deviation(noise)}"
    if drawn.mean is not None:
        said += f"; of these draws {signed(f'{drawn.mean.deviation:.3g}')}"
    return small_charts.spread(drawn.values, truth, noise.deviation, f"{said}.")


def _deviation(noise: Noise) -> str:
    if not math.isfinite(noise.deviation):
        return number(noise.deviation)
    return f"{'at least ' if noise.cost.is_least else ''}{signed(f'{noise.deviation:.3g}')} nats"


def buttons(sample: Sample, verb: str, first: int | None = None) -> None:
    """A button for each amount, the primary one, `first`, before the others; and Stop or Clear."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for amount in sorted(AMOUNTS, key=lambda amount: amount != first):
            st.button(
                f"{verb} {amount:,}" if amount < MOST_THROWS else "A million",
                on_click=session.draw,
                args=(amount,),
                key=f"throw.{amount}",
                type="primary" if amount == first else "secondary",
                disabled=sample.goal >= MOST_THROWS,
            )
        if sample.busy:
            st.button("Stop", on_click=sample.stop, icon=":material/stop:", key="throw.stop")
        else:
            st.button("Clear", on_click=sample.clear, disabled=not len(sample.values), key="throw.clear")
        # Always an element: the browser keeps one that only a part of a chain of reruns has.
        place = st.empty()
        if sample.busy:
            done = f"{len(sample.values):,} of {sample.goal:,}"
            place.progress(len(sample.values) / sample.goal, done, width=260)


def latest(sample: Sample, noun: str) -> None:
    """The newest draws, in a line."""
    said = [f"{noun} {_told(draw)}" for draw in sample.last(LAST)]
    st.caption(" &nbsp;·&nbsp; ".join(said) or f"No {noun.lower()}s yet.")


def _told(draw: tuple[int, int, np.ndarray, float]) -> str:
    index, n, v, value = draw
    return f"{index:,}: N = {n}, {words.vector(v.tolist())}, estimate {number(value)}"


def program(bench: Bench, sample: Sample) -> None:
    """The draws of this page, with NumPy alone."""
    whose = "The draws of this page" if bench.is_sound else "The sound estimator's draws"
    st.caption(f"{whose}, with NumPy alone: the same seed gives the same numbers.")
    n = len(sample.values) if len(sample.values) > 1 else FIRST
    said = snippet(bench.array, bench.law, bench.probe, n, bench.seed, bench.exact_traces)
    st.code(said, language="python")


def files(bench: Bench, sample: Sample, truth: float) -> None:
    """The draws and their running mean as CSV."""
    if not len(sample.values):
        st.caption("Draw first. Then you can save the draws and their running mean here.")
        return
    made = {
        "Running mean": lambda: mean_table(sample.values, truth),
        f"First {MOST_SAVED:,} draws" if len(sample.values) > MOST_SAVED else "Draws": lambda: draws_table(sample),
    }
    takeaway.menu(takeaway.tables(f"log-det-seed-{bench.seed}", made), key="hand.take")


def mean_table(values: np.ndarray, truth: float) -> bytes:
    """The running mean as it is drawn, in nats."""
    at = places(len(values))
    pairs = zip(at.tolist(), running_mean(values, at).tolist(), strict=True)
    return csv_of({"draws": n, "mean (nats)": mean, "truth (nats)": truth} for n, mean in pairs)


def draws_table(sample: Sample) -> bytes:
    """The estimates in the order of their numbers, in nats."""
    return csv_of(
        {"draw": k, "estimate (nats)": value} for k, value in enumerate(sample.values[:MOST_SAVED].tolist(), 1)
    )
