"""Density, decisions, confidence and samples of hybrids. Pure: reports in, panes out."""

import contourpy
import numpy as np

from app.components.planes import Dots, Heat, Pane, Path
from app.engine.reports import ArmReport, Frame
from app.features.joint import truth
from app.features.joint.words import accuracy_of, share
from app.quantise import top_of
from app.ui.chart_style import CATEGORIES
from app.ui.scene import true_density
from app.ui.side_by_side import TRUTH_GRID, fit
from resflow_core.data import Dataset

SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "x", "star")
POINTS = 400
BOUNDARY = "decision boundary"


def panes(dataset: Dataset, label: str, arm: ArmReport, frame: Frame) -> list[Pane]:
    """The truth where it is known; density and decisions; confidence among held-out points; samples."""
    shown = [decided(dataset, label, arm, frame), confidence(dataset, frame), samples(dataset, frame)]
    return [true(dataset), *shown] if dataset.joint else shown


def true(dataset: Dataset) -> Pane:
    """The true density and Bayes' rule."""
    density = true_density(dataset, TRUTH_GRID)
    best = truth.best(dataset)
    note = f"Bayes' rule: {share(best.accuracy)} correct at held-out points."
    return _pane(
        dataset,
        "Truth",
        f"True density, and where its classes are equally likely. {note}",
        heat=Heat(density, "density", "", 0.0, float(density.max()), smooth=True, bar=False),
        paths=boundaries(truth.posterior(dataset), dataset.window),
        note=note,
    )


def decided(dataset: Dataset, title: str, arm: ArmReport, frame: Frame) -> Pane:
    """The density, and where the classifier changes its mind."""
    note = f"{fit(dataset, arm)} {accuracy_of(arm)}"
    return _pane(
        dataset,
        title,
        f"Density and decision boundaries, {title}. {note}",
        heat=Heat(frame.density, "density", "", 0.0, top_of(frame.density) or 1.0, smooth=True, bar=False),
        paths=boundaries(_probabilities(frame), dataset.window),
        note=note,
    )


def confidence(dataset: Dataset, frame: Frame) -> Pane:
    """How sure the classifier is, and held-out points with their true classes."""
    least = 1 / len(dataset.classes)
    x, y = dataset.held_out()[:POINTS].numpy(), dataset.held_out_classes()[:POINTS].numpy()
    note = f"max p(y|x): dark {100 * least:.0f} %, bright 100 %. Points: held out, with their true classes."
    return _pane(
        dataset,
        "Confidence",
        f"Confidence of the classifier over the plane. {note}",
        heat=Heat(_probabilities(frame).max(2), "max p(y|x)", "", least, 1.0, smooth=True, bar=False),
        paths=boundaries(_probabilities(frame), dataset.window),
        dots=_by_class(dataset, x, y),
        note=note,
    )


def samples(dataset: Dataset, frame: Frame) -> Pane:
    """Draws from the flow, each with the class that its own classifier gives it."""
    dots = ()
    if frame.samples is not None and frame.sample_classes is not None:
        dots = _by_class(dataset, frame.samples[:POINTS], frame.sample_classes[:POINTS])
    note = frame.refusal or "Drawn from the flow. Its classifier gives the classes."
    return _pane(
        dataset,
        "Samples",
        f"Samples of the flow, {', '.join(dataset.classes)}. {note}",
        paths=boundaries(_probabilities(frame), dataset.window),
        dots=dots,
        note=note,
        legend=len(dataset.classes) <= len(SYMBOLS),
    )


def boundaries(probabilities: np.ndarray, window) -> tuple[Path, ...]:
    """Where one class becomes the likeliest instead of another, as one path with gaps; none where there is one only."""
    n, classes = probabilities.shape[0], probabilities.shape[2]
    x, y = (np.linspace(low, high, n) for low, high in window)
    gap, lines = np.full((1, 2), np.nan), []
    for k in range(classes if classes > 2 else 1):
        others = np.delete(probabilities, k, 2).max(2)
        margin = np.ma.masked_invalid(probabilities[:, :, k] - others)
        lines += contourpy.contour_generator(x, y, margin).lines(0.0)
    if not lines:
        return ()
    return (Path(np.concatenate([part for line in lines for part in (line, gap)]), BOUNDARY, None, "solid", 1.6),)


def _probabilities(frame: Frame) -> np.ndarray:
    """Those of a hybrid's frame."""
    assert frame.class_probs is not None
    return frame.class_probs


def _by_class(dataset: Dataset, points: np.ndarray, classes: np.ndarray) -> tuple[Dots, ...]:
    """Each class with a colour and a symbol that no other one has together."""
    return tuple(
        Dots(
            points[classes == k],
            name,
            CATEGORIES[k % len(CATEGORIES)],
            SYMBOLS[k % len(SYMBOLS)],
            size=5.0,
            opacity=0.85,
        )
        for k, name in enumerate(dataset.classes)
        if (classes == k).any()
    )


def _pane(dataset: Dataset, title: str, alt: str, *, legend: bool = False, **shown) -> Pane:
    x, y = (axis.name for axis in dataset.axes)
    return Pane(title, x, y, dataset.window, alt, legend=legend, **shown)
