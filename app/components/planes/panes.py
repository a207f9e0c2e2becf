"""What a pane shows, as frozen values, and these as JSON for the browser.

A grid has its nodes at `np.linspace` of the pane's window, both ends included: row = y ascending, column = x ascending.
A colour of None is the page's own ink, dark on a light page and light on a dark one.

What a flow makes of the plane is sent as the flow's weights (`app.engine.training.weights`). The browser computes it
from these, at every zoom. A pane shows one flow at most.
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from app.quantise import Window, levels, packed

NO_NUMBER = 255
LEVELS = 254
NAME_DIGITS = 16

Dash = Literal["solid", "dash", "dot", "dashdot", "long", "sparse"]
DASHES: tuple[Dash, ...] = get_args(Dash)


@dataclass(frozen=True, eq=False)
class Density:
    """The density of the flow that has these weights."""

    weights: bytes


@dataclass(frozen=True, eq=False)
class Samples:
    """So many samples of the flow that has these weights: the images of the same noise each time."""

    weights: bytes
    count: int


@dataclass(frozen=True, eq=False)
class Heat:
    """Values (n, n), or a density, as colours from `low` to `high`, NaN grey; with `log` by their logarithm, where both
    are > 0. If `high` is None, the colours of all such panes of a row end at the same value: the largest of the
    `app.quantise.TOP_QUANTILE` of each."""

    values: np.ndarray | Density
    name: str
    unit: str
    low: float
    high: float | None
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
    """Points (m, 2), or samples, with one of the symbols of `app/web/canvas/layers.js`, `size` pixels wide."""

    points: np.ndarray | Samples
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
    if len({shown.weights for shown in _of_flow(pane)}) > 1:
        raise ValueError(f"The pane {pane.title!r} shows several flows: give each of them a pane.")
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


def weights_in(panes: Iterable[Pane | Chart]) -> dict[str, str]:
    """The weights of all flows that are shown, in base64, by their names in what `encode` returns."""
    pieces = [piece for pane in panes if isinstance(pane, Pane) for piece in _of_flow(pane)]
    return {name_of(piece.weights): base64.b64encode(piece.weights).decode("ascii") for piece in pieces}


def _of_flow(pane: Pane) -> list[Density | Samples]:
    shown = [pane.heat.values if pane.heat else None, *(dots.points for dots in pane.dots)]
    return [one for one in shown if isinstance(one, Density | Samples)]


def name_of(weights: bytes) -> str:
    """A short name that other weights do not have."""
    return hashlib.sha256(weights).hexdigest()[:NAME_DIGITS]


def _heat(heat: Heat) -> dict[str, Any]:
    """The name of a flow; values as they are if their colours have no end of their own; or else colours as levels."""
    palette = {name: getattr(heat, name) for name in ("palette", "bar", "smooth", "log", "name", "unit")}
    if isinstance(heat.values, Density):
        if heat.log:
            raise ValueError("The density of a flow is not drawn by its logarithm.")
        return {"flow": name_of(heat.values.weights), "low": float(heat.low), "high": heat.high, **palette}
    if heat.high is None:
        return {"values": packed(np.asarray(heat.values, np.float32)), "low": float(heat.low), **palette}
    return _levels(heat.values, (heat.low, heat.high), heat.log) | palette


def _levels(values: np.ndarray, between: tuple[float, float], log: bool) -> dict[str, Any]:
    """Colours as levels 0..254, 255 = not a number; `range` to base 10 where `log`; `cut`: are values beyond it."""
    values, ends = np.asarray(values, float), np.array(between, float)
    if log:
        with np.errstate(divide="ignore", invalid="ignore"):
            values, ends = np.log10(values), np.log10(ends)
    low, high = ends.tolist()
    if not (np.isfinite(ends).all() and low <= high):
        raise ValueError(f"colours cannot go from {between[0]} to {between[1]}")
    shares = (values - low) / (high - low or 1.0)
    return {
        "level": packed(np.where(np.isnan(values), NO_NUMBER, levels(shares, LEVELS)).astype(np.uint8)),
        "range": [low, high],
        "cut": [bool((values < low).any()), bool((values > high).any())],
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
    if isinstance(dots.points, Samples):
        return {"flow": name_of(dots.points.weights), "count": dots.points.count, **style}
    return {"points": _points(dots.points), **style}


def _points(points: np.ndarray) -> dict[str, Any]:
    with np.errstate(over="ignore"):
        return packed(np.asarray(points, np.float32).reshape(-1, 2))
