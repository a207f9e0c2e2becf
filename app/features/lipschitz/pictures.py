"""The inverse of one block as pictures: the planes of z and of x, and the errors of the walks from one to the other."""

from typing import Protocol

import numpy as np

from app.components.planes import Area, Chart, Dots, Heat, Level, Pane, Path
from app.components.planes.panes import Dash
from app.features.lipschitz.answers import Answer, Folds, MassByScale
from app.features.lipschitz.numbers import Inverted
from app.quantise import Window
from app.ui.chart_style import BLUE, CATEGORIES, GREEN, GREY, PURPLE, VERMILION
from app.words import order_name
from resflow_core.measure import Inversion, Walk
from resflow_core.measure.inversion import GOAL, MOST_STEPS

WALKS: dict[str, tuple[str, str | None, Dash]] = {
    "banach": ("Banach", None, "solid"),
    "newton": ("Newton", BLUE, "dash"),
    "chord": ("chord", GREEN, "dot"),
}
ROUNDING, FAR = 1e-16, 1e4
ENLARGED, LEAST_REACH = 0.65, 1e-3
"""Half the side of the square around a way, in its extent; and that at least."""
GRID_LINES = 16
"""In each direction."""


class Mapped(Protocol):
    """What the planes of z and of x show of f(x) = x + s g(x): a `measure.Inversion`, or a `walk.Folding`."""

    @property
    def scale(self) -> float: ...
    @property
    def window(self) -> Window: ...
    @property
    def det(self) -> np.ndarray: ...
    @property
    def image(self) -> np.ndarray: ...
    @property
    def fold_image(self) -> np.ndarray: ...
    @property
    def z(self) -> np.ndarray: ...
    @property
    def preimages(self) -> np.ndarray: ...


def bent(drawn: Mapped, *, clickable: bool = False) -> Pane:
    """The plane of z: where f takes a straight grid, the edge of the fold, and the z that is looked at."""
    at = np.linspace(0, len(drawn.image) - 1, GRID_LINES).round().astype(int)
    gap = np.full((1, 2), np.nan)
    lines = [part for k in at for line in (drawn.image[k], drawn.image[:, k]) for part in (line, gap)]
    folds = len(drawn.fold_image) > 0
    edge = (Path(drawn.fold_image, "edge of the fold", VERMILION, width=2.5),) if folds else ()
    shape = "folded over itself" if folds else "bent but not folded"
    return Pane(
        "After the block: z = x + s g(x)",
        "z₁",
        "z₂",
        drawn.window,
        f"Where the block takes a straight grid at s = {drawn.scale:g}: {shape}. The ring is the chosen z.",
        paths=(Path(np.concatenate(lines), "a straight grid, after the block", BLUE, width=1.1), *edge),
        note=f"The grid is {shape}. The ring is the chosen z.",
        clickable=clickable,
        point=(float(drawn.z[0]), float(drawn.z[1])),
    )


def before(drawn: Mapped, walk: Walk, n: int) -> Pane:
    """The plane of x, with the first `n` steps of a walk from z to x; enlarged, where the block folds nowhere."""
    way = walk.x[: n + 1]
    return _turned(drawn, way) if float(drawn.det.min()) < 0 else _way_back(drawn, walk, way)


def _way_back(drawn: Mapped, walk: Walk, way: np.ndarray) -> Pane:
    ends = np.concatenate([walk.x[: steps_to(walk) + 1], drawn.preimages])
    centre, reach = (ends.max(0) + ends.min(0)) / 2, ENLARGED * max(float(np.ptp(ends, axis=0).max()), LEAST_REACH)
    (x0, y0), (x1, y1) = (centre - reach).tolist(), (centre + reach).tolist()
    return Pane(
        "Before the block: from z back to x, enlarged",
        "x₁",
        "x₂",
        ((x0, x1), (y0, y1)),
        f"{len(way) - 1} steps of Banach's iteration from the z in the ring (open circle) to its x (star), in a square "
        f"with the side {2 * reach:.2g}.",
        paths=(_way(way),),
        dots=_ends(drawn, "its x"),
        note=f"A square with the side {2 * reach:.2g}. Every z has one x here.",
    )


def _way(way: np.ndarray) -> Path:
    return Path(way, "the way so far", BLUE, width=1.8, markers=True)


def _ends(drawn: Mapped, said: str) -> tuple[Dots, Dots]:
    """z, where the way begins, and all x that were found."""
    return Dots(drawn.z[None], "z = x₀", None, "circle-open", 13), Dots(drawn.preimages, said, PURPLE, "star", 15)


def _turned(drawn: Mapped, way: np.ndarray) -> Pane:
    """The factor of areas with its sign, the fold, all x of the z that is looked at, and the way from z, (n + 1, 2)."""
    least, far, count = float(drawn.det.min()), float(np.abs(drawn.det).max()), len(drawn.preimages)
    turns = least < 0
    low, high = np.array(drawn.window).T
    outside = int((~((drawn.preimages >= low) & (drawn.preimages <= high)).all(1)).sum())
    return Pane(
        "Before the block: from z back to x",
        "x₁",
        "x₂",
        drawn.window,
        f"The factor of areas, det(I + sA), over the plane of x at s = {drawn.scale:g}, smallest {least:.3g}. {count} "
        "stars: the points x that the block sends to the z in the ring.",
        heat=Heat(drawn.det, "factor of areas, det(I + sA)", "", -far, far, palette="signed"),
        levels=(Level(drawn.det, 0.0, "fold: factor 0", VERMILION, width=2.5),) if turns else (),
        paths=(_way(_near(way, drawn.window)),),
        dots=_ends(drawn, f"{count} x of the z in the ring"),
        note=("Blue: here the block turns the plane over." if turns else "Orange: nothing is turned over.")
        + _unseen(count, outside),
    )


def undoing(walk: Walk, promised: np.ndarray, n: int) -> Chart:
    """How far x_n of Banach's iteration is from x, up to step `n`, and how far it was promised to be at most."""
    last = steps_to(walk)
    at, seen = np.arange(last + 1), walk.error[: n + 1]
    shown = np.where(seen < FAR, np.maximum(seen, ROUNDING), np.nan)
    paths = [Path(np.stack([at[: n + 1], shown], 1), "seen: ‖xₙ − x‖", BLUE, markers=True, width=2.2)]
    is_promised = bool(np.isfinite(promised).all())
    if is_promised:
        paths.append(
            Path(np.stack([at, promised[: last + 1]], 1), "promised: Lⁿ / (1 − L) ‖x₁ − x₀‖", VERMILION, "dash")
        )
    return Chart(
        "How far xₙ is from x",
        "step n",
        "distance ‖xₙ − x‖ (log scale)",
        tuple(paths),
        f"The distance of Banach's iteration to x against its steps: {seen[-1]:.2g} after {n} of {last}"
        + (f", promised to be at most {promised[n]:.2g}." if is_promised else ", without a promise."),
        log_y=True,
        note="The seen distance never exceeds the promised one." if is_promised else "Beyond 1/L nothing is promised.",
    )


def steps_to(walk: Walk) -> int:
    """Until the residual is at most `GOAL`; all steps that were taken where it never is."""
    there = np.flatnonzero(walk.residual <= GOAL)
    return int(there[0]) if len(there) else len(walk.residual) - 1


def by_block(found: Answer) -> Chart:
    """s* of all blocks of all flows, and what is guaranteed."""
    flow = found.flows[0]
    drawn = []
    for k, one in enumerate(found.flows):
        x = np.arange(1, len(one.folds_at) + 1)
        drawn.append(Path(np.stack([x, np.sort(one.folds_at)], 1), f"seed {k}", CATEGORIES[k], markers=True, width=1.2))
    ends = np.array([1.0, max(len(one.folds_at) for one in found.flows)])
    limit = np.stack([ends, np.full(2, flow.guaranteed)], 1)
    rank = 1 + int(np.argsort(np.argsort(flow.folds_at))[flow.block])
    here = np.array([[rank, flow.middle]])
    low, high = flow.first, max(flow.folds_at)
    return Chart(
        "When each block folds, 3 trained flows" if len(found.flows) == 3 else "When each block folds",
        "block, in the order of folding",
        "s* at which it folds",
        (
            *drawn,
            Path(limit, f"guaranteed: up to {flow.guaranteed:.2f}", GREY, "dash"),
            Path(here, "the block of this page", VERMILION, markers=True, width=5.0),
        ),
        f"The s at which each block folds, sorted, from {low:.3g} to {high:.3g} in the first flow. All are guaranteed "
        f"up to {flow.guaranteed:.3g}. The block of this page folds at {flow.middle:.3g}.",
        log_y=True,
        note="No block folds where it is guaranteed not to.",
    )


def masses(flow: Folds, walk: MassByScale) -> Chart:
    """The mass of the density against s."""
    scales, mass, error = (np.array(values) for values in (walk.scales, walk.mass, walk.error))
    low, high, top = float(scales.min()), float(scales.max()), float((mass + error).max())
    certified = Path(_upright(flow.guaranteed, top), f"guaranteed up to {flow.guaranteed:.2f}", GREEN, "dash")
    folds = Path(_upright(flow.middle, top), f"folds at s* = {flow.middle:.2f}", VERMILION, "dot")
    return Chart(
        "Total probability against s",
        "scale s",
        "integral of the density",
        (
            Path(np.stack([scales, mass], 1), "total probability", BLUE, markers=True),
            Path(np.array([[low, 1.0], [high, 1.0]]), "1", GREY, "dashdot"),
            certified,
            folds,
        ),
        f"The integral of the density against s: 1 up to s* = {flow.middle:.3g}, {walk.mass[-1]:.3g} at s = {high:g}.",
        log_x=True,
        note="Beyond s*, places that are reached several times are counted several times. Band: error of the integral.",
        areas=(Area(np.stack([scales, mass - error], 1), np.stack([scales, mass + error], 1), "", BLUE),),
    )


def _upright(at: float, top: float) -> np.ndarray:
    return np.array([[at, 0.95], [at, top]])


def panes(drawn: Inversion, found: Inverted, *, clickable: bool = True) -> list[Pane | Chart]:
    """The z plane with the steps of an iteration, the x plane with the fold and the walks, and their errors."""
    name = WALKS[found.method][0]
    ring = (float(drawn.z[0]), float(drawn.z[1]))
    fold = (Path(drawn.fold_image, "image of the fold", VERMILION, width=2.5),) if len(drawn.fold) else ()
    steps = Pane(
        f"z: steps of {name}'s iteration",
        "z₁",
        "z₂",
        drawn.window,
        f"Steps of {name}'s iteration to a residual of 1e-6 for every z: up to {found.most_steps}. "
        f"{100 * found.late:.3g} percent need more than {MOST_STEPS}.",
        heat=Heat(drawn.steps, "steps", "", 0.0, max(found.most_steps, 1)),
        paths=fold,
        note=f"Grey: more than {MOST_STEPS} steps ({100 * found.late:.3g} %)."
        if found.late
        else f"At most {found.most_steps} steps.",
        clickable=clickable,
        point=ring,
    )
    far = float(np.abs(drawn.det).max())
    walks = tuple(
        Path(_near(drawn.walks[key].x, drawn.window), f"{label}'s walk", colour, dash, 1.6, markers=key == "banach")
        for key, (label, colour, dash) in WALKS.items()
        if key != "chord"
    )
    x_plane = Pane(
        "x: det(I + sA), and the walk from z to x",
        "x₁",
        "x₂",
        drawn.window,
        f"det(I + sA) over the plane of x, smallest {found.smallest_det:.3g}. "
        + ("It changes sign along the fold line." if found.turns_over else "It is positive everywhere."),
        heat=Heat(drawn.det, "det(I + sA)", "", -far, far, palette="signed"),
        levels=(Level(drawn.det, 0.0, "fold: det = 0", VERMILION, width=2.5),) if found.turns_over else (),
        paths=walks,
        dots=(
            Dots(drawn.preimages, "x with f(x) = z", PURPLE, "star", 13),
            Dots(drawn.z[None], "z", None, "circle-open", 11),
        ),
        note=("Blue: the map turns the plane over." if found.turns_over else "Orange: the map keeps its orientation.")
        + _unseen(found.preimages, found.outside),
    )
    return [steps, x_plane, errors(drawn, found)]


def _unseen(count: int, outside: int) -> str:
    """That some of so many x are not in the picture, where it is so."""
    if not outside:
        return ""
    return f" Of the {count} x found, {outside} {'is' if outside == 1 else 'are'} outside the picture."


def _near(walk: np.ndarray, window: Window) -> np.ndarray:
    """A walk as far as it stays near the plane that is drawn: what leaves would draw lines across it."""
    (x0, x1), (y0, y1) = window
    middle, reach = np.array([(x0 + x1) / 2, (y0 + y1) / 2]), 3 * max(x1 - x0, y1 - y0)
    with np.errstate(invalid="ignore"):
        gone = ~(np.abs(walk - middle).max(1) < reach)
    return walk[: int(gone.argmax())] if gone.any() else walk


def errors(drawn: Inversion, found: Inverted) -> Chart:
    """How near the three walks come to x; where none was found, how small their residuals get."""
    known = any(np.isfinite(walk.error).any() for walk in drawn.walks.values())
    what = "error ‖xₙ − x‖" if known else "residual ‖rₙ‖"
    last = 1 + max(_arrival(walk.error if known else walk.residual) for walk in drawn.walks.values())
    n = np.arange(len(drawn.a_priori))

    def line(values: np.ndarray) -> np.ndarray:
        shown = np.where(values < FAR, np.maximum(values, ROUNDING), np.nan)  # what leaves would flatten all else
        return np.stack([n, shown], 1)[:last]

    paths = [
        Path(line(walk.error if known else walk.residual), WALKS[key][0], WALKS[key][1], WALKS[key][2], 2.2)
        for key, walk in drawn.walks.items()
    ]
    if np.isfinite(drawn.a_priori).all():
        paths += [
            Path(line(drawn.a_posteriori), "bound ‖rₙ‖ / (1 − L), Banach", GREY, "dashdot"),
            Path(line(drawn.a_priori), "bound Lⁿ / (1 − L) ‖x₁ − x₀‖", GREY, "dash"),
        ]
    fates = "; ".join(f"{WALKS[key][0]} {fate}" for key, fate in found.fates.items())
    return Chart(
        f"{what[0].upper()}{what[1:]} against n",
        "iteration n",
        f"{what}, {order_name(found.order)}-norm",
        tuple(paths),
        f"The {what} of three iterations against n, on a logarithmic axis: {fates}.",
        log_y=True,
        note=f"{fates}. Chord: Newton's method that keeps its first I + sA.",
    )


def _arrival(values: np.ndarray) -> int:
    """Where a curve gets to rounding, or its end."""
    there = np.flatnonzero(values < 1e-14)
    return int(there[0]) if len(there) else len(values)
