"""Formulas that are meant to take long, or to get a constant that does not hold."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from resflow_core import expressions
from resflow_core.expressions import bounds
from resflow_core.expressions.enclosures import Enclosed
from resflow_core.fast.closed_forms import closed_form
from tests.hostile.formulas import BY_HAND, hostile

LONGEST_MESSAGE = 500
COUNT, SAMPLED = len(BY_HAND) + 32, 1_000
LESS_WORK = bounds.MOST_WORK // 10
DEAR = {"waves"}
"""Kinds that take half a second of CPU time each: `tests.benchmarks.hostile` has them."""


def sampled(seed: int) -> torch.Tensor:
    """Numbers from all over the line that single precision is used on, more of them near 0."""
    rng = np.random.default_rng(seed)
    near, far = rng.uniform(-20, 20, SAMPLED // 2), np.sinh(rng.uniform(-9.9, 9.9, SAMPLED // 2))
    return torch.from_numpy(np.concatenate([near, far]))


def outcome(text: str, number: int) -> str:
    """Whether a formula is accepted, with a constant that holds at all numbers that are tried, or refused in a
    sentence. Nothing else may happen."""
    try:
        found = expressions.read(text)
    except ValueError as error:
        assert 0 < len(str(error)) < LONGEST_MESSAGE, text
        return "refused"
    assert 0 < found.steepest <= found.lipschitz < math.inf, text
    z = torch.cat([sampled(number), torch.tensor([found.steepest_at, *found.kinks], dtype=torch.float64)])
    _, slope, curvature = closed_form(found.activation).derivatives(z)
    assert float(slope.abs().max()) <= found.lipschitz * (1 + 1e-9), text
    assert bool(curvature.isfinite().all()), text
    return "accepted"


@pytest.mark.thorough
def test_hostile_formulas_are_certified_or_refused():
    tried = (text for kind, text in hostile(COUNT) if kind not in DEAR)
    outcomes = Counter(outcome(text, number) for number, text in enumerate(tried))
    assert outcomes["accepted"] >= 10 and outcomes["refused"] >= 15


def test_the_work_is_counted_and_ends(monkeypatch):
    """Of what takes most: waves without a period, many kinks, a slope without a bound."""
    works, slopes = [], Enclosed.slopes

    def counted(self, cells):
        works[-1] += (len(cells) + bounds.ROUND) * self.work
        return slopes(self, cells)

    monkeypatch.setattr(Enclosed, "slopes", counted)
    monkeypatch.setattr(bounds, "MOST_WORK", LESS_WORK)
    for text in (
        "sin(sin(9*z)*cos(z*pi))*cos(tanh(9*z)+sin(31*z))*erf(7*sin(8*z))*gelu(sin(5*z)) + xgauss(sin(3*z)*4 + z)",
        "relu(" + "-0.05)+relu(".join(f"sin(60{i}*z)" for i in range(9)) + ")",
    ):
        works.append(0)
        outcome(text, 0)
    assert LESS_WORK / 2 < max(works) <= LESS_WORK  # some need all of it
