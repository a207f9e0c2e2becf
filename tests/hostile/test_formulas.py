"""Formulas that are meant to take long, or to get a constant that does not hold."""

import math
from collections import Counter
from itertools import islice

import numpy as np
import torch

from resflow_core import expressions
from resflow_core.activations import curvature
from resflow_core.expressions.bounds import MOST_WORK, ROUND
from resflow_core.expressions.enclosures import Enclosed
from tests.hostile.formulas import BY_HAND, KINDS, few, hostile

LONGEST_MESSAGE = 500
MORE = 150
SAMPLED = 1_000
LONG = (
    *BY_HAND[:2],
    "relu(" + "-0.05)+relu(".join(f"sin(60{i}*z)" for i in range(9)) + ")",
    "hyperbola(gauss(exp(softsign(relu(sin(999*z)-60.1)/9))*exp(relu(sin(999*z)-60.1)/9)))",
    "max((mish(abs(z))/z), ((sin(1)-max(z, z))/logcosh((z/z))))",
)


def sampled(seed: int) -> torch.Tensor:
    """Numbers from all over the line that single precision is used on, more of them near 0."""
    rng = np.random.default_rng(seed)
    near, far = rng.uniform(-20, 20, SAMPLED // 2), np.sinh(rng.uniform(-9.9, 9.9, SAMPLED - SAMPLED // 2))
    return torch.from_numpy(np.concatenate([near, far]))


def outcome(text: str, number: int) -> str:
    """Whether a formula is accepted, with a constant that holds at all numbers that are tried, or refused in a
    sentence. Nothing else may happen."""
    try:
        found = expressions._certified(" ".join(text.translate(expressions.ALIKE).split()))
    except ValueError as error:
        assert 0 < len(str(error)) < LONGEST_MESSAGE, text
        return "refused"
    assert 0 < found.steepest <= found.lipschitz < math.inf, text
    z = torch.cat([sampled(number), torch.tensor([found.steepest_at, *found.kinks], dtype=torch.float64)])
    function = found.activation.function
    _, slope = function(z)
    assert float(slope.abs().max()) <= found.lipschitz * (1 + 1e-9), text
    assert bool(curvature(function, z).isfinite().all()), text
    return "accepted"


def test_hostile_formulas_are_certified_or_refused():
    tried = list(few())
    assert len(tried) >= 200 and {kind for kind, _ in tried} == {"by hand", *KINDS}
    outcomes = Counter(outcome(text, number) for number, (_, text) in enumerate(tried))
    assert outcomes["accepted"] >= 40 and outcomes["refused"] >= 80


def test_the_work_is_counted_and_ends(monkeypatch):
    """Of what takes most: waves without a period, many kinks, a slope that is 0 everywhere, a slope without a bound."""
    works, slopes = [], Enclosed.slopes

    def counted(self, cells):
        works[-1] += (len(cells) + ROUND) * self.work
        return slopes(self, cells)

    monkeypatch.setattr(Enclosed, "slopes", counted)
    for text in LONG:
        works.append(0)
        outcome(text, 0)
    assert max(works) <= MOST_WORK
    assert max(works) > MOST_WORK / 2  # some need all of it


def test_more_hostile_formulas_are_certified_or_refused():
    made = islice(hostile(len(BY_HAND) + MORE), len(BY_HAND), None)  # those by hand are among the few
    outcomes = Counter(outcome(text, number) for number, (_, text) in enumerate(made))
    assert outcomes["accepted"] > MORE // 10 and outcomes["refused"] > MORE // 10
