"""What a room asks of a lesson: its predictions as questions, and the draws of its steps."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from app.classroom.pool import CERTAIN, Pool, Summary, summary
from app.classroom.question import Question
from app.classroom.room import MOST_MEMBERS
from app.estimates.sample import THROWN_BY, drawn, thrown_settings
from app.estimates.settings import BENCH, SUSPECTS, Bench
from app.lessons.acted import Acted
from app.lessons.lesson import Lesson, Predict, Step
from app.lessons.settings import changed
from app.link import BENCHES, query_of
from app.setup import Setup
from resflow_core.estimators.distribution import estimate_cdf
from resflow_core.estimators.faulty_estimators import FAULTY_ESTIMATORS
from resflow_core.estimators.moments import batch_variance, log_det_remainders, roulette_variance, terms_for

SEEDS = 10_000
"""Members draw on their phones with seeds from here on: nobody sets such a seed by hand."""
SHARES_N = next(name for name, suspect in SUSPECTS.items() if suspect.bug == "shared_n")
"""The estimator that draws one N for many draws."""


@dataclass(frozen=True)
class Truth:
    """The right answer to a prediction, and by the kinds of its answers (`Predict.answers`) what is said of each, as
    Markdown."""

    of: Predict
    value: Any
    whys: Mapping[str, str]

    @property
    def margin(self) -> float:
        """How far from it a number is right."""
        return self.of.margin(self.value)

    def is_right(self, answer: Any) -> bool:
        return self.of.is_right(answer, self.value)

    def why(self, answer: Any = None) -> str:
        """What is said of an answer; without one, of the right answer."""
        return self.whys.get(self.of.answer(self.value if answer is None else answer, self.value), "")


@dataclass(frozen=True)
class Asked:
    """All that a lesson asks, by the ids of its predictions."""

    lesson: Lesson
    questions: Mapping[str, Question]
    truths: Mapping[str, Truth]
    step_of: Mapping[str, str]
    benches: Mapping[str, Bench]  # what is drawn with, by the ids of the steps that draw


def asked(acted: Acted) -> Asked:
    """Of a lesson that was acted out. Raises ValueError where a number of a text cannot be had."""
    questions: dict[str, Question] = {}
    truths: dict[str, Truth] = {}
    step_of: dict[str, str] = {}
    for step in acted.lesson.steps:
        for block in step.blocks:
            if isinstance(block, Predict):
                questions[block.id] = _question(acted, step, block)
                truths[block.id] = _truth(acted, step, block)
                step_of[block.id] = step.id
    benches = {step.id: bench for step in acted.lesson.steps if (bench := _bench(step))}
    return Asked(acted.lesson, questions, truths, step_of, benches)


def settings_of_draws(bench: Bench) -> str:
    """The settings that decide what is drawn, but for the seed, as a link writes them."""
    # A bench with a seed of its own is written, whatever else it has: of one with none of its own nothing would be.
    written = query_of(Setup(), benches=[replace(thrown_settings(bench), seed=SEEDS)])
    names = tuple(f"{BENCH}{name}" for name in THROWN_BY)
    return " ".join(f"{name}={text}" for name, text in sorted(written.items()) if name.startswith(names))


def seed_of(pool: Pool, token: str, seat: int) -> int:
    """Of a member by seat, on a phone: the first that nobody else draws with."""
    return next(seed for seed in itertools.count(SEEDS + seat - 1, MOST_MEMBERS) if pool.is_free(token, seed))


def draws_of(bench: Bench, seed: int, n: int) -> np.ndarray:
    """The first n draws of a seed, (n,)."""
    return drawn(replace(thrown_settings(bench), seed=seed), n, 0).value


@lru_cache(maxsize=4 * MOST_MEMBERS)
def with_shared_n(bench: Bench, seed: int, n: int) -> Summary:
    """Of the first n draws of a seed, where one N serves for many draws in a row."""
    return summary(draws_of(replace(bench, suspect=SHARES_N), seed, n))


@lru_cache(maxsize=64)
def coverage_of_shared_n(bench: Bench) -> float:
    """How often mean ± 1.96 standard errors contains the truth if B draws share one N, for many draws: the error bar is
    computed for independent draws, of variance V, and the mean of a batch has the variance W > V / B. So it is
    P(|Z| < 1.96 sqrt(V / (B W))) with Z normal (`batch_variance`). NaN where the variance is infinite."""
    a = torch.as_tensor(bench.array, dtype=torch.float64)[None]
    rest = log_det_remainders(a, terms_for(bench.radius, bench.law.tail_ratio), bench.exact_traces)
    batch = FAULTY_ESTIMATORS[SUSPECTS[SHARES_N].bug].batch
    one = float(roulette_variance(rest, bench.law, bench.probe).total)
    together = float(batch_variance(rest, bench.law, batch, True, bench.probe))
    if math.isinf(one):
        return math.nan
    return math.erf(CERTAIN * math.sqrt(one / (batch * together) / 2)) if together else 1.0


def expected_counts(bench: Bench, edges: np.ndarray, n: int) -> np.ndarray | None:
    """How many of n draws are expected between the edges, (cells + 1,), where all that is beyond counts in the first
    and the last cell: (cells,). None where the distribution is not known, of larger matrices."""
    if len(bench.array) != 2:
        return None
    bug = SUSPECTS[bench.suspect].bug
    below = estimate_cdf(bug, bench.array, bench.law, bench.probe, edges[1:-1], bench.exact_traces)
    return n * np.diff(np.concatenate([[0.0], below, [1.0]]))


def true_log_det(bench: Bench) -> float:
    """log det(I + A), in nats."""
    a = torch.as_tensor(bench.array, dtype=torch.float64)
    return float(torch.linalg.slogdet(torch.eye(len(a), dtype=torch.float64) + a).logabsdet)


def _question(acted: Acted, step: Step, block: Predict) -> Question:
    options = {key: acted.before(step, text) for key, text in block.options.items()}
    text = acted.read(step, block)
    return Question(block.id, text, options, block.low, block.high, block.unit, block.again, block.told_with)


def _truth(acted: Acted, step: Step, block: Predict) -> Truth:
    whys = {name: acted.after(step, why) for name, why in block.why.items()}
    return Truth(block, acted.truths[block.id], whys)


def _bench(step: Step) -> Bench | None:
    """Of a step on the screen where a matrix is drawn with."""
    if step.screen != "estimator":
        return None
    _, benches = changed(Setup(), {kind: kind() for kind in BENCHES.values()}, step.settings, anew=True)
    found = benches[Bench]
    return found if found.view == "by_hand" else None
