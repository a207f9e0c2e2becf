"""Four questions as small pictures: how a mean closes in on the truth, how single draws spread, how many intervals
contain the truth, and what becomes of exp(estimate). Pure: numbers in."""

import math
from collections.abc import Sequence

import numpy as np

from app.components.planes import Area, Chart, Path
from app.features.estimator import words
from app.features.estimator.bars import binned
from app.features.estimator.numbers import PROMISED, ErrorBars, Noise, Series, places, running_mean
from app.ui.chart_style import BLUE, GREEN, GREY, ORANGE, VERMILION
from app.words import number

HEIGHT = 112
BINS = 40
LEAST_DRAWS = 10_000
LARGEST_LOG = 280.0
"""Of e^x as a float64, to base 10, with room for what multiplies it."""


def distance(values: np.ndarray, series: Series, noise: Noise, said: str) -> Chart:
    """|mean - truth| against the number of draws beside the standard error that it should have, and the bias of the
    series that is cut. Both axes are logarithmic."""
    end = max(LEAST_DRAWS, len(values))
    ends, paths = np.array([1.0, end]), []
    if abs(series.bias) > 0:
        paths.append(Path(_line(ends, [abs(series.bias)] * 2), "cut series", VERMILION, "dashdot", 2.0))
    if math.isfinite(noise.deviation) and noise.deviation > 0:
        paths.append(Path(_line(ends, noise.deviation / np.sqrt(ends)), "standard error", GREY, "dash", 2.0))
    if len(values):
        at = places(len(values))
        off = np.abs(running_mean(values, at) - series.truth)
        paths.append(Path(_line(at, np.where(off > 0, off, np.nan)), "mean of draws", BLUE, "solid", 1.8))
    return Chart(
        words.UNBIASED,
        "draws",
        "|mean − truth|, nats",
        tuple(paths),
        "Distance of the mean from the truth against the number of draws. The cut series is always off by "
        f"{number(abs(series.bias))} nats. {said}",
        log_x=True,
        log_y=True,
        note=said,
        height=HEIGHT,
    )


def spread(values: np.ndarray, truth: float, deviation: float, said: str) -> Chart:
    """A histogram of the draws, over one standard deviation to each side of the truth."""
    areas, paths = [], []
    reach = 3 * deviation if math.isfinite(deviation) and deviation > 0 else 1.0
    low, high, top = truth - reach, truth + reach, 1.0
    if len(values) > 1:
        bars = binned(values, truth, deviation, BINS)
        low, high = float(bars.edges[0]), float(bars.edges[-1])
        shares = 100 * bars.shares
        top = float(shares.max())
        x, y = np.repeat(bars.edges, 2)[1:-1], np.repeat(shares, 2)
        areas.append(Area(_line(x, np.zeros_like(y)), _line(x, y), "draws", BLUE, 0.55))
    paths.append(Path(np.array([[truth, 0.0], [truth, top]]), "truth", GREEN, "dash", 2.0))
    if math.isfinite(deviation) and deviation > 0:
        ends = np.array([max(truth - deviation, low), min(truth + deviation, high)])
        areas.insert(0, Area(_line(ends, [0.0, 0.0]), _line(ends, [top, top]), "± one standard deviation", ORANGE, 0.2))
    return Chart(
        words.OFF,
        "estimate, nats",
        "% of the draws",
        tuple(paths),
        f"Histogram of the estimates around the truth. {said}",
        note=said,
        areas=tuple(areas),
        height=HEIGHT,
    )


def coverage(draws: Sequence[int], found: ErrorBars, said: str) -> Chart:
    """The share of intervals that contain the truth, for means of so many draws each."""
    n, shares, errors = np.array(draws, float), 100 * np.array(found.shares), 100 * np.array(found.errors)
    bars = [np.array([[k, s - e], [k, s + e], [np.nan] * 2]) for k, s, e in zip(n, shares, errors, strict=True)]
    ends = np.array([n[0], n[-1]])
    paths = (
        Path(_line(ends, [100 * PROMISED] * 2), f"{100 * PROMISED:.0f} % should", GREEN, "dash", 2.0),
        Path(_line(n, shares), "contain it", BLUE, "dot", 1.6, markers=True),
        Path(np.concatenate(bars), "", BLUE, "solid", 1.6),
    )
    return Chart(
        words.TRUSTED,
        "draws in each mean",
        "% that contain it",
        paths,
        f"Share of 95 % confidence intervals that contain the truth, against the draws in each. {said}",
        log_x=True,
        note=said,
        height=HEIGHT,
    )


def exponential(values: np.ndarray, truth: float, log_factor: float | None, said: str) -> Chart:
    """The running mean of exp(estimate) / det(I + A) against the number of draws. Both axes are logarithmic."""
    end = max(LEAST_DRAWS, len(values))
    ends = np.array([1.0, end])
    paths = [Path(_line(ends, [1.0, 1.0]), "det(I + A)", GREEN, "dash", 2.0)]
    if log_factor is not None and log_factor / math.log(10) < LARGEST_LOG:
        paths.append(Path(_line(ends, [math.exp(log_factor)] * 2), "E exp", VERMILION, "dashdot", 2.0))
    if len(values):
        at = places(len(values))
        mean = np.logaddexp.accumulate(values - truth)[at - 1] - np.log(at)
        seen = np.where(np.abs(mean) < LARGEST_LOG * math.log(10), mean, np.nan)
        paths.append(Path(_line(at, np.exp(seen)), "mean of draws", BLUE, "solid", 1.8))
    return Chart(
        "Is exp(estimate) unbiased too?",
        "draws",
        "mean exp / det",
        tuple(paths),
        f"Mean of exp(estimate) over det(I + A) against the number of draws; unbiased would be 1. {said}",
        log_x=True,
        log_y=True,
        note=said,
        height=HEIGHT,
    )


def _line(x: np.ndarray, y: object) -> np.ndarray:
    return np.stack([x, np.asarray(y, float)], 1)
