"""Two-dimensional data: toy sets drawn afresh, and columns of real sets with their units. One entry of `DATASETS` each.

The toy sets are those of FFJORD (Grathwohl et al. 2019) and Residual Flows (Chen et al. 2019), with the scales and the
noise of the released code, but every angle is drawn independently: released circles, moons and rings sit on lattices.
Each knows its true density. Every draw comes from a passed generator.
"""

from resflow_core.datasets.base import HELD_OUT_POINTS, HELD_OUT_SEED, Axis, Dataset, Toy, Truth, Window
from resflow_core.datasets.closed_forms import (
    BANANA_ENTROPY,
    CHECKERBOARD_ENTROPY,
    GAUSSIAN_ENTROPY,
    banana,
    banana_log_prob,
    checkerboard,
    checkerboard_log_prob,
    eight_gaussians,
    eight_gaussians_log_prob,
    gaussian,
    gaussian_log_prob,
)
from resflow_core.datasets.curves import (
    moons,
    moons_log_prob,
    swiss_roll,
    swiss_roll_log_prob,
    two_spirals,
    two_spirals_log_prob,
)
from resflow_core.datasets.pinwheel import pinwheel, pinwheel_log_prob
from resflow_core.datasets.real import Columns, diabetes, iris, wine
from resflow_core.datasets.rings import circles, circles_log_prob, rings, rings_log_prob
from resflow_core.datasets.table import FEWEST_ROWS, HELD_OUT_SHARE, MOST_ROWS, Table

__all__ = [
    "DATASETS", "FEWEST_ROWS", "HELD_OUT_POINTS", "HELD_OUT_SEED", "HELD_OUT_SHARE", "MOST_ROWS",
    "Axis", "Columns", "Dataset", "Table", "Toy", "Truth", "Window",
]  # fmt: skip


def _square(half: float, x: float = 0.0, y: float = 0.0) -> Window:
    return (x - half, x + half), (y - half, y + half)


DATASETS: dict[str, Dataset] = {
    "checkerboard": Toy("Checkerboard", checkerboard, Truth(checkerboard_log_prob, CHECKERBOARD_ENTROPY), _square(4.4)),
    "8gaussians": Toy("8 Gaussians", eight_gaussians, Truth(eight_gaussians_log_prob), _square(4.0)),
    "pinwheel": Toy("Pinwheel", pinwheel, Truth(pinwheel_log_prob), _square(4.0)),
    "swissroll": Toy("Swiss roll", swiss_roll, Truth(swiss_roll_log_prob), _square(3.2, 0.3, 0.3)),
    "2spirals": Toy("2 spirals", two_spirals, Truth(two_spirals_log_prob), _square(3.8)),
    "moons": Toy("Moons", moons, Truth(moons_log_prob), _square(3.6, 0.0, 0.3)),
    "circles": Toy("Circles", circles, Truth(circles_log_prob), _square(3.8)),
    "rings": Toy("Rings", rings, Truth(rings_log_prob), _square(3.4)),
    "gaussian": Toy("Gaussian", gaussian, Truth(gaussian_log_prob, GAUSSIAN_ENTROPY), _square(3.8)),
    "banana": Toy("Banana", banana, Truth(banana_log_prob, BANANA_ENTROPY), _square(3.6, 0.0, 1.1)),
    "wine": Columns("Wine (178 real wines)", wine, ("alcohol", "proline"), ("% vol", "mg/l")),
    "iris": Columns("Iris (150 real flowers)", iris, ("sepal length", "petal length"), ("cm", "cm")),
    "diabetes": Columns(
        "Diabetes (442 real patients)", diabetes, ("body mass index", "mean blood pressure"), ("kg/m²", "mm Hg")
    ),
}
