"""Bytes, time and noise of every way to differentiate, as charts."""

import math

import numpy as np

from app.components.planes import Chart, Path
from app.features.dimensions.memory.settings import DRAWN, PARTS, Memory
from app.features.dimensions.memory.words import listed, size, unit_of
from app.text import signed
from app.ui import side_by_side
from app.ui.chart_style import GREY
from app.words import number
from resflow_core.gradients import GRADIENTS
from resflow_core.measure.survey import NOTHING, Place, Survey

WITHOUT = "without a log det"


def charts(bench: Memory, survey: Survey) -> list[Chart]:
    """Bytes against n and against m; time and variance against n once there are some."""
    found = [_bytes(bench, survey, by_blocks=False), _bytes(bench, survey, by_blocks=True)]
    return [*found, _time(survey), _noise(survey)] if survey.costs else found


def what_is_drawn(bench: Memory) -> str:
    """Such as "peak, log det alone"."""
    return f"{DRAWN[bench.drawn].title.lower()}, {PARTS[bench.part].title.lower()}"


def _bytes(bench: Memory, survey: Survey, *, by_blocks: bool) -> Chart:
    n, m = survey.of.terms, survey.of.flow.blocks
    ladder = survey.of.block_ladder if by_blocks else survey.of.term_ladder
    alone = bench.part == "log_det"
    lines = {
        way.paper: [
            survey.bytes_at(Place(name, *((n, k) if by_blocks else (k, m))), bench.drawn, alone) for k in ladder
        ]
        for name, way in GRADIENTS.items()
    }
    if not alone:
        at = ladder if by_blocks else [m] * len(ladder)
        lines[WITHOUT] = [survey.bytes_at(Place(NOTHING, 0, k), bench.drawn, False) for k in at]
    unit, scale = unit_of(max((v for line in lines.values() for v in line if math.isfinite(v)), default=1.0))
    against, fixed = ("blocks m", f"n = {n}") if by_blocks else ("terms n", f"m = {m}")
    last = listed({label: size(line[-1]) for label, line in lines.items() if math.isfinite(line[-1])})
    return Chart(
        f"Bytes against {against}",
        against,
        unit,
        _paths(ladder, {label: np.array(line) / scale for label, line in lines.items()}),
        f"Bytes ({what_is_drawn(bench)}) against {against} at {fixed}. At {against[-1]} = {ladder[-1]}: {last}.",
        log_y=bench.log,
        note=f"{what_is_drawn(bench).capitalize()}, at {fixed}.",
    )


def _time(survey: Survey) -> Chart:
    ladder, m = survey.of.term_ladder, survey.of.flow.blocks
    lines = {way.paper: [_seconds(survey, Place(name, n, m)) for n in ladder] for name, way in GRADIENTS.items()}
    lines[WITHOUT] = [_seconds(survey, Place(NOTHING, 0, m))] * len(ladder)
    last = listed({label: f"{line[-1]:.3g} ms" for label, line in lines.items() if math.isfinite(line[-1])})
    return Chart(
        "Time against terms n",
        "terms n",
        "CPU time, ms",
        _paths(ladder, {label: np.array(line) for label, line in lines.items()}),
        f"CPU milliseconds of a forward and backward pass against terms n at m = {m}. At n = {ladder[-1]}: {last}.",
        note=f"Forward and backward, median CPU time of {survey.of.draws} passes, at m = {m}.",
    )


def _noise(survey: Survey) -> Chart:
    ladder, m = survey.of.term_ladder, survey.of.flow.blocks
    paths, errors, last = [], [], {}
    for k, (name, way) in enumerate(GRADIENTS.items()):
        found = [survey.costs.get(Place(name, n, m)) for n in ladder]
        points = [[n, cost.variance.value] for n, cost in zip(ladder, found, strict=True) if cost]
        paths.append(Path(np.array(points).reshape(-1, 2), way.paper, **side_by_side.style(k), markers=True))
        # Errors, drawn beside each other where the lines lie on each other.
        beside = 0.012 * (ladder[-1] - ladder[0]) * (k - 1.5)
        bars = [
            [[n + beside, value - error], [n + beside, value + error], [math.nan, math.nan]]
            for n, cost in zip(ladder, found, strict=True)
            if cost
            for value, error in [(cost.variance.value, cost.variance.standard_error)]
        ]
        errors.append(Path(np.array(bars).reshape(-1, 2), "", side_by_side.style(k)["colour"], "solid", 1.0))
        if found[-1]:
            last[way.paper] = signed(number(found[-1].variance.value))
    return Chart(
        "Noise against terms n",
        "terms n",
        "variance / squared mean",
        (*paths, *errors),
        f"Variance of the gradient over its squared mean against terms n at m = {m}. At n = {ladder[-1]}: "
        f"{listed(last)}.",
        note=f"Over {survey.of.draws} draws of the probes, with standard errors, at m = {m}.",
    )


def _seconds(survey: Survey, place: Place) -> float:
    found = survey.costs.get(place)
    return 1000 * found.seconds if found else math.nan


def _paths(ladder: list[int], lines: dict[str, np.ndarray]) -> tuple[Path, ...]:
    """One for each line, with marks where something was measured."""
    return tuple(
        Path(np.stack([ladder, values], 1)[np.isfinite(values)], WITHOUT, GREY, "dot", markers=True)
        if label == WITHOUT
        else Path(np.stack([ladder, values], 1)[np.isfinite(values)], label, **side_by_side.style(k), markers=True)
        for k, (label, values) in enumerate(lines.items())
    )
