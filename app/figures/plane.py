"""A map of the plane beside the spectral disc: a region that is brushed in one lights up in the other."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

from app.figures.style import BLUE, GREY, ORANGE, VERMILION

SIZE = 320
# Cells overlap a little: between edges that only meet, the background shines through.
OVERLAP = 1.08
PICK, REGION, AREA = "pick", "region", "area"
FAINT = 0.12
BAR = alt.Legend(orient="bottom", gradientLength=SIZE - 20, format=".2~g")


def grid(window: Sequence[Sequence[float]], n: int) -> tuple[np.ndarray, np.ndarray, float, float]:
    """x and y of the nodes, (n * n,) each, x fastest, and the width and height of a cell."""
    x, y = (np.linspace(low, high, n) for low, high in window)
    return np.tile(x, n), np.repeat(y, n), x[1] - x[0], y[1] - y[0]


def plane_and_disc(
    window: Sequence[Sequence[float]],
    value: np.ndarray,
    infinite: np.ndarray,
    radius: np.ndarray,
    eigenvalues: np.ndarray,
    series_error: np.ndarray,
    *,
    title: str,
    unit: str,
    diverging: bool,
    limit: float | None,
    circles: Mapping[str, float],
    axes: Sequence[str],
    description: str,
) -> alt.TopLevelMixin:
    """`value`, `infinite` and `radius`, (n * n,), over the window, with the contour radius = `limit`; the eigenvalues,
    (n * n, 2), with `circles` around 0, coloured by `series_error`. A click picks a node by its `i`."""
    n = round(len(value) ** 0.5)
    x, y, width, height = grid(window, n)
    table = pd.DataFrame(
        {
            "i": np.arange(n * n, dtype=np.int32),
            "x": x.astype(np.float32),
            "y": y.astype(np.float32),
            "value": np.where(infinite, np.nan, value).astype(np.float32),
            "infinite": infinite,
            "rho": radius.astype(np.float32),
            "re": eigenvalues[:, 0].real.astype(np.float32),
            "im": eigenvalues[:, 0].imag.astype(np.float32),
            "re2": eigenvalues[:, 1].real.astype(np.float32),
            "im2": eigenvalues[:, 1].imag.astype(np.float32),
            "error": series_error.astype(np.float32),
        }
    )
    region = alt.selection_interval(name=REGION, encodings=["x", "y"])
    area = alt.selection_interval(name=AREA, encodings=["x", "y"])
    pick = alt.selection_point(name=PICK, fields=["i"], on="dblclick", clear=False, nearest=False)
    lit = alt.when(region & area).then(alt.value(1.0)).otherwise(alt.value(FAINT))
    cells = alt.Chart(table, width=SIZE, height=SIZE, title=title)
    cells = cells.transform_calculate(x2=f"datum.x + {OVERLAP * width}", y2=f"datum.y + {OVERLAP * height}")
    place = {
        "x": alt.X("x:Q", title=axes[0], scale=alt.Scale(domain=[float(x[0]), float(x[-1] + width)], nice=False)),
        "y": alt.Y("y:Q", title=axes[1], scale=alt.Scale(domain=[float(y[0]), float(y[-1] + height)], nice=False)),
        "x2": "x2:Q",
        "y2": "y2:Q",
    }
    finite = (
        cells.transform_filter("!datum.infinite")
        .mark_rect(strokeWidth=0)
        .encode(
            **place,
            color=alt.Color("value:Q", title=unit, scale=_scale(value[~infinite], diverging), legend=BAR),
            opacity=lit,
            tooltip=[alt.Tooltip("value:Q", format=".4g"), alt.Tooltip("rho:Q", format=".3f", title="ρ")],
        )
        .add_params(region, pick)
    )
    beyond = (
        cells.transform_filter("datum.infinite")
        .mark_rect(color=GREY, strokeWidth=0)
        .encode(**place, opacity=lit, tooltip=[alt.Tooltip("rho:Q", format=".3f", title="ρ, infinite variance")])
    )
    layers = [finite, beyond]
    if limit is not None and len(segments := _contour(radius.reshape(n, n), limit, x, y, width, height)):
        rule = alt.Chart(alt.Data(values=segments)).mark_rule(color=VERMILION, strokeWidth=1.5)
        layers.append(rule.encode(x="x:Q", y="y:Q", x2="x2:Q", y2="y2:Q"))
    return (
        alt.hconcat(alt.layer(*layers), _disc(table, circles, lit, area), spacing=30)
        .resolve_scale(color="independent")
        .properties(description=description)
    )


def _disc(table: pd.DataFrame, circles: Mapping[str, float], lit: object, area: alt.Parameter) -> alt.LayerChart:
    angle = np.linspace(0, 2 * np.pi, 121)
    rows = [
        {"name": name, "x": r * np.cos(a), "y": r * np.sin(a), "order": k}
        for name, r in circles.items()
        for k, a in enumerate(angle.tolist())
    ]
    scale = alt.Scale(domain=[-1.05, 1.05], nice=False)
    place = {"x": alt.X("x:Q", title="Re λ", scale=scale), "y": alt.Y("y:Q", title="Im λ", scale=scale)}
    ring = alt.Chart(alt.Data(values=rows)).mark_line(strokeWidth=1.5, color=GREY)
    ring = ring.encode(**place, order="order:Q", detail="name:N")
    # Each name at an angle of its own, inside its circle.
    marks = [
        {"name": name, "x": 0.93 * r * np.cos(a), "y": 0.93 * r * np.sin(a)}
        for (name, r), a in zip(circles.items(), np.linspace(0.25, 2.0, len(circles)) * np.pi / 2 * 0.8, strict=True)
    ]
    label = alt.Chart(alt.Data(values=marks)).mark_text(color=GREY, fontSize=13, fontWeight="bold")
    label = label.encode(**place, text="name:N")
    largest = float(np.quantile(np.abs(table["error"]), 0.98)) or 1.0
    color = alt.Color(
        "error:Q",
        title="cut series − log(1 + λ)",
        scale=alt.Scale(domain=[-largest, 0, largest], range=[BLUE, "#BBBBBB", ORANGE], clamp=True),
        legend=BAR,
    )
    points = alt.Chart(table, width=SIZE, height=SIZE, title="Spectral disc: the eigenvalues λ of A")
    tooltip = [
        alt.Tooltip("re:Q", format=".3f"),
        alt.Tooltip("im:Q", format=".3f"),
        alt.Tooltip("error:Q", format=".3g"),
    ]
    first = points.mark_circle(size=9).encode(
        x=alt.X("re:Q", title="Re λ", scale=scale),
        y=alt.Y("im:Q", title="Im λ", scale=scale),
        color=color,
        opacity=lit,
        tooltip=tooltip,
    )
    second = points.mark_circle(size=4).encode(
        x=alt.X("re2:Q", scale=scale), y=alt.Y("im2:Q", scale=scale), color=color, opacity=lit
    )
    return alt.layer(second, first.add_params(area), ring, label)


def _scale(values: np.ndarray, diverging: bool) -> alt.Scale:
    """Colours end where all but a hundredth of the values do."""
    if not len(values):
        return alt.Scale(domain=[0, 1])
    if diverging:
        most = float(np.quantile(np.abs(values), 0.99)) or 1.0
        return alt.Scale(domain=[-most, 0, most], range=[BLUE, "#DDDDDD", ORANGE], clamp=True)
    low, high = (float(q) for q in np.quantile(values, [0.01, 0.99]))
    return alt.Scale(scheme="viridis", domain=[low, max(high, low + 1e-9)], clamp=True)


def _contour(
    radius: np.ndarray, limit: float, x: np.ndarray, y: np.ndarray, width: float, height: float
) -> list[dict[str, float]]:
    """The borders between cells on both sides of the limit."""
    beyond, n = radius > limit, len(radius)
    x, y = x.reshape(n, n), y.reshape(n, n)
    rows, columns = np.nonzero(beyond[:, 1:] != beyond[:, :-1])
    segments = [
        {"x": a, "x2": a, "y": b, "y2": b + height}
        for a, b in zip(x[rows, columns + 1].tolist(), y[rows, columns + 1].tolist(), strict=True)
    ]
    rows, columns = np.nonzero(beyond[1:] != beyond[:-1])
    segments += [
        {"x": a, "x2": a + width, "y": b, "y2": b}
        for a, b in zip(x[rows + 1, columns].tolist(), y[rows + 1, columns].tolist(), strict=True)
    ]
    return segments
