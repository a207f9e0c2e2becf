"""Activations by their names: which starve the log det, and how steep they are drawn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from resflow_core.activations import activation_named
from resflow_core.expressions import SIGN, read
from resflow_core.measure import Criteria, Supremum, Verdict, criteria

PAIRS = "maxmin"
"""The activation that is no function of one number, so it has no curve."""
# A slope that is found this far above 1 is above it, and not only rounding.
SLACK = 1e-6


@lru_cache(maxsize=256)
def measured(name: str) -> Criteria:
    """The criteria of an activation by its name."""
    return criteria(activation_named(name))


def steepest_of(name: str) -> Supremum:
    """The largest slope of one number that was found, before it is divided by anything, and what is claimed."""
    if not name.startswith(SIGN):
        return measured(name).function
    own = read(name.removeprefix(SIGN))
    return Supremum(own.steepest, own.steepest_at, own.lipschitz)


def divisor(name: str, raw: bool) -> float:
    """By which its curves are divided: its constant, or 1 if they are drawn before division."""
    return 1.0 if raw else activation_named(name).lipschitz(math.inf)


@dataclass(frozen=True)
class Starvation:
    """Which activations starve the log det, and which do not, by their names."""

    starving: tuple[str, ...]
    others: tuple[str, ...]


def starvation(names: Sequence[str]) -> Starvation:
    starving = tuple(name for name in names if measured(name).verdict is Verdict.STARVES)
    return Starvation(starving, tuple(name for name in names if name not in starving))


@dataclass(frozen=True)
class Slopes:
    """The largest |slope| of each activation that has a curve, as it is drawn, by its name."""

    steepest: Mapping[str, float]

    @property
    def largest(self) -> float:
        return max(self.steepest.values(), default=0.0)

    @property
    def breaking(self) -> dict[str, float]:
        """Those that are steeper than 1, which breaks the bound."""
        return {name: slope for name, slope in self.steepest.items() if slope > 1 + SLACK}


def slopes(names: Sequence[str], raw: bool) -> Slopes:
    return Slopes({name: steepest_of(name).found / divisor(name, raw) for name in names if name != PAIRS})
