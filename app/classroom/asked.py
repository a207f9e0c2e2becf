"""What a room asks of a lesson: its predictions as questions, and the draws of its steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from app.classroom.question import Question
from app.estimates.sample import drawn, thrown_settings
from app.estimates.settings import Bench
from app.lessons.acted import Acted
from app.lessons.lesson import Lesson, Predict, Step
from app.lessons.settings import changed
from app.link import BENCHES, query_of
from app.setup import Setup

SEEDS = 10_000
"""Members draw with seeds from here on, each with one of their own: nobody sets such a seed by hand."""


@dataclass(frozen=True)
class Truth:
    """The answer to a question, how far from it is right, and why it is so, as Markdown."""

    value: Any
    margin: float
    why: str


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
    written = query_of(Setup(), benches=[thrown_settings(bench)])
    return " ".join(f"{name}={text}" for name, text in sorted(written.items()) if not name.endswith(".seed"))


def draws_of(bench: Bench, member: int, n: int) -> np.ndarray:
    """The first n draws of a member by number, (n,), each with the member's own seed."""
    of = thrown_settings(bench)
    return drawn(type(of)(**{**_fields(of), "seed": SEEDS + member}), n, 0).value


def true_log_det(bench: Bench) -> float:
    """log det(I + A), in nats."""
    a = torch.as_tensor(bench.array, dtype=torch.float64)
    return float(torch.linalg.slogdet(torch.eye(len(a), dtype=torch.float64) + a).logabsdet)


def _fields(bench: Bench) -> dict[str, Any]:
    return {name: getattr(bench, name) for name in ("matrix", "law", "probe", "suspect")}


def _question(acted: Acted, step: Step, block: Predict) -> Question:
    options = {key: acted.before(step, text) for key, text in block.options.items()}
    return Question(block.id, acted.read(step, block), options, block.low, block.high, block.unit)


def _truth(acted: Acted, step: Step, block: Predict) -> Truth:
    value = acted.truths[block.id]
    why = block.why.get(value if block.is_choice else "right", "")
    margin = 0.0 if block.is_choice else block.margin(value)
    return Truth(value, margin, acted.after(step, why))


def _bench(step: Step) -> Bench | None:
    """Of a step on the screen where a matrix is drawn with."""
    if step.screen != "estimator":
        return None
    _, benches = changed(Setup(), {kind: kind() for kind in BENCHES.values()}, step.settings, anew=True)
    found = benches[Bench]
    return found if found.view == "by_hand" else None
