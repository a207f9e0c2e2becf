"""What can be set on the Stretch screen, as one frozen value."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from app.features.stretch.bases import BASES
from app.features.stretch.maps import MAPS, PlaneMap
from app.numbers import matrix_texts, point_problem
from resflow_core.settings import check, setting

STRETCH = "stretch."
"""What the names of its settings begin with in links."""

LEAST, MOST = 0.2, 5.0
"""By how much a linear map may stretch a direction: beyond, one plane or the other has nothing to see."""
ROUNDING = 1e-12


def matrix_problem(entries: tuple[float, ...]) -> str | None:
    """Why these are not the entries of a 2 x 2 matrix that can be inverted and drawn, as a sentence with the remedy."""
    if len(entries) != 4:
        return f"use four numbers, row by row, not {len(entries)}."
    largest, smallest = np.linalg.svd(np.reshape(entries, (2, 2)), compute_uv=False)
    if smallest <= ROUNDING * largest:
        return (
            "its determinant is 0, so many x share one z, and there is no inverse and no density. Change an entry so "
            "that neither row is a multiple of the other."
        )
    if largest > MOST + ROUNDING:
        return f"it stretches a direction by {largest:.4g}, and {MOST:g} is allowed. Make the entries smaller."
    if smallest < LEAST - ROUNDING:
        return (
            f"it squeezes a direction to {smallest:.4g} of its length, and at least {LEAST:g} is needed. Make the "
            "entries larger, or the rows less alike."
        )
    return None


def picked(place: tuple[float, ...]) -> tuple[float, ...]:
    """A place that was clicked, as a point of three decimals."""
    return tuple(round(c, 3) + 0.0 for c in place)  # no -0.0


@dataclass(frozen=True)
class Stretch:
    """A map f: x -> z, the density of z, and a point x that is followed."""

    map: str = setting("linear", "Map f", "From data x to latent z. Both kinds have an inverse.", choices=MAPS)
    matrix: tuple = setting((2.0, 0.0, 0.0, 1.0), "W", "Row by row.", low=-5.0, high=5.0, rule=matrix_problem)
    strength: float = setting(
        0.9, "Strength s", "Lip(g) = s: below 1, so the block has an inverse.", low=0.05, high=0.95
    )
    frequency: float = setting(
        1.0,
        "Frequency ω",
        "Frequency of the waves in the branch g. With a high ω det J changes quickly from place to place.",
        low=0.5,
        high=4.0,
    )
    base: str = setting("normal", "Density of z", "The base density, which is known.", choices=BASES)
    point: tuple = setting(
        (0.4, 0.6),
        "Point x",
        "Type two numbers, or click into the x plane.",
        low=-100.0,
        high=100.0,
        rule=point_problem,
    )
    side: float = setting(1.0, "Side of the square", "Side of the square around x.", low=0.1, high=2.0)
    forget: bool = setting(
        False, "Forget the determinant", "Draws only the base density at f(x), as if areas did not change."
    )

    def __post_init__(self):
        check(self)

    def widget_texts(self, prefix: str) -> dict[str, Any]:
        """What the fields of the matrix hold."""
        return matrix_texts(self.matrix, prefix)

    @property
    def f(self) -> PlaneMap:
        return MAPS[self.map].of(self)
