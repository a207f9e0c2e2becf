"""What says how an answer's time grows tells linear from quadratic, on a busy machine too."""

import numpy as np
import pytest

from tests.hostile.growth import MOST_GROWTH, steepest

ANSWERS = {
    "linear": (lambda n: sum(range(300 * n)), False),
    "n log n": (lambda n: sorted(str(i) for i in range(20 * n)), False),
    "quadratic": (lambda n: [sum(range(n // 4)) for _ in range(n // 4)], True),
    "quadratic, in C": (lambda n: np.correlate(np.ones(4 * n), np.ones(4 * n), "same"), True),
}


@pytest.mark.parametrize(("answer", "too_steep"), ANSWERS.values(), ids=ANSWERS)
def test_quadratic_is_told_from_linear(answer, too_steep):
    assert (steepest(answer, lambda n: n, 2**15) > MOST_GROWTH) == too_steep


def test_what_is_too_short_to_be_measured_says_nothing():
    assert steepest(lambda n: None, lambda n: n, 2**14) == 1.0
