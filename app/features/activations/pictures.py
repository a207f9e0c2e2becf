"""Where the units of trained flows are, under slope and curvature of their activation. Pure: numbers in, charts out."""

from collections.abc import Mapping, Sequence

import numpy as np

from app.components.planes import Area, Chart, Path
from app.features.activations.answers import percent
from app.features.activations.used import BINS, REACH, Units, curves, is_saturated
from app.ui import bands
from app.ui.chart_style import BLUE, GREY, ORANGE, VERMILION

FINE = 1201
TOP = 1.05
HATCHES = 0.25
"""Between two lines of the hatching, in z."""


def used(names: Mapping[str, str], found: Mapping[str, Sequence[Units]], height: int | None = None) -> list[Chart]:
    """A chart for each label, of the activation that it names; `found` has the units of each seed."""
    return [_used(label, names[label], of, height) for label, of in found.items()]


def _used(label: str, name: str, seeds: Sequence[Units], height: int | None) -> Chart:
    edges = np.linspace(-REACH, REACH, BINS + 1)
    centres, shares = (edges[1:] + edges[:-1]) / 2, np.mean([of.shares for of in seeds], axis=0)
    heights = shares / shares.max()
    fine = np.linspace(-REACH, REACH, FINE)
    slope, curvature = curves(name, fine)
    zone = is_saturated(slope, curvature, float(np.mean([of.scale for of in seeds])))
    beyond = 100 * float(np.mean([of.beyond for of in seeds]))
    share = percent(bands.band([100 * of.saturated for of in seeds]))
    said = f"slope near 1, curvature near 0: {share} of the units"
    return Chart(
        f"{label}: {share} of all units bend nothing",
        "z, the input of the activation",
        "slope, curvature; units (most = 1)",
        (
            Path(np.stack([centres, heights], 1), "units of the trained flows", GREY, width=1.6),
            Path(np.stack([fine, slope], 1), "slope |φ′|", BLUE, "dash"),
            Path(np.stack([fine, curvature], 1), "curvature |φ″|", ORANGE, width=2.4),
            Path(_hatching(fine, zone), said, VERMILION, "dot", 1.0),
        ),
        f"{label}: distribution of the inputs of the activation in the trained flows, with its slope and its "
        f"curvature. For {share} of them the slope is near 1 and the curvature near 0.",
        note="Hatched: slope near 1 and curvature near 0. Grey: the inputs of the units"
        + (f"; {beyond:.0f} % lie further out." if beyond >= 1 else "."),
        areas=(Area(np.stack([centres, 0 * heights], 1), np.stack([centres, heights], 1), "", GREY, 0.3),),
        height=height,
    )


def _hatching(t: np.ndarray, zone: np.ndarray) -> np.ndarray:
    """Upright lines in the places where `zone` holds, its edges among them."""
    steps = np.diff(np.concatenate([[0], zone.astype(int), [0]]))
    lines: list[np.ndarray] = []
    for first, last in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1) - 1, strict=True):
        low, high = t[first], t[last]
        for at in (*np.arange(low, high, HATCHES), high):
            lines.append(np.array([[at, 0.0], [at, TOP], [np.nan, np.nan]]))
    return np.concatenate(lines) if lines else np.empty((0, 2))
