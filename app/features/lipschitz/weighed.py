"""What a change of a block's weights does, in numbers. Pure."""

import math
from dataclasses import dataclass

import numpy as np

from app.engine.training.measurements.edits import Edits
from app.quantise import Window
from resflow_core.measure import Change, EditedLayer, Mass
from resflow_core.measure.invertibility import Regime

SAME = 1e-4
"""Weights that differ by a smaller share of the layer's largest one are the same, up to the slack of its norm."""


@dataclass(frozen=True)
class Pulled:
    """The newest change, and what the constraint left of it. Norms are certified upper bounds."""

    change: Change
    trained: float  # the parameter as trained; of a row its norm
    before: float  # what the layer made of it before all changes
    left: float  # and what it makes of it now
    norm_trained: float  # of the layer as trained, before the constraint
    norm_asked: float  # and with the changes
    norm_before: float  # of the layer as trained, after the constraint
    norm_left: float  # and with the changes
    cap: float
    capped: bool  # whether the constraint changed what was asked for
    factor: float | None  # by which it multiplied every weight of the layer; None where that is not one number
    weights: int  # in the layer
    others: int  # of these, the ones that were not changed by hand, and that the layer uses otherwise than before


@dataclass(frozen=True)
class Weighed:
    """A block with its changes, as far as it can be undone, and how far the density moved."""

    block: int  # from 0
    scale: float
    changes: int
    pulled: Pulled | None  # None where no weight is changed
    certified: tuple[float, float]  # product of the layers' norms, as trained and now with the scale
    bound: float  # certified by the constraint
    regime: Regime
    smallest_det: float  # of I + s A
    folds_at: float  # s*
    most_steps: int  # of Banach's iteration, from `places` z,
    late: int  # from so many of which it does not arrive
    places: int
    moved: float  # the share of the probability in the window that lies elsewhere; NaN where a density is not finite
    mass: Mass | None  # of the density with the changes; None until it is measured

    @property
    def converges(self) -> bool:
        """Whether Banach's iteration arrives from every z that was tried."""
        return self.late == 0


def weighed(edits: Edits, window: Window, mass: Mass | None) -> Weighed:
    """The numbers of a measurement, with the densities over `window`."""
    found = edits.found
    mine = edits.edited if edits.edited is not None and edits.edited.block == found.block else None
    changes = mine.changes if mine else ()
    return Weighed(
        block=found.block,
        scale=found.scale,
        changes=len(changes),
        pulled=_pulled(changes[-1], changes, found.layers[changes[-1].layer]) if changes else None,
        certified=found.certified,
        bound=found.lipschitz,
        regime=found.regime,
        smallest_det=found.smallest_det,
        folds_at=found.folds_at,
        most_steps=found.most_steps,
        late=found.late,
        places=found.places,
        moved=moved(edits.trained, edits.density, window),
        mass=mass,
    )


def moved(one: np.ndarray, other: np.ndarray, window: Window) -> float:
    """The total variation 1/2 integral |p - q| over a window, in [0, 1] for densities, by the mean over the nodes."""
    area = math.prod(high - low for low, high in window)
    return float(np.abs(one.astype(float) - other).mean()) * area / 2


def _pulled(change: Change, changes: tuple[Change, ...], layer: EditedLayer) -> Pulled:
    trained, before, left = _values(change, layer)
    by_hand = np.zeros(layer.raw.shape, bool)
    for one in changes:
        if one.layer == change.layer and one.kind != "bias":
            by_hand[one.row, one.column if one.kind == "weight" else slice(None)] = True
    size = max(float(np.abs(layer.used).max()), float(np.abs(layer.left).max()), 1e-30)
    differ = np.abs(layer.left - layer.used) > SAME * size
    norm_trained, norm_asked, norm_before, norm_left = layer.norms
    factor = norm_left / norm_asked if norm_asked else 1.0
    return Pulled(
        change=change,
        trained=trained,
        before=before,
        left=left,
        norm_trained=norm_trained,
        norm_asked=norm_asked,
        norm_before=norm_before,
        norm_left=norm_left,
        cap=layer.cap,
        capped=change.kind != "bias" and bool((np.abs(layer.left - layer.asked) > SAME * size).any()),
        factor=factor if bool((np.abs(layer.left - factor * layer.asked) <= SAME * size).all()) else None,
        weights=layer.raw.size,
        others=int((differ & ~by_hand).sum()),
    )


def _values(change: Change, layer: EditedLayer) -> tuple[float, float, float]:
    """As trained, as used before, and as used now."""
    if change.kind == "bias":
        return float(layer.bias[change.row]), float(layer.bias[change.row]), float(layer.bias_now[change.row])
    if change.kind == "row":
        rows = (weights[change.row] for weights in (layer.raw, layer.used, layer.left))
        raw, used, left = (float(np.linalg.norm(row)) for row in rows)
        return raw, used, left
    at = change.row, change.column
    return float(layer.raw[at]), float(layer.used[at]), float(layer.left[at])
