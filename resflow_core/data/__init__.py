"""Two-dimensional data: toy sets drawn afresh, and columns of real sets with their units. One entry of `DATASETS` each.

The toy sets are those of FFJORD (Grathwohl et al. 2019) and Residual Flows (Chen et al. 2019), with the scales and the
noise of the released code, but every angle is drawn independently: released circles, moons and rings sit on lattices.
Each knows its true density. Every draw comes from a passed generator.
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
