"""What throws of the roulette add up to."""

import altair as alt
import numpy as np

from app.features.estimator.bars import Bars
from app.features.estimator.hand_charts import BAND
from app.ui.chart_style import BLUE, GREEN, GREY, ORANGE, finished, log_axis

POINTS = 200
LEAST_SEEN = 0.003
STARTS = (0.0, 0.5, 0.8)
"""Where the axis of shares may begin, so that a few percent are seen where no share is far below the promised one."""
ROOM, LEAST_REACH = 1.1, 1e-9
"""Of the axis of a running mean: how much longer it is than what is shown, and from how much on there is something."""


def running_mean(values: np.ndarray, truth: float, description: str) -> alt.TopLevelMixin:
    """The mean of the first n estimates, with `BAND` standard errors to each side, against n."""
    n = np.unique(np.geomspace(1, len(values), POINTS).astype(int))
    mean = np.cumsum(values)[n - 1] / n
    square = np.cumsum((values - truth) ** 2)[n - 1] / n - (mean - truth) ** 2
    error = BAND * np.sqrt(np.maximum(square, 0) / np.maximum(n - 1, 1))
    rows = [
        {"n": int(k), "mean": m, "low": m - e if k > 1 else None, "high": m + e if k > 1 else None}
        for k, m, e in zip(n, mean.tolist(), error.tolist(), strict=True)
    ]
    x = alt.X("n:Q", title="draws", scale=alt.Scale(type="log", nice=False), axis=log_axis())
    scale = _around(n, mean, error, truth)
    y = alt.Y("mean:Q", title="mean of the estimates (nats)", scale=scale)
    base = alt.Chart(alt.Data(values=rows))
    band = base.mark_area(opacity=0.25, color=BLUE, clip=True)
    band = band.encode(x=x, y=alt.Y("low:Q", title="", scale=scale), y2="high:Q")
    line = base.mark_line(color=BLUE, strokeWidth=2, clip=True).encode(
        x=x, y=y, tooltip=[alt.Tooltip("n:Q", format=","), alt.Tooltip("mean:Q", format=".5f")]
    )
    return finished(alt.layer(band, line, _rule(truth, "y")), description)


def _around(n: np.ndarray, mean: np.ndarray, error: np.ndarray, truth: float) -> alt.Scale:
    """The truth in the middle, and all of the band in the right half of the logarithmic axis: the first means stray so
    far that beside them it would not be seen to shrink."""
    late = n >= max(2.0, n[-1] ** 0.5)
    reach = float((np.abs(mean[late] - truth) + error[late]).max(initial=0.0))
    if reach <= LEAST_REACH * max(1.0, abs(truth)):
        return alt.Scale(zero=False)
    return alt.Scale(domain=[truth - ROOM * reach, truth + ROOM * reach], nice=False)


def histogram(bars: Bars, truth: float, deviation: float, description: str) -> alt.TopLevelMixin:
    """The estimates, with the closed-form mean and, where it is finite, deviation over them."""
    edges, shares = bars.edges.tolist(), bars.shares.tolist()
    rows = [{"from": a, "to": b, "share": share} for a, b, share in zip(edges[:-1], edges[1:], shares, strict=True)]
    scale, axis = alt.Scale(zero=False, nice=False), alt.Axis(labelBound=True)
    x = alt.X("from:Q", title="estimate (nats)", scale=scale, axis=axis)
    y = alt.Y("share:Q", title="share of the draws", axis=alt.Axis(format="%"))
    drawn = alt.Chart(alt.Data(values=rows)).mark_rect(color=BLUE, opacity=0.75)
    drawn = drawn.encode(x=x, x2="to:Q", y=y, y2=alt.datum(0))
    layers = [drawn, _rule(truth, "x")]
    if np.isfinite(deviation):
        data = alt.Data(values=[{"low": truth - deviation, "high": truth + deviation}])
        band = alt.Chart(data).mark_rect(color=ORANGE, opacity=0.2, clip=True).encode(x=alt.X("low:Q"), x2="high:Q")
        layers.insert(0, band)
    return finished(alt.layer(*layers), description)


def terms(shares: np.ndarray, chances: np.ndarray, description: str) -> alt.TopLevelMixin:
    """The share of the throws with N = 0, 1, ..., beside the chances of a law, as far as either can be seen."""
    seen = np.flatnonzero(np.maximum(shares, chances) >= LEAST_SEEN)
    n = range(int(seen[0]), int(seen[-1]) + 1)
    x = alt.X("N:O", title="N (terms)", axis=alt.Axis(labelAngle=0, labelOverlap=True))
    y = alt.Y("share:Q", title="share of the draws", axis=alt.Axis(format="%"))
    bars = alt.Chart(alt.Data(values=[{"N": k, "share": float(shares[k])} for k in n]))
    bars = bars.mark_bar(color=BLUE, opacity=0.75)
    bars = bars.encode(x=x, y=y, tooltip=["N:O", alt.Tooltip("share:Q", format=".3%")])
    ticks = alt.Chart(alt.Data(values=[{"N": k, "chance": float(chances[k])} for k in n]))
    ticks = ticks.mark_tick(color=GREEN, thickness=3, orient="horizontal", bandSize=24)
    ticks = ticks.encode(x=x, y=alt.Y("chance:Q", title=""), tooltip=["N:O", alt.Tooltip("chance:Q", format=".3%")])
    return finished(alt.layer(bars, ticks), description)


def coverage(throws: list[int], share: list[float], error: list[float], description: str) -> alt.TopLevelMixin:
    """The share of repetitions whose interval contains the truth, for numbers of throws in each."""
    rows = [
        {"n": f"{n:,}", "share": s, "low": max(0.0, s - e), "high": min(1.0, s + e)}
        for n, s, e in zip(throws, share, error, strict=True)
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("n:N", title="draws in each repetition", sort=None, axis=alt.Axis(labelAngle=0))
    )
    lowest = min(row["low"] for row in rows)
    scale = alt.Scale(domain=[max(start for start in STARTS if start <= lowest), 1.0], nice=False)
    axis = alt.Axis(format="%", labelFlush=False, labelBound=False)
    y = alt.Y("share:Q", title="intervals that contain the truth", axis=axis, scale=scale)
    bars = base.mark_rule(color=BLUE, strokeWidth=3).encode(y=alt.Y("low:Q", title="", scale=scale), y2="high:Q")
    points = base.mark_point(filled=True, size=90, color=BLUE, opacity=1).encode(
        y=y, tooltip=[alt.Tooltip("share:Q", format=".1%")]
    )
    promised = alt.Chart(alt.Data(values=[{"y": 0.95, "text": "95 % promised"}])).mark_rule(color=GREY)
    dashes = alt.Scale(domain=["95 % promised"], range=[[4, 3]])
    legend = alt.Legend(title=None, orient="top", symbolType="stroke", symbolStrokeColor=GREY, symbolSize=300)
    promised = promised.encode(
        y=alt.Y("y:Q", scale=scale), strokeDash=alt.StrokeDash("text:N", scale=dashes, legend=legend)
    )
    return finished(alt.layer(promised, bars, points), description)


def _rule(truth: float, axis: str) -> alt.Chart:
    channel = alt.X("truth:Q") if axis == "x" else alt.Y("truth:Q")
    rule = alt.Chart(alt.Data(values=[{"truth": truth}])).mark_rule(color=GREEN, strokeWidth=2, strokeDash=[7, 4])
    return rule.encode(**{axis: channel})
