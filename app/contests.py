"""What the seeds of two flows say about which one is better: exact tests, and an interval. Pure.

Flows are trained from the same seeds, and d_i = log(KL_i / KL'_i) compares the two that have seed i. If nothing tells
the flows apart, d_i is as likely as -d_i. Then each of the 2^n ways to choose the signs of all |d_i| is as likely, and

    p = share of these ways whose mean is at most that of the d_i

is the exact p value of "the first flow has the smaller KL" (Fisher's randomisation test, *The Design of Experiments*,
1935, section 21). A result is called so at 5 %, one-sided. Below `LEAST_SEEDS` seeds no p can be so small.

"Equal within 25 %" is said where two such tests, of d_i - log 1.25 and of d_i + log 1.25, both reject (Schuirmann
1987).
Of several tests of which one alone is to hold, `holm` says which hold (Holm 1979).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property, lru_cache

import numpy as np
from scipy import stats

LEVEL = 0.05
"""The share of cases in which chance alone may decide, of one test."""
MARGIN = math.log(1.25)
"""Flows are equal if the ratio of their KLs lies between 1 / 1.25 and 1.25."""
LEAST_SEEDS = math.ceil(-math.log2(LEVEL))
"""Of 2^n ways one has the smallest mean."""
MOST_SEEDS = 20
"""All ways to choose signs are counted."""


class Outcome(Enum):
    """What a contest comes to."""

    AHEAD = auto()
    BEHIND = auto()
    EQUAL = auto()  # within 25 %
    NOT_DECIDED = auto()


@dataclass(frozen=True)
class Contest:
    """`differences` of the first flow from the second, seed by seed, (n,): below 0 the first is better. `is_ratio`:
    they are logarithms of ratios, so that there is an "equal within 25 %".

    Raises ValueError for no seed, or more than `MOST_SEEDS`.
    """

    differences: tuple[float, ...]
    is_ratio: bool

    def __post_init__(self) -> None:
        if not 0 < len(self.differences) <= MOST_SEEDS:
            raise ValueError(f"{len(self.differences)} seeds: use 1 to {MOST_SEEDS}.")

    @property
    def p_ahead(self) -> float:
        """Of the first flow being better."""
        return self._tails[0]

    @property
    def p_behind(self) -> float:
        return self._tails[1]

    @cached_property
    def _tails(self) -> tuple[float, float]:
        return tails(self.differences)

    @cached_property
    def p_equal(self) -> float:
        """Of both being equal within 25 %; 1 where there is no ratio."""
        if not self.is_ratio:
            return 1.0
        return max(sign_flip([s * d - MARGIN for d in self.differences]) for s in (1, -1))

    @property
    def outcome(self) -> Outcome:
        """Of this contest alone."""
        if self.p_ahead <= LEVEL:
            return Outcome.AHEAD
        if self.p_behind <= LEVEL:
            return Outcome.BEHIND
        return Outcome.EQUAL if self.p_equal <= LEVEL else Outcome.NOT_DECIDED

    def shown(self, difference: float) -> str:
        """A difference as people read it: as a ratio, if it is the logarithm of one."""
        return f"{math.exp(difference):.2f}" if self.is_ratio else f"{difference:.3g}"

    @property
    def mean(self) -> float:
        return float(np.mean(self.differences))

    @property
    def interval(self) -> tuple[float, float]:
        """The 90 % interval of Student's t, whose ends are the limits of one-sided tests at 5 %; of one seed all
        numbers."""
        n = len(self.differences)
        if n < 2:
            return -math.inf, math.inf
        half = float(stats.t.ppf(1 - LEVEL, n - 1) * np.std(self.differences, ddof=1) / math.sqrt(n))
        return self.mean - half, self.mean + half


def of_kl(ours: Sequence[float], theirs: Sequence[float]) -> Contest:
    """Of KLs, seed by seed. Where an estimate is not above 0, of their differences in nats."""
    if min(*ours, *theirs) > 0:
        return Contest(tuple(math.log(a / b) for a, b in zip(ours, theirs, strict=True)), True)
    return of_loss(ours, theirs)


def of_loss(ours: Sequence[float], theirs: Sequence[float]) -> Contest:
    """Of anything of which less is better, seed by seed."""
    return Contest(tuple(a - b for a, b in zip(ours, theirs, strict=True)), False)


def with_others(
    values: Mapping[str, Sequence[float]], ours: str, measure: Callable[[Sequence[float], Sequence[float]], Contest]
) -> dict[str, Contest]:
    """The contests of `ours` with every other flow, by their names, from what was measured of every seed."""
    return {peer: measure(values[ours], of) for peer, of in values.items() if peer != ours}


def nearest(contests: Mapping[str, Contest]) -> str:
    """The opponent that the first flow is least ahead of: on it depends whether it is ahead of all."""
    return max(contests, key=lambda peer: (contests[peer].p_ahead, contests[peer].mean))


def sign_flip(differences: Sequence[float]) -> float:
    """The exact p value of a mean below 0."""
    return tails(differences)[0]


def tails(differences: Sequence[float]) -> tuple[float, float]:
    """The exact p values of a mean below 0 and of one above."""
    d = np.asarray(differences, float)
    sums, sizes, total = _signs(len(d)) @ np.abs(d), np.abs(d).sum(), d.sum()
    rounding = 1e-12 * sizes  # what differs by that alone is equal
    below, above = np.count_nonzero(sums <= total + rounding), np.count_nonzero(sums >= total - rounding)
    return below / len(sums), above / len(sums)


@lru_cache(maxsize=4)
def _signs(n: int) -> np.ndarray:
    """All ways to choose n signs, (2^n, n)."""
    return np.where(np.arange(2**n)[:, None] >> np.arange(n) & 1, -1.0, 1.0)


def holm(p: Sequence[float]) -> list[bool]:
    """Which of several hypotheses are rejected so that with probability 95 % none is rejected wrongly."""
    rejected = [False] * len(p)
    for rank, k in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[k] > LEVEL / (len(p) - rank):
            break
        rejected[k] = True
    return rejected
