"""The draws of a whole class: each member's own, and all of them together."""

import math
from dataclasses import dataclass

import numpy as np

from app.classroom.refusal import Refusal

MOST_DRAWS = 5_000
"""Of a member."""
CERTAIN = 1.959963984540054
"""Standard errors that a normal mean lies within in 95 % of all cases."""


@dataclass(frozen=True)
class Summary:
    """n draws with their mean, standard deviation (of n - 1) and standard error; NaN where there are too few."""

    n: int
    mean: float
    deviation: float

    @property
    def error(self) -> float:
        """s / sqrt(n)."""
        return self.deviation / math.sqrt(self.n) if self.n else math.nan

    def contains(self, truth: float) -> bool | None:
        """Whether mean ± 1.96 standard errors contains the truth; None where there is no standard error."""
        return None if math.isnan(self.error) else abs(self.mean - truth) <= CERTAIN * self.error


def summary(draws: np.ndarray) -> Summary:
    """Of draws, shape (n,)."""
    mean = float(draws.mean()) if len(draws) else math.nan
    deviation = float(draws.std(ddof=1)) if len(draws) > 1 else math.nan
    return Summary(len(draws), mean, deviation)


class SeedTaken(Refusal):
    """Another member draws with this seed."""


class Pool:
    """Draws by member, in the order in which they came. What is drawn under other settings is another pool."""

    def __init__(self, settings: str) -> None:
        self.settings = settings
        self.version = 0
        """It grows with every change."""
        self._draws: dict[str, np.ndarray] = {}
        self._seeds: dict[str, int] = {}

    def put(self, member: str, seed: int, draws: np.ndarray) -> None:
        """The first `MOST_DRAWS` draws of a member, in the place of those before.

        Raises SeedTaken for a seed that another member draws with, whose draws would count twice, and ValueError for
        draws that are not finite numbers.
        """
        draws = np.asarray(draws, dtype=np.float64).ravel()[:MOST_DRAWS]
        if not np.isfinite(draws).all():
            raise Refusal("not_finite_draw")
        if not self.is_free(member, seed):
            raise SeedTaken("seed", seed=seed)
        self.version += 1
        self._seeds[member] = seed
        self._draws[member] = draws

    def rename(self, member: str, to: str) -> None:
        """Let a member's draws be those of another name."""
        if member in self._draws:
            self._draws[to], self._seeds[to] = self._draws.pop(member), self._seeds.pop(member)

    def drop(self, member: str) -> None:
        """Let go of a member's draws."""
        if self._draws.pop(member, None) is not None:
            del self._seeds[member]
            self.version += 1

    def is_free(self, member: str, seed: int) -> bool:
        """Whether no other member draws with this seed."""
        return all(other != seed for name, other in self._seeds.items() if name != member)

    def has(self, member: str, seed: int, n: int) -> bool:
        """Whether these are the draws of a member that are there: the seed, and how many."""
        return self._seeds.get(member) == seed and len(self._draws[member]) == min(n, MOST_DRAWS)

    def drawn(self) -> list[tuple[int, int]]:
        """(seed, number of draws) of each member that has draws, as `each`."""
        return [(self._seeds[member], len(draws)) for member, draws in self._draws.items() if len(draws)]

    def all(self) -> np.ndarray:
        """All draws, member after member."""
        return np.concatenate([np.empty(0), *self._draws.values()])

    def of(self, member: str) -> Summary:
        """Of one member's draws."""
        return summary(self._draws.get(member, np.empty(0)))

    def each(self) -> list[Summary]:
        """Of each member that has draws, without a name, in the order in which they came."""
        return [summary(draws) for draws in self._draws.values() if len(draws)]

    def closing_in(self, points: int = 200) -> list[Summary]:
        """Of the first n draws of all, n at most at `points` places up to their number: the draws are taken in turns,
        one of each member."""
        turns = self._in_turns()
        if len(turns) < 2:
            return []
        counts = np.unique(np.geomspace(2, len(turns), points).round().astype(int))
        first = turns[0]  # shifted, so that the sum of squares does not lose digits
        total, squares = np.cumsum(turns - first), np.cumsum((turns - first) ** 2)
        found = []
        for n in counts:
            mean = total[n - 1] / n
            variance = max(0.0, float(squares[n - 1] - n * mean**2) / (n - 1))
            found.append(Summary(int(n), float(first + mean), math.sqrt(variance)))
        return found

    def _in_turns(self) -> np.ndarray:
        draws = [one for one in self._draws.values() if len(one)]
        if not draws:
            return np.empty(0)
        order = np.argsort(np.concatenate([np.arange(len(one)) for one in draws]), kind="stable")
        return np.concatenate(draws)[order]
