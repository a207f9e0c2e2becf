"""Charts as small pictures: their lines alone. Pure."""

import base64
from html import escape

import numpy as np

from app.components.planes import Chart, Path
from app.ui.chart_style import GREY

WIDTH, HEIGHT, MARGIN = 240, 110, 6
DASHES = {"solid": "", "dash": "6 4", "dot": "2 3", "dashdot": "7 3 2 3", "long": "12 4", "sparse": "2 6"}
MOST_POINTS = 120


def svg(chart: Chart) -> str:
    """A chart as an SVG of `WIDTH` times `HEIGHT`."""
    lines = [(path, _scaled(path, chart)) for path in chart.paths]
    points = np.concatenate([points for _, points in lines])
    low, high = np.nanmin(points, 0), np.nanmax(points, 0)
    size = np.array([WIDTH, HEIGHT]) - 2 * MARGIN
    share = size / np.where(high > low, high - low, 1.0)
    drawn = "".join(_polylines(path, MARGIN + (points - low) * share) for path, points in lines)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">{drawn}</svg>'


def image(chart: Chart) -> str:
    """The same as HTML, with what the chart says for those who do not see it."""
    data = base64.b64encode(svg(chart).encode()).decode()
    return f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(chart.alt)}" width="100%">'


def _scaled(path: Path, chart: Chart) -> np.ndarray:
    """At most about `MOST_POINTS` of its points, where the axes are straight."""
    points = np.asarray(path.points, float).reshape(-1, 2)
    points = points[:: max(1, len(points) // MOST_POINTS)]
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = [np.log10(of) if log else of for of, log in zip(points.T, (chart.log_x, chart.log_y), strict=True)]
    scaled = np.stack(columns, 1)
    return np.where(np.isfinite(scaled), scaled, np.nan)


def _polylines(path: Path, points: np.ndarray) -> str:
    """A line for each piece between two gaps, y upwards."""
    gaps = np.flatnonzero(np.isnan(points).any(1))
    pieces = [piece[~np.isnan(piece).any(1)] for piece in np.split(points, gaps)]
    look = f'fill="none" stroke="{path.colour or GREY}" stroke-width="{path.width:g}"'
    if dash := DASHES[path.dash]:
        look += f' stroke-dasharray="{dash}"'
    return "".join(
        f'<polyline {look} points="{" ".join(f"{x:.1f},{HEIGHT - y:.1f}" for x, y in piece)}"/>'
        for piece in pieces
        if len(piece) > 1
    )
