"""The picture of draws by hand: their running mean, the band in which it should be, and the series that was cut.

Pure: numbers in."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from app.components.planes import Area, Chart, Path
from app.components.planes.panes import Dash
from app.features.estimator.numbers import POINTS, ByHand
from app.text import signed
from app.ui.chart_style import BLUE, GREEN, PURPLE, SKY, VERMILION
from app.words import number

HEIGHT = 270
LEAST_DRAWS = 10_000
FEW = 100
"""Draws whose mean one follows from the first on."""
BAND = 2
"""Standard errors to each side."""
MEANS: tuple[tuple[str, Dash, float], ...] = ((BLUE, "solid", 2.6), (SKY, "solid", 1.4), (PURPLE, "solid", 1.4))


@dataclass(frozen=True, eq=False)
class Mean:
    """Running means of the first `draws`, (m,) each."""

    draws: np.ndarray
    means: np.ndarray


def chart(found: ByHand, means: Mapping[str, Mean], title: str, name: str, *, is_sound: bool = True) -> Chart:
    """Against the number of draws; means by what tells them apart, with one `name` in the legend. Where they lie
    farther from the truth than is shown, they are left out."""
    end = max([LEAST_DRAWS, *(int(mean.draws[-1]) for mean in means.values())])
    half = _half(found, means, end)
    n = np.geomspace(1, end, POINTS)
    ends = np.array([1.0, end])
    areas, said, said_of_mean = [], [], False
    if math.isfinite(found.deviation) and found.deviation > 0:
        reach = np.minimum(BAND * found.deviation / np.sqrt(n), half)
        whose = "" if is_sound else " of the sound estimator"
        label = f"{BAND} standard errors{whose} around the truth"
        areas.append(Area(_points(n, found.truth - reach), _points(n, found.truth + reach), label, BLUE, 0.16))
        said.append(f"{label}, from {number(BAND * found.deviation)} nats for one draw")
    paths = [
        Path(_points(ends, [found.truth] * 2), f"truth {_nats(found.truth)}", GREEN, "dash", 2.2),
        Path(
            _points(ends, [found.truth + found.bias] * 2),
            f"cut after {found.n_terms} term{'s' * (found.n_terms != 1)}: off by {number(found.bias)}",
            VERMILION,
            "dashdot",
            2.2,
        ),
    ]
    for (label, mean), (colour, dash, width) in zip(means.items(), MEANS, strict=False):
        seen = np.where(np.abs(mean.means - found.truth) <= half, mean.means, np.nan)
        paths.append(Path(_points(mean.draws, seen), "" if said_of_mean else name, colour, dash, width))
        said_of_mean = True
        said.append(f"{label} ends at {_nats(mean.means[-1])} after {int(mean.draws[-1]):,} draws")
    alt = (
        f"Mean of the estimates against the number of draws, on a logarithmic axis from 1 to {end:,}. The truth is "
        f"{_nats(found.truth)} nats; the series cut after {found.n_terms} terms is always off by {number(found.bias)}. "
        f"{'; '.join(said)}."
    )
    return Chart(
        title,
        "draws",
        "mean of the estimates of log det(I + A), nats",
        tuple(paths),
        alt,
        log_x=True,
        areas=tuple(areas),
        height=HEIGHT,
    )


def _points(x: np.ndarray, y: object) -> np.ndarray:
    return np.stack([x, np.asarray(y, float)], 1)


def _nats(value: float) -> str:
    return signed(f"{value + 0.0:.4g}")


def _half(found: ByHand, means: Mapping[str, Mean], end: int) -> float:
    """How far from the truth is shown: so much that a bias is seen, but all of the band from 100 draws on, and all
    means of so few draws."""
    if math.isfinite(found.deviation) and found.deviation > 0:
        few = [1.05 * np.abs(one.means - found.truth).max() for one in means.values() if one.draws[-1] <= FEW]
        least, most = (BAND * found.deviation / math.sqrt(n) for n in (FEW, 1))
        return float(max([np.clip(10 * abs(found.bias), least, most), *few]))
    late = [np.abs(mean.means[mean.draws >= min(10, mean.draws[-1])] - found.truth).max() for mean in means.values()]
    return float(max([1.1 * value for value in late] + [5 * abs(found.bias), 1e-6 * max(1.0, abs(found.truth))]))
