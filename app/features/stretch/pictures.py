"""The x plane and the z plane, in the same window and the same colours."""

import numpy as np

from app.components.planes import Dots, Heat, Pane, Path
from app.features.stretch.bases import BASES
from app.features.stretch.density import Followed, log_density, reach_of
from app.features.stretch.settings import Stretch
from app.features.stretch.words import areas, lies, point, short
from app.quantise import Window
from app.ui.chart_style import SKY, VERMILION

NODES = 161
STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
LEAST_LINES = 3  # on either side of the middle
PER_LINE = 121
WIDER = (1.0, 1.25, 1.5, 2.0)
MARGIN = 0.98  # of a window, within which an outline is not at its edge
LIMITS = (3.0, 9.0, 27.0)  # in peaks of the base density: two directions are stretched 25 times at most
LIMITS_OF_WAVES = (2.0,)  # det J is at most 1 + s^2
ROUNDING = 1e-9


def panes(bench: Stretch, found: Followed, *, clickable: bool = True, both: bool = False) -> list[Pane]:
    """x with its density and a straight grid; with `both`, x without the determinant too; z with the base density and
    the image of the grid."""
    reach = picture_reach(bench, found)
    window = ((-reach, reach), (-reach, reach))
    nodes = _nodes(reach)
    over_x = np.exp(log_density(bench.f, bench.base, nodes, bench.forget))
    over_z = np.exp(BASES[bench.base].log_density(nodes))
    plain = np.exp(log_density(bench.f, bench.base, nodes, forget=True))
    high = colour_limit(bench.map, float(over_x.max()), float(over_z.max()))
    straight = grid(reach)
    lines = bench.f.forward(straight)  # a gap stays one
    title = "x: base density at f(x), determinant forgotten" if bench.forget else "x: the density p(x)"
    name = "base density at f(x)" if bench.forget else "p(x)"
    (side_here, corner_here), (side_there, corner_there) = marks(bench, found.square), marks(bench, found.image)
    here = Path(closed(found.square), f"square of area {short(found.area)}", VERMILION, width=2.4), *side_here
    there = (
        Path(closed(found.image), f"its image, of area {short(found.image_area)}", VERMILION, width=2.4),
        *side_there,
    )
    if bench.map != "linear":
        there += (Path(closed(found.tangent), "parallelogram by J", None, "dash", 1.6),)
    square_lies, image_lies = lies(bench, found)
    without = Pane(
        "x: without the determinant",
        "x₁",
        "x₂",
        window,
        f"Base density at f(x) over the plane of x, up to {short(float(plain.max()))}: as high as in z, although f "
        "changes areas.",
        heat=_heat(plain, "base density at f(x)", high),
        paths=(Path(straight, "", width=0.6),),
        note="Each x gets the density of its z. The mass is not 1.",
    )
    with_it, at_z = (
        Pane(
            title,
            "x₁",
            "x₂",
            window,
            f"{name} over the plane of x, up to {short(float(over_x.max()))}, with a straight grid; at x = "
            f"{point(found.x)} a square of area {short(found.area)}. {square_lies}".rstrip(),
            heat=_heat(over_x, name, high),
            paths=(Path(straight, "", width=0.6), *here),
            dots=corner_here,
            note=f"The straight grid, and x = {point(found.x)}." + _outside(found.x, window),
            clickable=clickable,
            point=(float(found.x[0]), float(found.x[1])),
        ),
        Pane(
            "z = f(x): the density of z",
            "z₁",
            "z₂",
            window,
            f"Base density, up to {short(float(over_z.max()))}, with the image of the grid; at z = {point(found.z)}. "
            f"{areas(bench, found)} {image_lies}".rstrip(),
            heat=_heat(over_z, "base density", high),
            paths=(Path(lines, "", width=0.6), *there),
            dots=(Dots(found.z[None], "z", VERMILION, "star", 9), *corner_there),
            note=f"The same grid under f, and z = {point(found.z)}." + _outside(found.z, window),
        ),
    )
    return [with_it, without, at_z] if both else [with_it, at_z]


def picture_reach(bench: Stretch, found: Followed) -> float:
    """Half the side of the window: of what can be seen of both densities, or a bit more where that shows the square and
    its image whole. A point far away is left outside, as the picture says."""
    reach = reach_of(bench.f, bench.base)
    needed = max(float(np.abs(outline).max()) for outline in (found.square, found.image, found.tangent))
    return reach * next((wider for wider in WIDER if needed <= MARGIN * wider * reach), 1.0)


def colour_limit(kind: str, over_x: float, over_z: float) -> float:
    """Where the colours of both pictures end, from the largest values in them: at a multiple of the base density's
    peak, so that another map of the same kind rarely changes the colours of z, whose density stays the same."""
    steps = LIMITS if kind == "linear" else LIMITS_OF_WAVES
    return over_z * next((limit for limit in steps if over_x <= limit * over_z * (1 + ROUNDING)), over_x / over_z)


def grid(reach: float) -> np.ndarray:
    """Horizontal and vertical lines at multiples of a round step within a window, NaN between them, (m, 2)."""
    step = max((s for s in STEPS if LEAST_LINES * s <= reach), default=STEPS[0])
    places = step * np.arange(-np.floor(reach / step), np.floor(reach / step) + 1)
    along = np.linspace(-reach, reach, PER_LINE)
    gap = np.full((1, 2), np.nan)
    upright = [part for c in places for part in (np.stack([np.full(PER_LINE, c), along], 1), gap)]
    level = [part for c in places for part in (np.stack([along, np.full(PER_LINE, c)], 1), gap)]
    return np.concatenate([*upright, *level])


def marks(bench: Stretch, outline: np.ndarray) -> tuple[tuple[Path, ...], tuple[Dots, ...]]:
    """What shows on which side of its way the outline of the square or of its image, (m, 2), lies: its first side, and
    the corner from which it goes. A corner alone would look the same after a mirror and after a rotation. None for a
    map that cannot turn the plane over."""
    if bench.map != "linear":
        return (), ()
    side = outline[: len(outline) // 4 + 1]
    return (Path(side, "side from the dot", SKY, width=3.2),), (Dots(outline[:1], "corner", SKY, "circle", 9),)


def closed(outline: np.ndarray) -> np.ndarray:
    """An outline that goes on a bit past its end, which is its beginning: two open ends leave a notch in the corner."""
    return np.concatenate([outline, outline[1:2]])


def _nodes(reach: float) -> np.ndarray:
    side = np.linspace(-reach, reach, NODES)
    return np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)


def _heat(values: np.ndarray, name: str, high: float) -> Heat:
    within = np.minimum(values, high)  # rounding may leave the peak a hair above
    return Heat(within.reshape(NODES, NODES), name, "per unit of area", 0.0, high)


def _outside(place: np.ndarray, window: Window) -> str:
    """Where a point is not in the picture, that it is not."""
    inside = all(low <= c <= high for c, (low, high) in zip(place, window, strict=True))
    return "" if inside else " It lies outside the picture."
