"""The inverse of one block as pictures: the planes of z and of x, and the errors of the walks from one to the other."""

import numpy as np

from app.components.planes import Chart, Dots, Heat, Level, Pane, Path
from app.components.planes.panes import Dash
from app.features.lipschitz.numbers import Inverted
from app.quantise import Window
from app.ui.chart_style import BLUE, GREEN, GREY, PURPLE, VERMILION
from app.words import order_name
from resflow_core.measure import Inversion
from resflow_core.measure.inversion import MOST_STEPS

WALKS: dict[str, tuple[str, str | None, Dash]] = {
    "banach": ("Banach", None, "solid"),
    "newton": ("Newton", BLUE, "dash"),
    "chord": ("chord", GREEN, "dot"),
}
ROUNDING, FAR = 1e-16, 1e4


def panes(drawn: Inversion, found: Inverted, *, clickable: bool = True) -> list[Pane | Chart]:
    """The z plane with the steps of an iteration, the x plane with the fold and the walks, and their errors."""
    name = WALKS[found.method][0]
    ring = (float(drawn.z[0]), float(drawn.z[1]))
    fold = (Path(drawn.fold_image, "image of the fold", VERMILION, width=2.5),) if len(drawn.fold) else ()
    steps = Pane(
        f"z: steps that {name}'s iteration takes",
        "z₁",
        "z₂",
        drawn.window,
        f"Steps of {name}'s iteration to a residual of 1e-6 for every z: up to {found.most_steps}; "
        f"{100 * found.late:.3g} percent do not arrive in {MOST_STEPS}.",
        heat=Heat(drawn.steps, "steps", "", 0.0, max(found.most_steps, 1)),
        paths=fold,
        note=f"Grey: not there after {MOST_STEPS} steps ({100 * found.late:.3g} %)."
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
        f"det(I + s A) over the plane of x, smallest {found.smallest_det:.3g}. "
        + ("It changes sign along the fold line." if found.turns_over else "It is positive everywhere."),
        heat=Heat(drawn.det, "det(I + sA)", "", -far, far, palette="signed"),
        levels=(Level(drawn.det, 0.0, "fold: det = 0", VERMILION, width=2.5),) if found.turns_over else (),
        paths=walks,
        dots=(
            Dots(drawn.preimages, "x with f(x) = z", PURPLE, "star", 13),
            Dots(drawn.z[None], "z", None, "circle-open", 11),
        ),
        note=(
            "Blue is where the map turns the plane over."
            if found.turns_over
            else "Orange: the map keeps its orientation."
        )
        + _unseen(found),
    )
    return [steps, x_plane, errors(drawn, found)]


def _unseen(found: Inverted) -> str:
    """That some x are not in the picture, where it is so."""
    if not found.outside:
        return ""
    are = "is" if found.outside == 1 else "are"
    return f" Of the {found.preimages} x found, {found.outside} {are} outside of the picture."


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
        note=f"{fates}. The chord is Newton's method with its first I + sA kept.",
    )


def _arrival(values: np.ndarray) -> int:
    """Where a curve gets to rounding, or its end."""
    there = np.flatnonzero(values < 1e-14)
    return int(there[0]) if len(there) else len(values)
