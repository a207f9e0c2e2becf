"""Two-dimensional data: toy sets drawn afresh, and columns of real sets with their units. `DATASETS` has them all.

The toy sets are those of FFJORD (Grathwohl et al. 2019) and Residual Flows (Chen et al. 2019), with the scales and the
noise of the released code. Only the angles differ. Here each angle is drawn independently, while the released circles,
moons and rings have angles on lattices. Each toy set has its true density. All draws come from a generator that the
caller passes.
"""

from resflow_core.data.base import HELD_OUT_POINTS, HELD_OUT_SEED, Axis, Dataset, Source, Toy, Truth, Window
from resflow_core.data.labels import Labels
from resflow_core.data.real import Columns
from resflow_core.data.registry import DATASETS
from resflow_core.data.table import FEWEST_ROWS, HELD_OUT_SHARE, MOST_ROWS, Table

__all__ = [
    "DATASETS", "FEWEST_ROWS", "HELD_OUT_POINTS", "HELD_OUT_SEED", "HELD_OUT_SHARE", "MOST_ROWS",
    "Axis", "Columns", "Dataset", "Labels", "Source", "Table", "Toy", "Truth", "Window",
]  # fmt: skip
