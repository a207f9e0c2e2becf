"""What was measured, in words and as a table."""

import math

from app.features.dimensions.memory.numbers import Saving, growth
from app.features.dimensions.memory.settings import Memory
from app.metrics import with_error
from app.text import csv_of, markdown_table, signed
from resflow_core.gradients import GRADIENTS
from resflow_core.measure.survey import NAIVE, Place, Survey

WAITS = "…"
NOT_YET = "Not measured yet. *Measure* takes a few seconds on an idle machine."


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


def verdict(bench: Memory, found: Saving) -> str:
    """What both tricks together are worth, in a sentence or two."""
    if not found.measured:
        return f"Not all methods are measured yet at n = {found.terms} and {found.blocks} blocks."
    of = "for the log det alone" if bench.part == "log_det" else "for all of the loss"
    verb = "need at most" if bench.drawn == "peak" else "keep"
    said = (
        f"**At n = {found.terms} and {found.blocks} blocks, both tricks together {verb} {size(found.both)} {of}. "
        f"{GRADIENTS[NAIVE].paper.capitalize()} takes {size(found.naive)}, {_factor(found.naive / found.both)} as "
        "much**"
    )
    if not found.timed:
        return f"{said}."
    return f"{said}. Both tricks take {_factor(found.both_seconds / found.naive_seconds)} the CPU time."


def table(bench: Memory, survey: Survey) -> str:
    """Every way, what the paper promises of it, and what was measured where most is measured."""
    n, m, alone = survey.of.terms, survey.of.flow.blocks, bench.part == "log_det"
    head = [
        "name in the paper",
        "name of the setting",
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


def saved(bench: Memory, survey: Survey) -> bytes:
    """The same for every number of terms and of blocks that was measured, as CSV."""
    alone = bench.part == "log_det"
    return csv_of(
        {
            "gradient": place.gradient,
            "terms": place.n,
            "blocks": place.m,
            "kept_bytes": survey.bytes_at(place, "kept", alone),
            "peak_bytes": survey.bytes_at(place, "peak", alone),
            "seconds": survey.costs[place].seconds if place in survey.costs else "",
            "variance": survey.costs[place].variance.value if place in survey.costs else "",
        }
        for place in survey.footprints
        if place.gradient
    )


def _factor(ratio: float) -> str:
    return f"{ratio:.2g} times" if ratio < 99.5 else f"{ratio:,.0f} times"
