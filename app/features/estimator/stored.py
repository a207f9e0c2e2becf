"""The stored answers on the page: draws of the example in the place of one's own, and the map of trained flows."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from app import evidence
from app.components.planes import Chart, Dots, Heat, Level, Pane, Path
from app.components.planes.panes import Dash
from app.evidence import Stored
from app.features.estimator import answers
from app.features.estimator.evidence import (
    BY_HAND,
    DATA,
    PLANE,
    last_means,
    read_by_hand,
    read_map,
    read_plane,
)
from app.features.estimator.example import EXAMPLE
from app.features.estimator.hand_charts import Mean
from app.features.estimator.sweeps import P
from app.text import unbroken
from app.ui.chart_style import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION
from app.words import number
from resflow_core.data import DATASETS
from resflow_core.estimators.draws import draw_estimates

LINES: tuple[tuple[str, Dash], ...] = ((BLUE, "solid"), (ORANGE, "dash"), (PURPLE, "dot"))
"""Of the seeds."""


def by_hand() -> Stored:
    return evidence.stored(BY_HAND)


def plane() -> Stored:
    return evidence.stored(PLANE)


def hand_means() -> Mapping[str, Mean]:
    """The stored draws, by their seeds."""
    kept = by_hand()
    at = np.array(kept.found["draws"])
    pairs = zip(kept.seeds, kept.found["means"], strict=True)
    return {f"seed {seed}": Mean(at, np.array(means)) for seed, means in pairs}


@lru_cache(maxsize=1)
def hand_draws() -> np.ndarray:
    """The draws behind the first of the stored means, which their seed repeats."""
    kept = by_hand()
    size, seed = int(kept.found["draws"][-1]), kept.seeds[0]
    return draw_estimates(EXAMPLE.array, EXAMPLE.law, EXAMPLE.probe, size, seed).value


def hand_sentence() -> str:
    """From what is stored, with what speaks against it."""
    found = by_hand().found
    answer = read_by_hand(found)
    against = answers.contradiction(answer, last_means(found), int(found["draws"][-1]))
    return " ".join(filter(None, (answers.hand_sentence(answer), against)))


def plane_sentence() -> str:
    kept = plane()
    return answers.plane_sentence(read_plane(kept.found), f"{len(kept.seeds)} seeds")


def plane_panes() -> list[Pane | Chart]:
    """The map of the first seed, and the share of points with an infinite variance against p for every seed."""
    kept = plane()
    found, answer = read_map(kept.found), read_plane(kept.found)
    x, y = (axis.name for axis in DATASETS[DATA].axes)
    limit = answer.ratio**0.5
    heat = Heat(found.deviation, "standard deviation of one estimate", "nats", found.low, found.high)
    line = Level(found.radius, limit, f"ρ = √q = {limit:.3g}: beyond it infinite variance (grey)", width=1.6)
    dots = (
        Dots(found.points[~found.beyond], "held-out points, finite variance", None, "circle", 5.0),
        Dots(found.points[found.beyond], "held-out points, infinite variance", VERMILION, "x", 6.5),
    )
    first = Pane(
        f"Standard deviation of one estimate, seed {kept.seeds[0]}: infinite at {100 * answer.shares[0]:.0f} % of the "
        "points",
        x,
        y,
        found.window,
        "Map of the standard deviation of one estimate of log p over the plane, of a flow trained on "
        f"{DATASETS[DATA].title}. Where it is finite its median is {number(found.median)} nats. It is infinite in the "
        f"grey region, where most of the data lie. {plane_sentence()}",
        heat,
        (line,),
        dots=dots,
    )
    return [first, _against_p(kept, answer)]


def _against_p(kept: Stored, answer: answers.OnPlane) -> Chart:
    paths = [
        Path(np.stack([P, 100 * np.array(shares)], 1), f"seed {seed}", colour, dash)
        for seed, shares, (colour, dash) in zip(kept.seeds, kept.found["by_p"], LINES, strict=False)
    ]
    paper = 1 - answer.ratio
    upright = Path(np.array([[paper, 0.0], [paper, 100.0]]), f"the paper's {unbroken(f'p = {paper:g}')}", GREY, "dash")
    marks = Path(np.array([[paper, 100 * share] for share in answer.shares]), "", VERMILION, "dot", 2.0, markers=True)
    safe = min(answer.safe)
    safe_line = Path(np.array([[safe, 0.0], [safe, 100.0]]), f"safe for 99 % up to p = {safe:.2f}", GREEN, "dashdot")
    return Chart(
        "Held-out points with infinite variance",
        "p, the chance to stop after each further term",
        "% of held-out points",
        (*paths, upright, marks, safe_line),
        f"Share of held-out points with an infinite variance in some block, against p, a line for each seed. "
        f"{plane_sentence()}",
    )
