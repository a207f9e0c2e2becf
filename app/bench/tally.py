"""The throws of one bench so far, and how many more are wanted."""

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from app.bench.settings import MOST_THROWS, Bench
from resflow_core.throws import Throws, throw

CHUNK = 100_000
REPETITIONS = 400
THROWS_EACH = (30, 100, 1000)
# Far from all throws that are shown, so that the repetitions are independent of them.
FIRST_REPETITION = 2**40


def thrown_settings(bench: Bench) -> Bench:
    """The bench with nothing in it but what the throws depend on."""
    return replace(Bench(), matrix=bench.matrix, law=bench.law, probe=bench.probe, seed=bench.seed)


@dataclass
class Tally:
    bench: Bench = field(default_factory=Bench)
    goal: int = 0
    values: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def busy(self) -> bool:
        return len(self.values) < self.goal

    def want(self, more: int) -> None:
        self.goal = min(self.goal + more, MOST_THROWS)

    def stop(self) -> None:
        self.goal = len(self.values)

    def go_on(self) -> None:
        """Throw a part of what is wanted, which takes a few hundredths of a second."""
        n = min(self.goal - len(self.values), CHUNK)
        if n > 0:
            self.values = np.concatenate([self.values, self._throw(n, len(self.values)).value])

    def one(self, index: int) -> Throws:
        """The throw number `index`, counted from 0, whether or not it was thrown yet."""
        return self._throw(1, index)

    def last(self, most: int) -> list[tuple[int, int, np.ndarray, float]]:
        """(number, N, v, estimate) of the latest throws, the newest first."""
        done = len(self.values)
        first = max(done - most, 0)
        if done == 0:
            return []
        thrown = self._throw(done - first, first)
        rows = zip(range(first + 1, done + 1), thrown.n.tolist(), thrown.probe, thrown.value.tolist(), strict=True)
        return list(rows)[::-1]

    def _throw(self, n: int, start: int) -> Throws:
        bench = self.bench
        return throw(bench.array, bench.law, bench.probe, n, bench.seed, start)


@lru_cache(maxsize=64)
def coverage(bench: Bench, truth: float) -> tuple[list[float], list[float]]:
    """How often mean +- 1.96 standard errors contains the truth, for each of `THROWS_EACH`, and the standard error of
    that share; from `REPETITIONS` independent repetitions."""
    shares, start = [], FIRST_REPETITION
    for n in THROWS_EACH:
        thrown = throw(bench.array, bench.law, bench.probe, REPETITIONS * n, bench.seed, start)
        values = thrown.value.reshape(REPETITIONS, n)
        error = values.std(1, ddof=1) / n**0.5
        shares.append(float((np.abs(values.mean(1) - truth) <= 1.96 * error + 1e-12).mean()))
        start += REPETITIONS * n
    return shares, [(s * (1 - s) / REPETITIONS) ** 0.5 for s in shares]
