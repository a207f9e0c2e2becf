"""The plane far around the data: which class a flow takes each point for, how sure it is, and how likely the point is.
Pure: reports in, panes out."""

import numpy as np

from app.components.planes import Dots, Heat, Pane, Path
from app.engine.reports import ArmReport
from app.engine.training.measurements.far import FarAway, Wide
from app.features.joint.numbers import CIRCLE
from app.features.joint.pictures import boundaries
from resflow_core.data import Dataset

CLASSES_OF_A_SIGN = 2
"""Two classes are told apart by the sign of a map and by marks on it; more by lines alone."""
MARKS = {"circle": "\N{BLACK CIRCLE}", "square": "\N{BLACK SQUARE}"}  # of the first class and of the second
MARKED = 0.4  # from how strong a colour on


def panes(dataset: Dataset, hybrid: ArmReport, plain: ArmReport) -> list[Pane]:
    """How sure the flow's classifier is, and the same regions as strong as the density; none before."""
    far = hybrid.found(FarAway)
    if far is None or far.wide is None:
        return []
    others = plain.found(FarAway)
    return [_sure(dataset, far.wide, others.wide if others else None), _likely(dataset, far.wide)]


def _sure(dataset: Dataset, wide: Wide, plain: Wide | None) -> Pane:
    least = 1 / len(dataset.classes)
    sure = wide.confidence / 255
    lines = _lines(dataset, wide)
    if plain is not None:
        border = _border(plain, len(dataset.classes))
        lines += tuple(Path(path.points, "plain classifier's boundary", None, "dash", 1.6) for path in border)
    if len(dataset.classes) == CLASSES_OF_A_SIGN:
        heat = Heat(
            _signed(wide, (sure - least) / (1 - least)), _name(dataset), "", -1.0, 1.0, "signed", smooth=True, bar=False
        )
        note = f"{_colours(dataset)}. Pale: it is not sure."
    else:
        heat = Heat(sure, "max p(y|x)", "", least, 1.0, smooth=True, bar=False)
        note = f"{dataset.title}. Dark {100 * least:.0f} %, bright 100 % sure."
    marks = _marks(dataset, wide, (sure - least) / (1 - least), 9)
    return _pane(dataset, wide, "How sure the flow's classifier is", note, heat, lines, marks)


def _likely(dataset: Dataset, wide: Wide) -> Pane:
    density = wide.density / 65535 * wide.largest
    share = np.sqrt(np.clip(density / (wide.top or 1.0), 0.0, 1.0))
    if len(dataset.classes) == CLASSES_OF_A_SIGN:
        heat = Heat(_signed(wide, share), _name(dataset), "", -1.0, 1.0, "signed", smooth=True, bar=False)
        note = "The same regions. Stronger colours: a higher density (its square root). Grey: almost zero."
    else:
        heat = Heat(share, "√density, share of the largest", "", 0.0, 1.0, smooth=True, bar=False)
        note = "Bright: a high density (its square root). Dark: almost zero."
    marks = _marks(dataset, wide, share, 21)
    return _pane(dataset, wide, "How likely the points are", note, heat, _lines(dataset, wide), marks)


def _signed(wide: Wide, share: np.ndarray) -> np.ndarray:
    return np.where(wide.likeliest == 0, -share, share)


def _name(dataset: Dataset) -> str:
    first, second = dataset.classes
    return f"{first} below 0, {second} above"


def _colours(dataset: Dataset) -> str:
    (first, second), (circle, square) = dataset.classes, MARKS.values()
    return f"{dataset.title}. Blue, {circle}: {first}; orange, {square}: {second}"


def _marks(dataset: Dataset, wide: Wide, strength: np.ndarray, across: int) -> tuple[Dots, ...]:
    """A symbol for each of two classes on its region, `across` of them in a row, so that colour is not all that tells
    them apart."""
    if len(dataset.classes) != CLASSES_OF_A_SIGN:
        return ()
    n = len(wide.likeliest)
    step = n // across
    on = np.zeros((n, n), bool)
    on[step // 2 :: step, step // 2 :: step] = True
    x, y = np.meshgrid(*(np.linspace(low, high, n) for low, high in wide.window))
    here = [on & (wide.likeliest == k) & (strength > MARKED) for k in range(CLASSES_OF_A_SIGN)]
    return tuple(
        Dots(np.stack([x[one], y[one]], 1), "", "#FFFFFF", symbol, size=4.5, opacity=0.8)
        for one, symbol in zip(here, MARKS, strict=True)
        if one.any()
    )


def _lines(dataset: Dataset, wide: Wide) -> tuple[Path, ...]:
    """The boundary, the window of the data, and the circle that stands for all that is far."""
    turn = np.linspace(0, 2 * np.pi, 121)
    (x0, x1), (y0, y1) = dataset.window
    middle, half = np.array([(x0 + x1) / 2, (y0 + y1) / 2]), (x1 - x0) / 2
    circle = middle + CIRCLE * half * np.stack([np.cos(turn), np.sin(turn)], 1)
    window = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], float)
    return (
        *_border(wide, len(dataset.classes)),
        Path(window, "data", None, "dot", 1.4),
        Path(circle, "far away", None, "dashdot", 2.0),
    )


def _border(wide: Wide, classes: int) -> tuple[Path, ...]:
    """What is left of the confidence is shared by the other classes."""
    sure = wide.confidence / 255
    shares = [np.where(wide.likeliest == k, sure, (1 - sure) / (classes - 1)) for k in range(classes)]
    return boundaries(np.stack(shares, 2), wide.window)


def _pane(
    dataset: Dataset, wide: Wide, title: str, note: str, heat: Heat, lines: tuple[Path, ...], marks: tuple[Dots, ...]
) -> Pane:
    x, y = (axis.name for axis in dataset.axes)
    side = wide.window[0][1] - wide.window[0][0]
    alt = f"{title}, in a window of {side:g} by {side:g} around the data. {note}"
    return Pane(title, x, y, wide.window, alt, heat=heat, paths=lines, dots=marks, note=note)
