"""Every number of the example that screens open with, found again by enumeration of N up to 60 and of the signs."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from app.features.estimator import numbers
from app.features.estimator.example import EXAMPLE
from resflow_core.estimators.draws import values

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


def test_the_estimates_are_fractions_that_one_finds_in_the_head():
    assert abs(MEAN - math.log(2)) < 1e-15
    assert ESTIMATES[:4] == [1, Fraction(1, 2), Fraction(5, 6), Fraction(7, 12)]
    assert min(ESTIMATES) == Fraction(4, 9) and max(ESTIMATES) == 1
    n = np.tile(np.arange(1, MOST + 1), 2)
    v = np.repeat([[1.0, 1.0], [1.0, -1.0]], MOST, 0)
    assert values(EXAMPLE.array, EXAMPLE.law, n, v) == pytest.approx([float(one) for one in ESTIMATES])


def test_bias_variance_and_the_share_of_stopping():
    found = numbers.by_hand(EXAMPLE, numbers.remainders_of(EXAMPLE))
    assert (found.truth, found.bias) == pytest.approx((math.log(2), BIAS))
    assert found.deviation**2 == pytest.approx(VARIANCE)
    by_probe = np.var([math.fsum(2 * float(p * one) for p, one, _ in DRAWS[k : k + MOST]) for k in (0, MOST)])
    assert found.by_stopping == pytest.approx(VARIANCE - by_probe)
    assert found.by_stopping / VARIANCE == pytest.approx(2 / 3, abs=1e-3)
    gaussian = replace(EXAMPLE, probe="gaussian")
    found = numbers.by_hand(gaussian, numbers.remainders_of(gaussian))
    assert round(9 * (found.deviation / found.bias) ** 2) == pytest.approx(3_015, abs=1)
    assert found.by_stopping / found.deviation**2 == pytest.approx(0.09, abs=0.005)
