"""A pulled weight as pictures: the density, what moved of it, and where the block takes a straight grid. Pure."""

import numpy as np

from app.components.planes import Density, Heat, Level, Pane, Path
from app.engine.training.measurements.edits import Edits
from app.features.lipschitz.pictures import GRID_LINES
from app.features.lipschitz.weighed import Weighed
from app.quantise import TOP_QUANTILE
from app.ui.chart_style import BLUE, GREY
from resflow_core.data import Dataset

CONTOUR = 0.25
"""Share of the largest density at which the outline of the trained one is drawn."""


def density(edits: Edits, found: Weighed, dataset: Dataset, age: str, plain: bool = False) -> Pane:
    """The flow's density with the changes, and the outline of the trained one; `age` says how long it was trained. The
    browser draws the density if it can, unless it is `plain`."""
    values, trained = (np.where(np.isfinite(p), p, np.nan) for p in (edits.density, edits.trained))
    known = trained[~np.isnan(trained)]
    # The trained one's, so that colours stand still while a weight is pulled.
    top = float(np.quantile(known, TOP_QUANTILE)) if known.size else 1.0
    drawn = values if plain or edits.weights is None else Density(edits.weights)
    x, y = (axis.name for axis in dataset.axes)
    outline = (Level(np.nan_to_num(trained), CONTOUR * top, "outline as trained", "#FFFFFF", "dash", 1.4),)
    lost = int(np.isnan(values).sum())
    usual = "Dashed: the outline as trained." if found.changes else f"The flow, {age}."
    note = f"Grey: not finite at {lost} points." if lost else usual
    return Pane(
        "Density with your changes" if found.changes else "Density",
        x,
        y,
        dataset.window,
        f"Density of the flow in the plane of the data, with {found.changes} changed parameter"
        f"{'s' * (found.changes != 1)} in block {found.block + 1}. {note}",
        heat=Heat(drawn, "density", "", 0.0, top or 1.0, smooth=True, bar=False),
        levels=outline if found.changes else (),
        note=note,
        legend=False,
    )


def bent(edits: Edits) -> Pane:
    """Where the block takes a straight grid, as trained and with its changes."""
    found = edits.found
    folds = "" if found.smallest_det > 0 else " It folds."
    return Pane(
        "After the block: z = x + s g(x)",
        "z₁",
        "z₂",
        found.window,
        f"A straight grid after block {found.block + 1}, as trained in grey dashes and with the changes in blue, at "
        f"s = {found.scale:g}.{folds}",
        paths=(
            Path(_lines(found.before), "as trained", GREY, "dash", 1.0),
            Path(_lines(found.after), "now", BLUE, width=1.3),
        ),
        note=f"Grey dashes: as trained. Blue: now.{folds}",
        legend=False,
    )


def _lines(image: np.ndarray) -> np.ndarray:
    """Some rows and columns of a grid as one path; what is not finite is a gap."""
    at = np.linspace(0, len(image) - 1, GRID_LINES).round().astype(int)
    gap = np.full((1, 2), np.nan)
    lines = np.concatenate([part for k in at for line in (image[k], image[:, k]) for part in (line, gap)])
    return np.where(np.isfinite(lines), lines, np.nan)
