"""Jacobians as the key of a cache, and whether the series of their log dets converge."""

from dataclasses import dataclass
from functools import lru_cache

import torch

from app.engine.training.measurements.jacobians import Jacobians
from resflow_core.estimators.moments import spectral_radius


@dataclass(frozen=True)
class HashedJacobians:
    """Equal only to itself: arrays that were received are never changed."""

    jacobians: Jacobians

    def __hash__(self) -> int:
        return id(self.jacobians)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HashedJacobians) and other.jacobians is self.jacobians


@lru_cache(maxsize=8)
def series_problem(of: HashedJacobians) -> str | None:
    """Why nothing can be said of the series of a flow, as a sentence with the remedy."""
    radius = max(float(spectral_radius(torch.as_tensor(a)).max()) for a in (of.jacobians.grid, of.jacobians.points))
    if radius < 1:
        return None
    return (
        f"At some point the Jacobian A of a block has ρ = {radius:.3g}. If ρ is 1 or more, the series of log det(I + "
        "A) diverges, and no estimate of it has a meaning. Constrain the layers below 1, or bring the scaled block "
        "back."
    )
