"""The throws of one bench so far, and how many more are wanted."""

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import torch

from app.estimates.settings import MOST_THROWS, SUSPECTS, Bench
from resflow_core.estimators.draws import Draws
from resflow_core.estimators.faulty_estimators import draw_estimates
from resflow_core.roulette import Law

CHUNK = 100_000
THROWS_EACH = (30, 100, 1000)
REPEATED = 400_000
"""Draws in all the repetitions of one length: 13,333 repetitions of 30 draws, 400 of a thousand."""
# Far from all throws that are shown, so that the repetitions are independent of them, and where a batch begins.
FIRST_REPETITION = 2**40
# A share is told from the law's where so many throws are expected.
LEAST_EXPECTED = 5


THROWN_BY = ("matrix", "law", "probe", "first_exact", "suspect")
"""The settings that the throws depend on, besides the seed."""


def thrown_settings(bench: Bench) -> Bench:
    """The bench with nothing in it but what the throws depend on."""
    return Bench(**{name: getattr(bench, name) for name in (*THROWN_BY, "seed")})


def drawn(bench: Bench, n: int, start: int) -> Draws:
    """The draws of `bench` from the number `start` on, as many as `n`."""
    bug = SUSPECTS[bench.suspect].bug
    return draw_estimates(bug, bench.array, bench.law, bench.probe, n, bench.seed, start, bench.exact_traces)


@dataclass
class Sample:
    bench: Bench = field(default_factory=Bench)
    goal: int = 0
    values: np.ndarray = field(default_factory=lambda: np.empty(0))
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, int))  # of throws with N = 0, 1, ...

    @property
    def busy(self) -> bool:
        return len(self.values) < self.goal

    def want(self, more: int) -> None:
        self.goal = min(self.goal + more, MOST_THROWS)

    def stop(self) -> None:
        self.goal = len(self.values)

    def clear(self) -> None:
        self.goal, self.values, self.counts = 0, np.empty(0), np.zeros(0, int)

    def go_on(self) -> None:
        """Throw a part of what is wanted, which takes a few hundredths of a second."""
        n = min(self.goal - len(self.values), CHUNK)
        if n > 0:
            thrown = drawn(self.bench, n, len(self.values))
            counts = np.bincount(thrown.n, minlength=len(self.counts))
            counts[: len(self.counts)] += self.counts
            self.values, self.counts = np.concatenate([self.values, thrown.value]), counts

    def one(self, index: int) -> Draws:
        """The throw number `index`, counted from 0, whether or not it was thrown yet."""
        return drawn(self.bench, 1, index)

    def last(self, most: int) -> list[tuple[int, int, np.ndarray, float]]:
        """(number, N, v, estimate) of the latest throws, the newest first."""
        done = len(self.values)
        first = max(done - most, 0)
        if done == 0:
            return []
        thrown = drawn(self.bench, done - first, first)
        rows = zip(range(first + 1, done + 1), thrown.n.tolist(), thrown.probe, thrown.value.tolist(), strict=True)
        return list(rows)[::-1]


@dataclass(frozen=True)
class Share:
    """The share of the throws with N = n, its chance by the law, and how many standard errors of independent throws are
    between the two."""

    n: int
    share: float
    chance: float
    off: float


def chances(law: Law, length: int) -> np.ndarray:
    """P(N = 0), P(N = 1), ..., (length,)."""
    survival = law.survival(torch.arange(length + 1)).numpy()
    return survival[:-1] - survival[1:]


def furthest(law: Law, counts: np.ndarray) -> Share | None:
    """The share that is furthest from the law, of those where `LEAST_EXPECTED` throws are expected and not all of them;
    None where there is none. `counts` are throws with N = 0, 1, ..."""
    total, chance = counts.sum(), chances(law, len(counts))
    told = (total * chance >= LEAST_EXPECTED) & (chance < 1)
    if not told.any():
        return None
    share, chance = counts[told] / total, chance[told]
    off = np.abs(share - chance) / np.sqrt(chance * (1 - chance) / total)
    worst = int(off.argmax())
    return Share(int(np.flatnonzero(told)[worst]), float(share[worst]), float(chance[worst]), float(off[worst]))


def repetitions(bench: Bench) -> tuple[int, ...]:
    """How many repetitions there are, for each of `THROWS_EACH`."""
    return tuple(REPEATED // _apart(bench, n) for n in THROWS_EACH)


def _apart(bench: Bench, n: int) -> int:
    """From the first draw of one repetition to that of the next, in draws: those that share an N are all in one."""
    return math.ceil(n / bench.estimator.batch) * bench.estimator.batch


def share_of_bars(values: np.ndarray, truth: float) -> float:
    """Of the error bars mean +- 1.96 standard errors, each of n draws, (bars, n), those that contain the truth."""
    error = values.std(1, ddof=1) / values.shape[1] ** 0.5
    return float((np.abs(values.mean(1) - truth) <= 1.96 * error + 1e-12).mean())


def coverage(bench: Bench, truth: float) -> tuple[list[float], list[float]]:
    """How often mean +- 1.96 standard errors contains the truth, for each of `THROWS_EACH`, and the standard error of
    that share; from `repetitions(bench)` independent repetitions. They have a seed of their own: it belongs to the
    estimator, whatever seed the bench draws with."""
    return _coverage(replace(bench, seed=0), truth)


@lru_cache(maxsize=64)
def _coverage(bench: Bench, truth: float) -> tuple[list[float], list[float]]:
    shares, errors, start = [], [], FIRST_REPETITION
    for n, repeated in zip(THROWS_EACH, repetitions(bench), strict=True):
        size = repeated * _apart(bench, n)
        share = share_of_bars(drawn(bench, size, start).value.reshape(repeated, -1)[:, :n], truth)
        shares.append(share)
        errors.append((share * (1 - share) / repeated) ** 0.5)
        start += size
    return shares, errors
