"""What a variance costs against p, with the region where it is infinite and the cheapest law. Pure: numbers in."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from app.components.planes import Area, Chart, Path
from app.components.planes.panes import DASHES
from app.features.estimator.sweeps import PAPER, Cost, P
from app.features.estimator.verdicts import Products
from app.ui.chart_style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION
from app.words import number
from resflow_core.roulette import Geometric, Law

HEIGHT = 370
STRIPES = 26
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, GREY)
MARK = 8.0


def chart(costs: Mapping[int, Sequence[Cost]], found: Products, law: Law, here: Cost, said: str) -> Chart:
    """`costs` at `P` by the number of exact terms; `law` is what is set, with its cost."""
    paths, values = [], []
    for (n, of_p), colour, dash in zip(costs.items(), COLOURS, DASHES, strict=False):
        product = np.array([one.product for one in of_p])
        seen = np.where(np.isfinite(product) & (product > 0), product, np.nan)
        paths.append(Path(np.stack([P, seen], 1), f"{n} exact term{'s' * (n != 1)}", colour, dash, 1.8))
        values.append(seen[np.isfinite(seen)])
    every = np.concatenate(values) if values else np.empty(0)
    ends = (float(every.min()), float(every.max())) if len(every) else (0.1, 10.0)
    areas = []
    if found.tail.infinite_from < 1:
        areas.append(_infinite(found.tail.infinite_from, ends))
        paths.insert(0, _stripes(found.tail.infinite_from, ends))  # a path without a name goes with the one before
    paths += _marks(found, law, here)
    return Chart(
        "Variance × expected terms against p",
        "p, the chance to stop after each further term",
        "variance × expected terms, nats²",
        tuple(paths),
        f"What an estimate costs against p, a line for each number of exact terms, on a logarithmic axis; infinite "
        f"variance from p = {max(found.tail.infinite_from, 0):.3f} on. {said}",
        log_y=True,
        areas=tuple(areas),
        height=HEIGHT,
    )


def _infinite(start: float, ends: tuple[float, float]) -> Area:
    x = np.array([max(start, 0.0), 1.0])
    low, high = (np.stack([x, np.full(2, end)], 1) for end in ends)
    return Area(low, high, f"infinite variance, from p = {x[0]:.3f} on", GREY, 0.25)


def _stripes(start: float, ends: tuple[float, float]) -> Path:
    """Hatching of the region where the variance is infinite: slanted lines, cut at its edges."""
    left, (bottom, top) = max(start, 0.0), (math.log10(end) for end in ends)
    width, height = 1.0 - left, top - bottom
    slant = width / max(height, 1e-9)
    lines = []
    for shift in np.linspace(-height, height, STRIPES):
        # y = bottom + shift + (x - left) / slant, within the rectangle
        low, high = max(bottom, bottom + shift), min(top, bottom + shift + height)
        if low < high:
            x = [left + (y - bottom - shift) * slant for y in (low, high)]
            lines += [[x[0], 10**low], [x[1], 10**high], [np.nan, np.nan]]
    return Path(np.array(lines), "", GREY, "solid", 1.0)


def _marks(found: Products, law: Law, here: Cost) -> list[Path]:
    """The law that is set, the paper's, and the cheapest."""
    marks = []

    def mark(label: str, p: float, product: float, colour: str | None) -> None:
        if math.isfinite(product) and product > 0:
            marks.append(Path(np.array([[p, product]]), f"{label}: {number(product)}", colour, "solid", MARK, True))

    if found.geometric:
        best, cost = found.geometric
        mark(f"cheapest, p = {best.p:.3g}", best.p, cost.product, VERMILION)
    mark(f"the paper's, p = {PAPER.p:g}", PAPER.p, found.paper.product, None)
    if isinstance(law, Geometric) and law != PAPER and not (found.geometric and law == found.geometric[0]):
        mark(f"as set, p = {law.p:.3g}", law.p, here.product, GREEN)
    return marks
