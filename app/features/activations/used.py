"""Where the units of trained flows are, pooled over blocks, layers and seeds, and how well these flows fit. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from app.engine.reports import ArmReport
from app.engine.training.measurements.activity import Activity
from app.ui import bands
from app.ui.bands import Band, Groups, Ranking
from resflow_core.activations import activation_named
from resflow_core.data import Dataset
from resflow_core.measure import Saturation
from resflow_core.measure.activation import DELTA, unit_derivatives
from resflow_core.measure.saturation import EPSILON

REACH, BINS = 6.0, 96
"""The histograms go from -REACH to REACH."""


@dataclass(frozen=True, eq=False)
class Units:
    """All units of a flow at held-out points: the pre-activations t at which phi is evaluated."""

    shares: np.ndarray  # (BINS,) of them in each bin, of 1; what lies further out is in none
    saturated: float  # share that is steep and straight, 0 to 1
    straight: float  # share that is straight, steep or not
    scale: float  # mean beta over the layers, weighted by their units

    @property
    def beyond(self) -> float:
        """The share that lies further out than the histogram goes."""
        return 1 - float(self.shares.sum())


@dataclass(frozen=True)
class Used:
    """What the flows with one activation do, over their seeds."""

    saturated: Band  # in percent of all units
    gap: Band  # in nats


@dataclass(frozen=True)
class Compared:
    """Flows that differ in their activation alone."""

    ranking: Ranking
    of: Mapping[str, Used]  # by the label of the activation

    @property
    def seeds(self) -> int:
        return self.ranking.seeds


def units(saturation: Saturation) -> Units:
    """Pooled over the blocks and layers of one flow."""
    edges = np.linspace(-REACH, REACH, BINS + 1)
    pooled, total = np.zeros(BINS), saturation.counts.sum()
    for own, counts in zip(_rows(saturation.edges), _rows(saturation.counts), strict=True):
        pooled += np.diff(np.interp(edges, own, np.concatenate([[0], counts.cumsum()])))
    weights = saturation.counts.sum(2)
    scale = float((saturation.scales * weights).sum() / weights.sum())
    return Units(pooled / total, float(saturation.overall), float(saturation.straight), scale)


def _rows(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, values.shape[-1])


def units_of(arms: Sequence[ArmReport]) -> list[Units]:
    """Of each seed that is measured."""
    return [units(found.saturation) for arm in arms if (found := arm.found(Activity)) and found.saturation]


def compared(dataset: Dataset, groups: Groups, found: Mapping[str, Sequence[Units]]) -> Compared | None:
    """None before all flows are measured."""
    ranking = bands.by_steps(dataset, groups)
    if not ranking.fits:
        return None
    saturated = {label: bands.band([100 * one.saturated for one in of]) for label, of in found.items()}
    return Compared(ranking, {label: Used(saturated[label], ranking.fits[label]) for label in found})


def curves(name: str, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """|phi'| and |phi''| at t, divided by the constant."""
    activation = activation_named(name)
    with torch.no_grad():
        near = activation.near(torch.as_tensor(t, dtype=torch.float64)[None])
        slope, curvature = unit_derivatives(activation, near)
    return slope[0].numpy() / activation.lipschitz(2), curvature[0].numpy() / activation.lipschitz(2)


def is_saturated(slope: np.ndarray, curvature: np.ndarray, scale: float) -> np.ndarray:
    """Whether a unit is steep and straight there, as `measure.saturation` counts it."""
    return (slope >= 1 - DELTA) & (scale * curvature <= EPSILON)
