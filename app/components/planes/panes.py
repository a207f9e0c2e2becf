"""What a pane shows, as frozen values, and these as JSON for the browser.

A grid has its nodes at `np.linspace` of the pane's window, both ends included: row = y ascending, column = x ascending.
A colour of None is the page's own ink, dark on a light page and light on a dark one.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from app.quantise import Window, levels, packed

NO_NUMBER = 255
LEVELS = 254

Dash = Literal["solid", "dash", "dot", "dashdot", "long", "sparse"]
DASHES: tuple[Dash, ...] = get_args(Dash)


@dataclass(frozen=True, eq=False)
class Heat:
    """Values (n, n) as colours from `low` to `high`, NaN grey; with `log` by their logarithm, where both are > 0."""

    values: np.ndarray
    name: str
    unit: str
    low: float
    high: float
    palette: Literal["viridis", "signed"] = "viridis"
    log: bool = False
    bar: bool = True
    smooth: bool = False


@dataclass(frozen=True, eq=False)
class Level:
    """The curve on which values, (n, n), equal `at`."""

    values: np.ndarray
    at: float
    label: str
    colour: str | None = None
    dash: Dash = "solid"
    width: float = 1.8


@dataclass(frozen=True, eq=False)
class Path:
    """A line through points, (m, 2); a row of NaN is a gap."""

    points: np.ndarray
    label: str
    colour: str | None = None
    dash: Dash = "solid"
    width: float = 2.0
    markers: bool = False


@dataclass(frozen=True, eq=False)
class Area:
    """What lies between two lines, through `low` and `high`, (m, 2) each, of the same x."""

    low: np.ndarray
    high: np.ndarray
    label: str
    colour: str
    opacity: float = 0.2


@dataclass(frozen=True, eq=False)
class Dots:
    """Points (m, 2), with one of the symbols of `app/web/canvas/layers.js`, `size` pixels wide."""

    points: np.ndarray
    label: str
    colour: str | None = None
    symbol: str = "circle"
    size: float = 7.0
    opacity: float = 1.0


@dataclass(frozen=True, eq=False)
class Pane:
    """A part of the plane. `point`, where it is given, is the one that is chosen, in a clickable pane by a click."""

    title: str
    x: str
    y: str
    window: Window
    alt: str
    heat: Heat | None = None
    levels: tuple[Level, ...] = ()
    paths: tuple[Path, ...] = ()
    dots: tuple[Dots, ...] = ()
    note: str = ""
    clickable: bool = False
    point: tuple[float, float] | None = None
    square: bool = True
    legend: bool = True


@dataclass(frozen=True, eq=False)
class Chart:
    """Lines over axes that follow them. `height` in pixels is that of the plot itself; None: as that of what stands
    beside it."""

    title: str
    x: str
    y: str
    paths: tuple[Path, ...]
    alt: str
    log_x: bool = False
    log_y: bool = False
    note: str = ""
    legend: bool = True
    areas: tuple[Area, ...] = ()
    height: int | None = None


def encode(pane: Pane | Chart) -> dict[str, Any]:
    """One pane as JSON: the names of its fields, arrays packed; `kind` says which of the two it is."""
    told = {name: getattr(pane, name) for name in ("title", "x", "y", "note", "legend")}
    told["alt"] = pane.alt.replace("**", "")  # it may quote a verdict, which is Markdown
    told["paths"] = [_path(path) for path in pane.paths]
    if isinstance(pane, Chart):
        areas = [_area(area) for area in pane.areas]
        return {
            "kind": "chart", **told, "log_x": pane.log_x, "log_y": pane.log_y, "areas": areas, "height": pane.height,
        }  # fmt: skip
    return {
        "kind": "pane",
        **told,
        "window": [[float(end) for end in side] for side in pane.window],
        "heat": pane.heat and _heat(pane.heat),
        "levels": [_level(level) for level in pane.levels],
        "dots": [_dots(dots) for dots in pane.dots],
        "clickable": pane.clickable,
        "point": pane.point and [float(c) for c in pane.point],
        "square": pane.square,
    }


def _heat(heat: Heat) -> dict[str, Any]:
    """Colours as levels 0..254, 255 = not a number; `range` to base 10 where `log`; `cut`: are values beyond it."""
    values, ends = np.asarray(heat.values, float), np.array([heat.low, heat.high], float)
    if heat.log:
        with np.errstate(divide="ignore", invalid="ignore"):
            values, ends = np.log10(values), np.log10(ends)
    low, high = ends.tolist()
    if not (np.isfinite(ends).all() and low <= high):
        raise ValueError(f"colours cannot go from {heat.low} to {heat.high}")
    shares = (values - low) / (high - low or 1.0)
    return {
        "level": packed(np.where(np.isnan(values), NO_NUMBER, levels(shares, LEVELS)).astype(np.uint8)),
        "range": [low, high],
        "cut": [bool((values < low).any()), bool((values > high).any())],
        "log": heat.log,
        "palette": heat.palette,
        "bar": heat.bar,
        "smooth": heat.smooth,
        "name": heat.name,
        "unit": heat.unit,
    }


def _level(level: Level) -> dict[str, Any]:
    style = {name: getattr(level, name) for name in ("label", "colour", "dash", "width")}
    return {"values": packed(np.asarray(level.values, np.float32)), "at": float(level.at), **style}


def _path(path: Path) -> dict[str, Any]:
    style = {name: getattr(path, name) for name in ("label", "colour", "dash", "width", "markers")}
    return {"points": _points(path.points), **style}


def _area(area: Area) -> dict[str, Any]:
    style = {name: getattr(area, name) for name in ("label", "colour", "opacity")}
    return {"low": _points(area.low), "high": _points(area.high), **style}


def _dots(dots: Dots) -> dict[str, Any]:
    style = {name: getattr(dots, name) for name in ("label", "colour", "symbol", "size", "opacity")}
    return {"points": _points(dots.points), **style}


def _points(points: np.ndarray) -> dict[str, Any]:
    with np.errstate(over="ignore"):
        return packed(np.asarray(points, np.float32).reshape(-1, 2))
