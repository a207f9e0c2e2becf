"""What can be set on the estimator's bench, as one frozen value."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch

from app.estimates.maps import MAPS
from app.numbers import matrix_texts
from app.setup import View
from resflow_core.estimators.faulty_estimators import FAULTY_ESTIMATORS, FaultyEstimator
from resflow_core.estimators.moments import QUANTITIES, spectral_radius
from resflow_core.flow import FlowConfig
from resflow_core.probes import PROBES
from resflow_core.roulette import LAWS, Geometric, Law
from resflow_core.settings import check, setting, settings_of
from resflow_core.training.trainer import MOST_SEED

BENCH = "bench."
"""What the names of its settings begin with in links."""

# The series has to converge, and well enough to be summed.
LARGEST_RADIUS = 0.99
MOST_THROWS = 1_000_000
MOST_BLOCKS = int(settings_of(FlowConfig)["blocks"][1].high)
LEAST_SIDE, MOST_SIDE = 2, 5
SIDES = {side**2: side for side in range(LEAST_SIDE, MOST_SIDE + 1)}
"""The sides of the matrices that can be set, by how many entries they have."""


@lru_cache(maxsize=256)
def _radius(entries: tuple[float, ...]) -> float:
    """Of a square matrix. A page asks for that of its few matrices hundreds of times in one run."""
    return float(spectral_radius(torch.as_tensor(as_array(entries))))


def as_array(entries: tuple[float, ...]) -> np.ndarray:
    """A square matrix, from its entries row by row."""
    return np.array(entries, float).reshape((SIDES[len(entries)],) * 2)


def matrix_problem(entries: tuple[float, ...]) -> str | None:
    """Why these are not the entries of a square matrix whose series converges, as a sentence with the remedy."""
    if len(entries) not in SIDES:
        *some, last = map(str, SIDES)
        return f"use {', '.join(some)} or {last} numbers, row by row, not {len(entries)}."
    radius = _radius(tuple(entries))
    if radius > LARGEST_RADIUS:
        return (
            f"its spectral radius is {radius:.4g}. The series of log det(I + A) converges only below 1, and is summed "
            f"here up to {LARGEST_RADIUS:g}: make the entries smaller."
        )
    return None


@dataclass(frozen=True)
class Entry:
    """A_ij, by which a gradient is taken: the only parameter that everybody's A has."""

    title: str
    place: tuple[int, int]

    def derivative(self, dim: int) -> np.ndarray:
        """B = dA / dA_ij, (dim, dim)."""
        b = np.zeros((dim, dim))
        b[self.place] = 1
        return b


@dataclass(frozen=True)
class Suspect:
    """An estimator under test, whose title does not tell which of `FAULTY_ESTIMATORS` it is."""

    title: str
    bug: str


VIEWS: dict[str, View] = {
    "by_hand": View("By hand"),
    "settings": View("Across settings"),
    "plane": View("On the plane"),
}
SUBJECTS: dict[str, View] = {"matrix": View("The matrix A"), "flow": View("My flow, mean over data")}
ENTRIES: dict[str, Entry] = {
    f"{i + 1}{j + 1}": Entry(f"A, row {i + 1}, column {j + 1}", (i, j)) for i in (0, 1) for j in (0, 1)
}
SUSPECTS: dict[str, Suspect] = {
    "none": Suspect("The sound estimator", "none"),
    "a": Suspect("Estimator A", "surrogate"),
    "b": Suspect("Estimator B", "shared_n"),
    "c": Suspect("Estimator C", "no_weights"),
    "d": Suspect("Estimator D", "wrong_support"),
}


@dataclass(frozen=True)
class Bench:
    """A matrix A, and how log det(I + A) is estimated: by roulette, or by the series truncated to `n_terms`."""

    view: str = setting("by_hand", "View", choices=VIEWS)
    matrix: tuple = setting(
        (0.45, 0.3, -0.25, 0.2), "A", "The Jacobian of a residual branch, row by row.", low=-99, high=99,
        rule=matrix_problem,
    )  # fmt: skip
    law: Law = setting(Geometric(), "Law of N", "How the number of terms N is drawn.", choices=LAWS)
    probe: str = setting("gaussian", "Probe", "Random vector v that estimates each trace by v'A^k v.", choices=PROBES)
    n_probes: int = setting(1, "Probes K", "Probes averaged per point. They share the N of the point.", low=1, high=16)
    n_draws: int = setting(1, "Draws M", "Draws of N averaged per point, over the same probes.", low=1, high=16)
    first_exact: bool = setting(
        False,
        "First trace exact",
        "tr A, the sum of the diagonal, in the place of v'Av: the same mean, nearly always with less noise.",
    )
    n_terms: int = setting(5, "Truncated after", "Terms of the series that the biased estimator keeps.", low=1, high=30)
    subject: str = setting("matrix", "Estimate of", "Whose log det is estimated.", choices=SUBJECTS)
    quantity: str = setting(
        "log_det", "Quantity", "The log det, or its derivative with respect to an entry of A.", choices=QUANTITIES
    )
    entry: str = setting("12", "With respect to", "The entry of A for the derivative.", choices=ENTRIES)
    map: str = setting("deviation", "Map", "What is drawn over the plane.", choices=MAPS)
    block: int = setting(0, "Block", "Which residual block; 0 is the whole flow.", low=0, high=MOST_BLOCKS)
    batch: int = setting(512, "Batch B", "Points whose estimates are averaged.", low=1, high=65536)
    seed: int = setting(0, "Seed", "The same seed gives the same draws.", low=0, high=MOST_SEED)
    throw: int = setting(1, "Draw number", "Which draw of this seed is shown.", low=1, high=MOST_THROWS)
    fractions: bool = setting(False, "Fractions", "Shows exact fractions where these are short.")
    suspect: str = setting(
        "none",
        "Under test",
        "The estimator that draws. Each of the estimators A to D has a bug: find it.",
        choices=SUSPECTS,
    )

    ASIDE: ClassVar[tuple[str, ...]] = ("view",)

    def __post_init__(self):
        check(self)

    def widget_texts(self, prefix: str) -> dict[str, Any]:
        """What the fields of the matrix hold."""
        return matrix_texts(self.matrix, prefix)

    @property
    def uses_flow(self) -> bool:
        """Whether what is shown depends on the flow in training."""
        return self.view == "plane" or (self.view == "settings" and self.subject == "flow")

    @property
    def is_sound(self) -> bool:
        """Whether the estimator that draws is the sound one."""
        return self.suspect == "none"

    @property
    def exact_traces(self) -> int:
        """How many terms need no probe."""
        return int(self.first_exact)

    @property
    def estimator(self) -> FaultyEstimator:
        """The one that draws."""
        return FAULTY_ESTIMATORS[SUSPECTS[self.suspect].bug]

    @property
    def array(self) -> np.ndarray:
        """A, (d, d)."""
        return as_array(self.matrix)

    @property
    def radius(self) -> float:
        """The spectral radius of A; 0 where it is nilpotent up to rounding."""
        return _radius(self.matrix)
