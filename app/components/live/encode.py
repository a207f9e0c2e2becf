"""NumPy pictures to JSON: arrays travel as base64 of their little-endian bytes, curves as short decimal numbers."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from app.engine.training.weights import addressed
from app.quantise import packed, to_shares, top_of

if TYPE_CHECKING:
    from app.engine.reports import Frame, LossCurves
    from app.engine.training.measurements.point import AtPoint

MOST_CLASSES = 8  # as many colours and symbols as people tell apart
_DECIMALS = 4


def encode_frame(frame: Frame) -> dict[str, Any]:
    """One frame as JSON. The keys are fields of `Frame`.

    At a 60 x 60 density, 500 points and samples, and 26 grid lines of 41 points this is 41.4 kB.
    """
    return {
        "step": int(frame.step),
        "density": packed(frame.density),
        "latent": packed(frame.latent),
        "grid": packed(frame.grid),
        "samples": None if frame.samples is None else packed(frame.samples),
        "depth": frame.depth,
    }


def encode_point(at: AtPoint) -> dict[str, Any]:
    """What the log density of a point is made of, as JSON; null where a number is not finite.

    `x` is in the flow's units and `path` as well: x, where each block leaves it, and z. Of each block come `log_dets`,
    `jacobians` (A, row by row), `eigenvalues` (real and imaginary part of both), `radii` (spectral radius of A), and
    `means` and `deviations` of the estimate that training makes of its log det. `estimator` is its name, and `terms`
    the number of terms after which a truncated series ends.
    """
    terms = at.terms
    eigenvalues = np.linalg.eigvals(terms.jacobians)
    return {
        "step": int(at.step),
        "x": list(at.x),
        "log_prob": _number(terms.log_prob),
        "log_normal": _number(terms.log_normal),
        "actnorm": _number(terms.actnorm),
        "log_dets": _numbers(terms.log_dets),
        "path": _numbers(terms.path),
        "jacobians": _numbers(terms.jacobians),
        "eigenvalues": _numbers(np.stack([eigenvalues.real, eigenvalues.imag], -1)),
        "radii": _numbers(at.radii),
        "estimator": type(at.log_det).__name__.lower(),
        "terms": getattr(at.log_det, "n_terms", None),
        "means": _numbers(at.means),
        "deviations": _numbers(at.deviations),
        "true_log_prob": None if at.true_log_prob is None else _number(at.true_log_prob),
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _numbers(values: np.ndarray) -> list[Any]:
    """Flat for each first index, with all digits of float64; null where not finite."""
    if values.ndim == 1:
        return [_number(value) for value in values]
    return [_numbers(one.ravel()) for one in values]


def encode_points(array: np.ndarray) -> dict[str, Any]:
    """Points of the plane, shape (m, 2), as float32: a browser takes them through the flow."""
    return packed(array.astype(np.float32))


def encode_weights(message: bytes, run: str) -> str:
    """What the channel would send of a flow of the timeline `run` (`app.engine.training.weights`), as base64."""
    return base64.b64encode(addressed(message, run)).decode("ascii")


def _rounded(values: np.ndarray) -> list[float | None]:
    """Floats with four decimals; null where not finite, since JSON has no NaN."""
    return [round(float(v), _DECIMALS) if np.isfinite(v) else None for v in values]


def encode_curves(curves: LossCurves) -> dict[str, list[int] | list[float | None] | None]:
    """Loss curves as plain lists: integer steps, NLL and its standard error in nats with four decimals.

    `held_believed` is the held-out NLL that training believes in; null where its estimate of log p has no bias.
    """
    is_biased = len(curves.held_bias) == len(curves.held_nll) and bool(np.any(curves.held_bias))
    return {
        "step": [int(s) for s in curves.step],
        "batch_nll": _rounded(curves.batch_nll),
        "held_step": [int(s) for s in curves.held_step],
        "held_nll": _rounded(curves.held_nll),
        "held_se": _rounded(curves.held_se),
        "held_believed": _rounded(curves.held_nll - curves.held_bias) if is_biased else None,
    }


def encode_labels(labels: Sequence[str], n: int, order: Sequence[str] = ()) -> dict[str, Any]:
    """The classes of the first n points: {"names", "index"}, the most frequent class first, but for those of `order`,
    which keep their colours.

    Of more than eight classes the seven most frequent of all are named, and the rest is "other"; in brackets where one
    of the seven has that name.
    """
    names = [
        name
        for name, _ in sorted(Counter(labels).items(), key=lambda item: (_place(item[0], order), -item[1], item[0]))
    ]
    if len(names) > MOST_CLASSES:
        names = [*names[: MOST_CLASSES - 1], _rest(names[: MOST_CLASSES - 1])]
    index = {name: i for i, name in enumerate(names)}
    return {
        "names": names,
        "index": packed(np.array([index.get(label, len(names) - 1) for label in labels[:n]], np.uint8)),
    }


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def _rest(named: Sequence[str]) -> str:
    name = "other"
    while name in named:
        name = f"({name})"
    return name


def encode_truth(data_id: str, density: np.ndarray | None) -> dict[str, Any]:
    """A known density on an (n, n) grid, as u16 shares of its largest value; colours end at `shown`, its top quantile.
    Without a density nobody knows it."""
    if density is None:
        return {"id": data_id, "density": None}
    largest = float(density.max())
    return {
        "id": data_id,
        "density": packed(to_shares(density, largest)),
        "largest": largest,
        "shown": top_of(density),
    }
