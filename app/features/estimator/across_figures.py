"""How variances depend on the settings. What is infinite is marked, and never drawn as a number."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np

from app.ui.chart_style import CATEGORIES, DASHES, GREEN, GREY, ORANGE, VERMILION, finished, log_axis

# Below this share of the largest, a log scale has nothing to show but rounding.
SMALLEST = 1e-12
P_AXIS = "p, the chance to stop", 1.0


def lines(
    p: np.ndarray,
    by_name: Mapping[str, np.ndarray],
    *,
    legend: str,
    title: str,
    infinite_from: float,
    here: float | None,
    description: str,
    whole: np.ndarray | None = None,
    level: tuple[str, float] | None = None,
    dots: Sequence[tuple[float, float, float]] = (),
    best: tuple[float, float] | None = None,
    axis: tuple[str, float] = P_AXIS,
) -> alt.TopLevelMixin:
    """A line for each name against p, log scale; the infinite region in grey; `here` is the p that is set.

    `whole` is a thick line that the others are parts of, `level` a named horizontal one; `dots` are (p, value, standard
    error), and `best` is the point with the smallest value. `axis` names another parameter than p, and where it ends.
    """
    names = list(by_name)
    shown = [v[np.isfinite(v)] for v in (*by_name.values(), whole if whole is not None else np.empty(0))]
    extra = [level[1]] if level and np.isfinite(level[1]) else []
    every = np.concatenate([*shown, extra]) if extra else np.concatenate(shown)
    least = SMALLEST * float(every.max(initial=0.0))
    y = alt.Y("value:Q", title=title, scale=alt.Scale(type="log"), axis=_decades(every[every > least]))
    x_title, end = axis
    x = alt.X("p:Q", title=x_title, scale=alt.Scale(domain=[0, end]), axis=_whole())
    layers = []
    if infinite_from < end:
        region = alt.Chart(alt.Data(values=[{"from": max(infinite_from, 0.0), "to": end, "text": "infinite"}]))
        layers.append(region.mark_rect(color=GREY, opacity=0.25).encode(x=alt.X("from:Q"), x2="to:Q"))
        text = region.mark_text(align="right", dx=-4, baseline="top", dy=4, color=GREY, fontWeight="bold")
        layers.append(text.encode(x=alt.X("to:Q"), y=alt.value(0), text="text:N"))
    if here is not None:
        layers.append(_upright("p", here))
    if whole is not None:
        rows = [{"p": a, "value": v} for a, v in zip(p.tolist(), whole.tolist(), strict=True) if least < v < np.inf]
        layers.append(
            alt.Chart(alt.Data(values=rows)).mark_line(color=GREY, strokeWidth=5, opacity=0.6).encode(x=x, y=y)
        )
    tooltip = [alt.Tooltip(f"{legend}:N"), alt.Tooltip("p:Q", format=".3f"), alt.Tooltip("value:Q", format=".4g")]
    line = alt.Chart(alt.Data(values=_rows("p", p, by_name, legend, least))).mark_line(strokeWidth=2)
    layers.append(line.encode(x=x, y=y, **_styles(legend, names), tooltip=tooltip))
    if level and least < level[1] < np.inf:
        mark = alt.Chart(alt.Data(values=[{"value": level[1], "name": level[0]}]))
        layers.append(mark.mark_rule(color=GREEN, strokeWidth=2, strokeDash=[7, 4]).encode(y=alt.Y("value:Q")))
        label = mark.mark_text(align="left", baseline="bottom", dx=4, dy=-3, color=GREEN)
        layers.append(label.encode(x=alt.value(0), y=alt.Y("value:Q"), text="name:N"))
    if best:
        mark = alt.Chart(alt.Data(values=[{"p": best[0], "value": best[1]}]))
        layers.append(
            mark.mark_point(shape="diamond", size=110, filled=True, color=VERMILION, opacity=1).encode(x=x, y=y)
        )
    if dots:
        values = [{"p": a, "value": v, "low": max(v - e, v / 10), "high": v + e} for a, v, e in dots if v > least]
        mark = alt.Chart(alt.Data(values=values))
        layers.append(mark.mark_rule(color=ORANGE, strokeWidth=2).encode(x=x, y=alt.Y("low:Q", title=""), y2="high:Q"))
        layers.append(mark.mark_point(size=40, filled=True, color=ORANGE, opacity=1).encode(x=x, y=y))
    return finished(alt.layer(*layers), description)


def share(p: np.ndarray, values: np.ndarray, here: float | None, description: str) -> alt.TopLevelMixin:
    """The share of points whose variance is infinite, against p."""
    rows = [{"p": a, "share": v} for a, v in zip(p.tolist(), values.tolist(), strict=True)]
    x = alt.X("p:Q", title=P_AXIS[0], scale=alt.Scale(domain=[0, P_AXIS[1]]), axis=_whole())
    y = alt.Y(
        "share:Q", title="points with infinite variance", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])
    )
    tooltip = [alt.Tooltip("p:Q", format=".3f"), alt.Tooltip("share:Q", format=".1%")]
    area = alt.Chart(alt.Data(values=rows)).mark_area(color=GREY, opacity=0.4, line={"color": GREY})
    layers = [area.encode(x=x, y=y, tooltip=tooltip)]
    if here is not None:
        layers.append(_upright("p", here))
    return finished(alt.layer(*layers), description)


def batches(
    sizes: np.ndarray, by_name: Mapping[str, np.ndarray], here: int, title: str, description: str
) -> alt.TopLevelMixin:
    """A line for each name against the size of the batch, both scales logarithmic; infinite ones are left out."""
    every = np.concatenate(list(by_name.values()))
    x = alt.X("B:Q", title="batch B", scale=alt.Scale(type="log", nice=False), axis=log_axis())
    y = alt.Y(
        "value:Q", title=title, scale=alt.Scale(type="log"), axis=_decades(every[np.isfinite(every) & (every > 0)])
    )
    tooltip = [alt.Tooltip("estimator:N"), alt.Tooltip("B:Q", format=","), alt.Tooltip("value:Q", format=".4g")]
    line = alt.Chart(alt.Data(values=_rows("B", sizes, by_name, "estimator", 0.0))).mark_line(strokeWidth=2)
    line = line.encode(x=x, y=y, **_styles("estimator", list(by_name)), tooltip=tooltip)
    return finished(alt.layer(_upright("B", here), line), description)


def _upright(name: str, here: float) -> alt.Chart:
    """Dashes where the parameter is set."""
    rule = alt.Chart(alt.Data(values=[{name: here}])).mark_rule(color=GREY, strokeDash=[3, 3])
    return rule.encode(x=alt.X(f"{name}:Q"))


def _rows(x_name: str, x: np.ndarray, by_name: Mapping[str, np.ndarray], legend: str, least: float) -> list[dict]:
    """What is finite and shows on a log scale."""
    return [
        {x_name: a, "value": v, legend: name}
        for name, values in by_name.items()
        for a, v in zip(x.tolist(), values.tolist(), strict=True)
        if least < v < np.inf
    ]


def _styles(legend: str, names: list[str]) -> dict[str, object]:
    """A colour and a dash for each name."""
    short = max(map(len, names)) < 3
    # Beside a lesson a chart is not wide: a title stays where names alone would say nothing.
    title = {"titleOrient": "left"} if short else {"title": None}
    key = alt.Legend(orient="top", columns=3 if short else 2, columnPadding=5, symbolSize=200, **title)
    return {
        "color": alt.Color(
            f"{legend}:N", sort=names, scale=alt.Scale(domain=names, range=CATEGORIES[: len(names)]), legend=key
        ),
        "strokeDash": alt.StrokeDash(
            f"{legend}:N", sort=names, scale=alt.Scale(domain=names, range=DASHES[: len(names)]), legend=key
        ),
    }


def _whole() -> alt.Axis:
    """With its last label a little within the edge, where a narrow chart would cut it off."""
    return alt.Axis(labelFlushOffset=-6)


def _decades(values: np.ndarray) -> alt.Axis:
    """Ticks at powers of ten, and between them where there are few."""
    if not len(values):
        return alt.Axis()
    low, high = np.floor(np.log10(values.min())), np.ceil(np.log10(values.max()))
    stride = max(1, int((high - low) / 6))
    between = (1, 2, 5) if high - low <= 2 else (1,)
    ticks = [float(f"{m}e{int(k)}") for k in np.arange(low, high + 1, stride) for m in between]
    plain = "datum.value >= 0.001 && datum.value < 10000 ? format(datum.value, '~g') : format(datum.value, '.0e')"
    return alt.Axis(values=ticks, labelExpr=plain)
