"""How variances depend on the settings. What is infinite is marked, and never drawn as a number."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np

from app.figures.style import BLUE, CATEGORIES, DASHES, GREEN, GREY, ORANGE, VERMILION, finished, log_axis

# Below this share of the largest, a log scale has nothing to show but rounding.
SMALLEST = 1e-12


def lines(
    p: np.ndarray,
    by_name: Mapping[str, np.ndarray],
    *,
    legend: str,
    title: str,
    infinite_from: float,
    here: float | None,
    description: str,
    dots: Sequence[tuple[float, float, float]] = (),
    level: tuple[str, float] | None = None,
    best: tuple[float, float] | None = None,
) -> alt.TopLevelMixin:
    """A line for each name against p, log scale; the infinite region in grey; `here` is the p that is set, `dots` are
    (p, value, standard error), `level` a named horizontal line, `best` the point with the smallest value."""
    names = list(by_name)
    finite = [v for values in by_name.values() for v in values[np.isfinite(values)].tolist()]
    least = SMALLEST * max(finite, default=1.0)
    rows = [
        {"p": x, "value": v, legend: name}
        for name, values in by_name.items()
        for x, v in zip(p.tolist(), values.tolist(), strict=True)
        if np.isfinite(v) and v > least
    ]
    x = alt.X("p:Q", title="p, the chance to stop", scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("value:Q", title=title, scale=alt.Scale(type="log"), axis=_decades())
    color = alt.Color(f"{legend}:N", sort=names, scale=alt.Scale(domain=names, range=CATEGORIES[: len(names)]))
    dash = alt.StrokeDash(f"{legend}:N", sort=names, scale=alt.Scale(domain=names, range=DASHES[: len(names)]))
    layers = []
    if infinite_from < 1:
        region = alt.Chart(alt.Data(values=[{"from": max(infinite_from, 0.0), "to": 1.0, "text": "infinite"}]))
        layers.append(region.mark_rect(color=GREY, opacity=0.25).encode(x=alt.X("from:Q"), x2="to:Q"))
        text = region.mark_text(align="right", dx=-4, baseline="top", dy=4, color=GREY, fontWeight="bold")
        layers.append(text.encode(x=alt.X("to:Q"), y=alt.value(0), text="text:N"))
    if here is not None:
        rule = alt.Chart(alt.Data(values=[{"p": here}])).mark_rule(color=GREY, strokeDash=[3, 3])
        layers.append(rule.encode(x=alt.X("p:Q")))
    tooltip = [alt.Tooltip(f"{legend}:N"), alt.Tooltip("p:Q", format=".3f"), alt.Tooltip("value:Q", format=".4g")]
    line = alt.Chart(alt.Data(values=rows)).mark_line(strokeWidth=2)
    layers.append(line.encode(x=x, y=y, color=color, strokeDash=dash, tooltip=tooltip))
    if level and np.isfinite(level[1]) and level[1] > least:
        mark = alt.Chart(alt.Data(values=[{"value": level[1], "name": level[0]}]))
        layers.append(mark.mark_rule(color=GREEN, strokeWidth=2, strokeDash=[7, 4]).encode(y=alt.Y("value:Q")))
        label = mark.mark_text(align="left", baseline="bottom", dx=4, dy=-2, color=GREEN)
        layers.append(label.encode(x=alt.value(0), y=alt.Y("value:Q"), text="name:N"))
    if best:
        mark = alt.Chart(alt.Data(values=[{"p": best[0], "value": best[1]}]))
        layers.append(
            mark.mark_point(shape="diamond", size=110, filled=True, color=VERMILION, opacity=1).encode(x=x, y=y)
        )
    if dots:
        values = [{"p": a, "value": v, "low": max(v - e, v / 10), "high": v + e} for a, v, e in dots if v > least]
        mark = alt.Chart(alt.Data(values=values))
        layers.append(mark.mark_rule(color="currentColor").encode(x=x, y=alt.Y("low:Q", title=""), y2="high:Q"))
        layers.append(mark.mark_point(size=45, filled=True, color=ORANGE, stroke="black", opacity=1).encode(x=x, y=y))
    return finished(alt.layer(*layers), description)


def batches(
    sizes: np.ndarray, by_name: Mapping[str, np.ndarray], here: int, title: str, description: str
) -> alt.TopLevelMixin:
    """A line for each name against the size of the batch, both scales logarithmic; infinite ones are left out."""
    names = list(by_name)
    rows = [
        {"B": b, "value": v, "estimator": name}
        for name, values in by_name.items()
        for b, v in zip(sizes.tolist(), values.tolist(), strict=True)
        if np.isfinite(v) and v > 0
    ]
    x = alt.X("B:Q", title="batch B", scale=alt.Scale(type="log", nice=False), axis=log_axis())
    y = alt.Y("value:Q", title=title, scale=alt.Scale(type="log"), axis=_decades())
    color = alt.Color("estimator:N", sort=names, scale=alt.Scale(domain=names, range=[BLUE, ORANGE][: len(names)]))
    dash = alt.StrokeDash("estimator:N", sort=names, scale=alt.Scale(domain=names, range=DASHES[: len(names)]))
    tooltip = [alt.Tooltip("estimator:N"), alt.Tooltip("B:Q", format=","), alt.Tooltip("value:Q", format=".4g")]
    line = alt.Chart(alt.Data(values=rows)).mark_line(strokeWidth=2)
    rule = alt.Chart(alt.Data(values=[{"B": here}])).mark_rule(color=GREY, strokeDash=[3, 3]).encode(x=alt.X("B:Q"))
    return finished(alt.layer(rule, line.encode(x=x, y=y, color=color, strokeDash=dash, tooltip=tooltip)), description)


def _decades() -> alt.Axis:
    return alt.Axis(format=".0e", tickCount=6)
