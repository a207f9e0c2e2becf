"""What is known of the inverse of one block, in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from resflow_core.measure import Inversion
from resflow_core.measure.invertibility import Regime


@dataclass(frozen=True)
class Inverted:
    """What is known of the inverse of one block, f(x) = x + s g(x), over the planes as they are drawn."""

    block: int  # from 0
    scale: float  # s
    bound: float  # s L, a certified Lipschitz bound of s g,
    order: float  # in the norm of this order
    regime: Regime
    smallest_det: float  # of I + sA in the x plane,
    points: int  # of this number of points
    folds_at: float  # s*, the smallest scale at which this block folds; infinite if none is seen
    method: str  # the iteration whose steps are counted, a key of `ITERATIONS`
    most_steps: int  # that it takes to arrive from a z; 1 if it arrives from none
    late: float  # share of z, 0 to 1, from which it does not arrive in `MOST_STEPS`
    preimages: int  # different x that were found for the chosen z
    outside: int  # of these, the ones outside of the picture
    fates: Mapping[str, str]  # what the walk of each iteration does, by the keys of `ITERATIONS`
    refusal: str  # why the flow gives no samples, or ""

    @property
    def guaranteed(self) -> float:
        """1/L: the largest scale at which an inverse is certified."""
        return self.scale / self.bound if self.bound else np.inf

    @property
    def fold_ahead(self) -> bool:
        """Whether a fold is seen at a scale beyond this one."""
        return self.scale < self.folds_at < np.inf

    @property
    def turns_over(self) -> bool:
        """Whether the map turns a part of the plane over, so that det(I + sA) changes sign."""
        return self.smallest_det < 0


def inverted(drawn: Inversion) -> Inverted:
    """The numbers of a picture."""
    late = np.isnan(drawn.steps)
    low, high = np.array(drawn.window).T
    inside = ((drawn.preimages >= low) & (drawn.preimages <= high)).all(1)
    return Inverted(
        block=drawn.block,
        scale=drawn.scale,
        bound=drawn.lipschitz,
        order=drawn.order,
        regime=drawn.regime,
        smallest_det=float(drawn.det.min()),
        points=drawn.det.size,
        folds_at=float(drawn.breaking[drawn.block]),
        method=drawn.method,
        most_steps=1 if late.all() else int(np.nanmax(drawn.steps)),
        late=float(late.mean()),
        preimages=len(drawn.preimages),
        outside=int((~inside).sum()),
        fates={name: walk.fate for name, walk in drawn.walks.items()},
        refusal=drawn.refusal,
    )
