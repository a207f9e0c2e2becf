"""Samples, spectral discs and the Jacobian of a layer of each arm. Pure: reports in, panes and LaTeX out."""

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from functools import lru_cache

import numpy as np

from app.components.planes import Dots, Heat, Pane, Path, Samples
from app.engine.reports import ArmReport, Frame, Picture
from app.engine.training.measurements.derivatives import Derivatives
from app.features.compare.numbers import bias_at
from app.text import signed
from app.ui.side_by_side import fit, style
from resflow_core.data import Dataset
from resflow_core.measure import Spectrum

POINTS = 500
DISC = ((-1.06, 1.06), (-1.06, 1.06))
NODES = 81
# Where colours end: beyond, the series has all but exploded.
MOST_ERROR = 0.5
# |d out / d in| below is the structure's zero, and this near to 1 its one.
ROUNDING = 1e-6


def samples(
    dataset: Dataset, labels: Sequence[str], arms: Sequence[ArmReport], pictures: Sequence[Picture]
) -> list[Pane]:
    """Held-out points, and as many draws from each flow."""
    x, y = (axis.name for axis in dataset.axes)

    def pane(title: str, points: np.ndarray | Samples, note: str, colour: str | None) -> Pane:
        count = points.count if isinstance(points, Samples) else len(points)
        dots = (Dots(points, title, colour, size=3.5, opacity=0.6),) if count else ()
        alt = f"{count} points in the plane of the data, {title}. {note}"
        return Pane(title, x, y, dataset.window, alt, dots=dots, note=note, legend=False)

    points = dataset.held_out()[:POINTS].numpy()
    data = pane("Data", points, f"{len(points)} held-out points.", None)
    return [data] + [
        pane(label, _drawn(picture, len(points)), _refusal(picture) or fit(dataset, arm), style(k)["colour"])
        for k, (label, arm, picture) in enumerate(zip(labels, arms, pictures, strict=True))
    ]


def _drawn(picture: Picture, count: int) -> np.ndarray | Samples:
    if not isinstance(picture, Frame):
        return Samples(picture, count)
    return np.empty((0, 2)) if picture.samples is None else picture.samples[:count]


def _refusal(picture: Picture) -> str:
    """Why the server has no samples; a browser says so itself."""
    return picture.refusal if isinstance(picture, Frame) else ""


def spectra(
    labels: Sequence[str],
    arms: Sequence[ArmReport],
    terms: Mapping[str, int | None],
    budgets: Mapping[str, float | None],
) -> list[Pane]:
    """The eigenvalues of each residual flow, over what its series makes of an eigenvalue there."""
    return [
        _disc(label, derivatives.spectrum, terms[label], budgets[label], style(k)["colour"])
        for k, (label, arm) in enumerate(zip(labels, arms, strict=True))
        if budgets[label] is not None and (derivatives := arm.found(Derivatives)) and derivatives.spectrum
    ]


def _disc(label: str, spectrum: Spectrum, terms: int | None, budget: float, colour: str) -> Pane:
    found = spectrum.eigenvalues
    points = np.stack([found.real, found.imag], 1)
    circles = [Path(_circle(budget), f"L = {budget:g}", None, "dash", 1.4)]
    if budget < 0.98:  # else the two circles are one line
        circles.append(Path(_circle(1.0), "1", None, "solid", 1.0))
    note = f"Largest |λ| = {np.abs(found).max():.2f}."
    if terms:
        note += signed(f" Bias of log p: {bias_at(spectrum, terms):+.2g} nats.")
    heat = None
    if terms:
        error = series_error(terms)
        heat = Heat(error, "error of the series", "nats", -MOST_ERROR, MOST_ERROR, palette="signed", bar=False)
    return Pane(
        label,
        "Re λ",
        "Im λ",
        DISC,
        f"Eigenvalues λ of the blocks' Jacobians at data points, {label}. {note} "
        + ("Where the plane is orange, the cut series is larger than log(1 + λ)." if terms else ""),
        heat=heat,
        paths=tuple(circles),
        dots=(Dots(points, "λ", None if terms else colour, size=4.0, opacity=0.6),),
        note=note,
        legend=False,
    )


def _circle(radius: float) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 181)
    return radius * np.stack([np.cos(angles), np.sin(angles)], 1)


@lru_cache(maxsize=64)
def series_error(terms: int) -> np.ndarray:
    """Re of sum_{k<=n} a_k lambda^k - log(1 + lambda) at the nodes of the square around the disc, (NODES, NODES)."""
    axis = np.linspace(*DISC[0], NODES)
    at = axis[None, :] + 1j * axis[:, None]
    total = sum((-1) ** (k + 1) / k * at**k for k in range(1, terms + 1))
    with np.errstate(divide="ignore"):
        return (total - np.log1p(at)).real


def matrix(structure: np.ndarray) -> str:
    """The mean |d out_i / d in_j| of a layer as LaTeX; what the structure forces to be 0 or 1 as such."""
    rows = r" \\ ".join(" & ".join(_entry(value) for value in row) for row in structure.tolist())
    return rf"\begin{{pmatrix}} {rows} \end{{pmatrix}}"


def _entry(value: float) -> str:
    for whole in (0, 1):
        if abs(value - whole) < ROUNDING:
            return str(whole)
    return f"{value:.2f}"


class Structure(Enum):
    """What the zeros and ones of a layer's Jacobian say."""

    FREE = auto()  # each output depends on each input
    SHIFT = auto()  # a coupling that keeps volume
    COUPLING = auto()  # one coordinate is kept
    AUTOREGRESSIVE = auto()  # triangular


def structure_of(jacobian: np.ndarray) -> Structure:
    zero, one = np.abs(jacobian) < ROUNDING, np.abs(jacobian - 1) < ROUNDING
    if not zero.any():
        return Structure.FREE
    kept = [i for i in range(len(jacobian)) if zero[i].sum() == len(jacobian) - 1 and one[i, i]]
    if kept and one.diagonal().all():
        return Structure.SHIFT
    return Structure.COUPLING if kept else Structure.AUTOREGRESSIVE
