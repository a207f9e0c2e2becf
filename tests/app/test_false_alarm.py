"""How often a test by standard errors goes wrong, against simulations of other draws and by hand."""

import numpy as np
import pytest
from scipy import stats

from app.estimates.false_alarm import false_alarm, normal_tail
from app.estimates.settings import Bench
from resflow_core.estimators.draws import values
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET

SIGNS = Bench(probe="rademacher")


def coins(n, size, seed=0):
    """Means of `n` throws of real coins and their standard errors, (size,) each, without any draw of ours."""
    random = np.random.default_rng(seed)
    terms = 2 + random.geometric(0.5, n * size)  # 3 terms are certain
    longest = np.arange(terms.max() + 1)
    known = np.stack(
        [values(KNOWN_A.numpy(), SIGNS.law, longest, np.tile([1.0, s], (len(longest), 1))) for s in (1, -1)]
    )
    found = known[random.integers(2, size=n * size), terms].reshape(size, n)
    return found.mean(1), found.std(1, ddof=1) / n**0.5


@pytest.mark.thorough
@pytest.mark.parametrize(("n", "size"), [(3, 100_000), (10, 100_000), (20, 100_000), (50, 40_000)])
def test_coins_against_other_throws(n, size):
    mean, error = coins(n, size)
    there = (np.abs(mean - KNOWN_LOG_DET) > 3 * error).mean()
    found = false_alarm(SIGNS, KNOWN_LOG_DET, n, 3.0)
    assert found.is_exact == (n <= 10)
    assert found.value == pytest.approx(there, abs=4 * (there / size) ** 0.5 + 1e-3)


def test_two_coins_by_hand():
    """The test fails where both draws are nearer to each other than a third of their distance from the truth."""
    n, p = np.arange(3, 40), 0.5 ** np.arange(1, 38)
    off = np.concatenate(
        [values(KNOWN_A.numpy(), SIGNS.law, n, np.tile([1.0, s], (len(n), 1))) - KNOWN_LOG_DET for s in (1, -1)]
    )
    p = np.concatenate([p, p]) / 2
    both = np.abs(off[:, None] + off) / 2 > 3 * np.abs(off[:, None] - off) / 2 * (1 + 1e-12)
    assert false_alarm(SIGNS, KNOWN_LOG_DET, 2, 3.0).value == pytest.approx((p[:, None] * p * both).sum(), abs=1e-4)


def test_one_side_and_the_other_make_both():
    sides = [false_alarm(SIGNS, KNOWN_LOG_DET, 8, 3.0, side).value for side in ("above", "below")]
    assert sum(sides) == pytest.approx(false_alarm(SIGNS, KNOWN_LOG_DET, 8, 3.0).value)


def test_ten_draws_go_wrong_far_more_often_than_the_normal_law_says():
    found = {n: false_alarm(SIGNS, KNOWN_LOG_DET, n, 3.0).value for n in (10, 20, 50, 10_000)}
    assert found[10] == pytest.approx(0.0225, abs=5e-4)
    assert found[10] > 2 * found[20] > 3 * found[50] > found[10_000]
    assert found[10_000] == pytest.approx(normal_tail(3, "is"), rel=0.02)


@pytest.mark.parametrize("n", [400, 10_000])
@pytest.mark.thorough
def test_the_expansion_of_a_known_skew_law(n):
    """Of the squares of normal draws, whose probe is Gaussian and whose matrix is diagonal: simulated by others."""
    found = false_alarm(Bench(), KNOWN_LOG_DET, n, 3.0).value
    assert normal_tail(3, "is") < found < 2.5 * normal_tail(3, "is")
    if n == 400:
        random = np.random.default_rng(1)
        size = 10_000
        terms, v = 2 + random.geometric(0.5, n * size), random.standard_normal((n * size, 2))
        draws = values(KNOWN_A.numpy(), Bench().law, terms, v).reshape(size, n)
        there = (np.abs(draws.mean(1) - KNOWN_LOG_DET) > 3 * draws.std(1, ddof=1) / n**0.5).mean()
        assert found == pytest.approx(there, abs=4 * (there / size) ** 0.5)


@pytest.mark.thorough
def test_of_a_skew_law_one_side_goes_wrong_more_often():
    """Against other throws of 300: estimates are skew, so a mean is more often far below the truth than far above."""
    n, size = 300, 10_000
    random = np.random.default_rng(2)
    terms, v = 2 + random.geometric(0.5, n * size), random.standard_normal((n * size, 2))
    draws = values(KNOWN_A.numpy(), Bench().law, terms, v).reshape(size, n)
    off = (draws.mean(1) - KNOWN_LOG_DET) / (draws.std(1, ddof=1) / n**0.5)
    there = {"above": float((off > 2).mean()), "below": float((off < -2).mean())}
    apart = abs(there["above"] - there["below"])
    assert apart > 4 * ((there["above"] + there["below"]) / size) ** 0.5, "they would not tell the sides apart"
    for side, share in there.items():
        found = false_alarm(Bench(), KNOWN_LOG_DET, n, 2.0, side).value
        assert found == pytest.approx(share, abs=4 * (share / size) ** 0.5 + 1e-3)
        assert abs(found - share) < apart / 2


def test_the_tail_is_that_of_the_normal_law():
    assert normal_tail(3, "is") == pytest.approx(2 * stats.norm.sf(3))
    assert normal_tail(5, "below") == pytest.approx(stats.norm.sf(5))


def test_one_draw_has_no_standard_error():
    with pytest.raises(ValueError, match="n = 1"):
        false_alarm(SIGNS, KNOWN_LOG_DET, 1, 3.0)
