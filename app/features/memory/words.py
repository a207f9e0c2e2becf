"""What was measured, in words and as a table."""

import math

import numpy as np

from app.features.memory.settings import Memory
from app.metrics import with_error
from app.text import markdown_table, signed
from resflow_core.gradients import GRADIENTS
from resflow_core.measure.survey import BOTH, NAIVE, Place, Survey

WAITS = "…"


def unit_of(most: float) -> tuple[str, float]:
    """KiB or MiB, and its bytes, for numbers of bytes up to this."""
    return ("MiB", 2.0**20) if most >= 2**20 else ("KiB", 2.0**10)


def size(value: float) -> str:
    """Bytes for people to read."""
    if not math.isfinite(value):
        return WAITS
    unit, scale = unit_of(abs(value)) if abs(value) >= 2**10 else ("B", 1.0)
    scaled = value / scale
    shown = f"{scaled:.0f}" if unit == "B" or abs(scaled) >= 999.5 else f"{scaled:.3g}"
    return signed(f"{float(shown) + 0.0:,g}\N{NO-BREAK SPACE}{unit}")


def listed(values: dict[str, str]) -> str:
    return ", ".join(f"{label} {value}" for label, value in values.items()) or "not measured yet"


def verdict(bench: Memory, survey: Survey) -> str:
    """What both tricks together are worth where most is measured, in a sentence."""
    n, m = survey.of.terms, survey.of.flow.blocks
    naive, both = (Place(name, n, m) for name in (NAIVE, BOTH))
    alone = bench.part == "log_det"
    more, less = (survey.bytes_at(place, bench.drawn, alone) for place in (naive, both))
    if not survey.step:
        return "Not measured yet. *Measure* takes some seconds on an idle machine."
    if not (math.isfinite(more) and math.isfinite(less)):
        return f"Not all ways are measured yet at n = {n} and {m} blocks."
    of = "for the log det alone" if alone else "for all of the loss"
    verb = "need at most" if bench.drawn == "peak" else "keep"
    said = (
        f"**At n = {n} and {m} blocks both together {verb} {size(less)} {of}, {GRADIENTS[NAIVE].paper} {size(more)}: "
        f"{_factor(more / less)} as much**"
    )
    if not (naive in survey.costs and both in survey.costs):
        return f"{said}."
    return f"{said}. They take {_factor(survey.costs[both].seconds / survey.costs[naive].seconds)} the CPU time."


def per_step(x: list[int], y: list[float]) -> float:
    """The slope of the straight line that fits best (least squares); NaN while a point is missing."""
    return float(np.polyfit(x, y, 1)[0]) if len(x) > 1 and np.isfinite(y).all() else np.nan


def growth(bench: Memory, survey: Survey, name: str) -> tuple[float, float]:
    """Bytes that are drawn for each further term and each further block, of one of `GRADIENTS`; NaN before."""
    n, m, alone = survey.of.terms, survey.of.flow.blocks, bench.part == "log_det"
    by_terms, by_blocks = survey.of.term_ladder, survey.of.block_ladder
    return (
        per_step(by_terms, [survey.bytes_at(Place(name, k, m), bench.drawn, alone) for k in by_terms]),
        per_step(by_blocks, [survey.bytes_at(Place(name, n, k), bench.drawn, alone) for k in by_blocks]),
    )


def table(bench: Memory, survey: Survey) -> str:
    """Every way, what the paper promises of it, and what was measured where most is measured."""
    n, m, alone = survey.of.terms, survey.of.flow.blocks, bench.part == "log_det"
    head = [
        "in the paper",
        "as a setting",
        "order",
        "for each further term",
        "for each further block",
        "kept",
        "peak",
        "CPU time, ms",
        "variance / squared mean",
    ]
    rows = [head, [":--", ":--", ":--", *["--:"] * 6]]
    for name, way in GRADIENTS.items():
        place = Place(name, n, m)
        found = survey.costs.get(place)
        noise = signed(" ± ".join(with_error(found.variance.value, found.variance.standard_error))) if found else WAITS
        rows.append(
            [
                way.paper,
                way.title,
                f"${way.memory}$",
                *map(size, growth(bench, survey, name)),
                *(size(survey.bytes_at(place, drawn, alone)) for drawn in ("kept", "peak")),
                f"{1000 * found.seconds:.3g}" if found else WAITS,
                noise,
            ]
        )
    return markdown_table(rows)


def _factor(ratio: float) -> str:
    return f"{ratio:.2g} times" if ratio < 99.5 else f"{ratio:,.0f} times"
