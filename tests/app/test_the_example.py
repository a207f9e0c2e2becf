"""Every number of the example that screens open with, found again by enumeration of N up to 60 and of the signs."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from app.features.estimator import numbers
from app.features.estimator.example import EXAMPLE
from resflow_core.estimators.draws import values
from tests.app.short_lessons import acted

MOST = 60
"""P(N > 60) is 2^-60."""


def every_draw():
    """(probability, estimate as a fraction, the same without weights) of every N and both kinds of signs, by hand."""
    for eigenvalue in (Fraction(1, 2), Fraction(1, 3)):  # of v = (1, 1) and of v = (1, -1)
        weighted = plain = Fraction(0)
        for n in range(1, MOST + 1):
            term = Fraction((-1) ** (n + 1), n) * 2 * eigenvalue**n
            weighted, plain = weighted + term * 2 ** (n - 1), plain + term
            yield Fraction(1, 2 ** (n + 1)), weighted, plain


DRAWS = list(every_draw())
ESTIMATES = [estimate for _, estimate, _ in DRAWS]


def expected(of):
    return math.fsum(float(p) * of(estimate) for p, estimate, _ in DRAWS)


MEAN = expected(float)
VARIANCE = expected(lambda estimate: (float(estimate) - MEAN) ** 2)
BIAS = 47 / 72 - math.log(2)


@pytest.fixture(scope="module")
def found():
    return numbers.by_hand(EXAMPLE, numbers.remainders_of(EXAMPLE))


def test_the_truth_is_log_two():
    assert np.linalg.det(np.eye(2) + EXAMPLE.array) == pytest.approx(2)
    assert abs(MEAN - math.log(2)) < 1e-15
    assert np.linalg.eigvalsh(EXAMPLE.array).tolist() == pytest.approx([1 / 3, 1 / 2])


def test_the_first_estimates_are_fractions_that_one_finds_in_the_head():
    assert ESTIMATES[:4] == [1, Fraction(1, 2), Fraction(5, 6), Fraction(7, 12)]
    assert ESTIMATES[MOST : MOST + 3] == [Fraction(2, 3), Fraction(4, 9), Fraction(44, 81)]
    n = np.tile(np.arange(1, MOST + 1), 2)
    v = np.repeat([[1.0, 1.0], [1.0, -1.0]], MOST, 0)
    assert values(EXAMPLE.array, EXAMPLE.law, n, v) == pytest.approx([float(one) for one in ESTIMATES])


def test_every_estimate_lies_between_four_ninths_and_one():
    assert min(ESTIMATES) == Fraction(4, 9) and max(ESTIMATES) == 1


def test_bias_variance_and_the_share_of_stopping(found):
    assert (found.truth, found.bias) == pytest.approx((math.log(2), BIAS)) and round(BIAS, 4) == -0.0404
    assert found.deviation**2 == pytest.approx(VARIANCE) and round(VARIANCE, 4) == 0.0416
    by_probe = np.var([math.fsum(2 * float(p * one) for p, one, _ in DRAWS[k : k + MOST]) for k in (0, MOST)])
    assert found.by_stopping == pytest.approx(VARIANCE - by_probe)
    assert found.by_stopping / VARIANCE == pytest.approx(2 / 3, abs=1e-3)


def test_when_the_bias_is_seen():
    assert math.ceil(9 * VARIANCE / BIAS**2) == 230  # three standard errors
    assert math.ceil(VARIANCE / BIAS**2) == 26  # from here on the mean of draws is nearer than the cut series
    error = math.sqrt(VARIANCE / 500)
    assert stats.norm.sf(3 - abs(BIAS) / error) == pytest.approx(0.92, abs=0.005)


def test_without_the_weights_and_after_exp():
    assert math.fsum(float(p * plain) for p, _, plain in DRAWS) == pytest.approx(0.755, abs=5e-4)
    assert expected(lambda estimate: math.exp(estimate)) == pytest.approx(2.04, abs=5e-3)


def test_with_a_gaussian_probe():
    bench = replace(EXAMPLE, probe="gaussian")
    found = numbers.by_hand(bench, numbers.remainders_of(bench))
    assert round(9 * (found.deviation / found.bias) ** 2) == pytest.approx(3_015, abs=1)
    assert found.by_stopping / found.deviation**2 == pytest.approx(0.09, abs=0.005)


def test_lesson_5_says_when_it_is_better_to_cut_and_what_is_wrong_with_what_is_often_said():
    done = acted("roulette")
    lesson, truths = done.lesson, done.truths
    step = {block.id: step for step in lesson.steps for block in step.blocks}

    def said(block, answer=None):
        told = lesson.blocks[block]
        return done.after(step[block], told.why[answer] if answer else told.text)

    assert truths["few-draws"] == math.ceil(VARIANCE / BIAS**2) == 26
    assert math.sqrt(VARIANCE / 25) > abs(BIAS) > math.sqrt(VARIANCE / 26)
    few = said("few-why")
    assert f"{math.sqrt(VARIANCE / 5):.3f}" in few and f"{math.sqrt(VARIANCE / 1000):.4f}" in few
    assert few.count(f"{abs(BIAS):.3f}") == 2, "when it wins and when it loses"

    assert truths["said-close"] == "many" and f"{math.sqrt(VARIANCE):.3f}" in said("said-close", "many")
    unweighted = math.fsum(float(p * plain) for p, _, plain in DRAWS)
    assert truths["said-terms"] == "above" and f"{unweighted:.3f}" in said("said-terms", "above")
    density = expected(lambda estimate: math.exp(estimate))
    assert truths["said-exp"] == "more" and f"{density:.2f}" in said("said-exp", "more")
    by_length = [
        (2 * float(p), float(a + b) / 2) for (p, a, _), (_, b, _) in zip(DRAWS[:MOST], DRAWS[MOST:], strict=True)
    ]
    shared = math.sqrt(math.fsum(p * (mean - MEAN) ** 2 for p, mean in by_length))
    assert 0.1 < shared / math.sqrt(VARIANCE) < 0.95
    assert truths["said-shared"] == "part" and f"{shared:.3f}" in said("said-shared", "part")


def test_the_two_questions_of_lesson_5_by_the_laws_of_a_coin():
    truths = acted("roulette").truths
    of_half_the_weight = {6: Fraction(3, 4), 6 + Fraction(2) / Fraction(1, 2): Fraction(1, 4)}
    assert sum(value * p for value, p in of_half_the_weight.items()) == 7
    spread = {
        name: sum(p * (value - 8) ** 2 for value, p in ((Fraction(6), 1 - p), (6 + 2 / p, p)))
        for name, p in (("ana", Fraction(1, 2)), ("ben", Fraction(1, 5)))
    }
    assert truths["mean-first"] == truths["mean-again"] == "half"
    assert truths["spread-first"] == truths["spread-again"] == max(spread, key=spread.get)
    assert spread == {"ana": 4, "ben": 16}
