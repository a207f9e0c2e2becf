"""Verdicts of seeds: exact tests of two flows, against SciPy and by how often they err, and what joins them."""

import math

import numpy as np
import pytest
from scipy import stats

from app.contests import LEAST_SEEDS, LEVEL, MARGIN, Contest, Outcome, holm, of_kl, of_loss, sign_flip
from app.features.paper.decided import against, chances, decided, of_every, of_some
from app.features.paper.found import Kind


@pytest.mark.parametrize("n", [2, 5, 8, 12])
def test_p_is_scipys(n):
    d = np.random.default_rng(n).normal(-0.1, 0.2, n)
    found = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", alternative="less", n_resamples=np.inf, vectorized=True
    )
    assert sign_flip(d) == pytest.approx(found.pvalue, abs=1e-12)


def test_equal_seeds_and_ties_say_nothing():
    assert sign_flip([0.0] * 12) == 1
    assert sign_flip([0.1, -0.1, 0.3, -0.3] * 3) > 0.5


def test_below_five_seeds_nothing_is_decided():
    assert LEAST_SEEDS == 5
    for n in range(1, LEAST_SEEDS):
        assert Contest((-100.0,) * n, True).outcome is Outcome.NOT_DECIDED
        assert Contest((0.0,) * n, True).outcome is Outcome.NOT_DECIDED
    assert Contest((-0.1,) * LEAST_SEEDS, False).outcome is Outcome.AHEAD
    assert Contest((0.1,) * LEAST_SEEDS, False).outcome is Outcome.BEHIND


def test_the_interval_is_students():
    d = (0.1, -0.2, 0.05, 0.3)
    low, high = Contest(d, True).interval
    known = stats.t.interval(1 - 2 * LEVEL, 3, loc=np.mean(d), scale=stats.sem(d))
    assert (low, high) == pytest.approx(known)
    assert Contest((1.0,), True).interval == (-math.inf, math.inf)


def test_equal_is_said_within_a_quarter_of_each_other_and_of_ratios_alone():
    near = tuple(np.random.default_rng(0).normal(0, 0.05, 12))
    assert abs(np.mean(near)) < MARGIN
    assert Contest(near, True).p_equal <= LEVEL and Contest(near, True).outcome is not Outcome.NOT_DECIDED
    assert Contest(near, False).p_equal == 1
    shifted = tuple(d + 1.5 * MARGIN for d in near)
    assert Contest(shifted, True).p_equal > LEVEL and Contest(shifted, True).outcome is Outcome.BEHIND


def test_a_kl_that_is_not_above_0_is_compared_by_differences():
    assert of_kl([0.1, 0.2], [0.2, 0.1]) == Contest((math.log(0.5), math.log(2)), True)
    assert of_kl([0.1, -0.001], [0.2, 0.1]) == of_loss([0.1, -0.001], [0.2, 0.1])
    assert not of_loss([1.0], [2.0]).is_ratio


def test_of_equal_flows_one_in_twenty_is_called_ahead():
    """2,000 contests of 12 seeds: the share of 5 % has a standard error of 0.5 %. Within 4 of them on 20 seeds; a test
    of means that forgets the sign of one seed in twelve says 7 %."""
    rng = np.random.default_rng(0)
    ahead = np.mean([sign_flip(rng.normal(0, 0.2, 12)) <= LEVEL for _ in range(2_000)])
    assert abs(ahead - LEVEL) < 4 * 0.0049


def test_holm_is_scipys_neighbour():
    p = [0.01, 0.04, 0.03, 0.005]
    # By hand: 0.005 <= 0.05 / 4, 0.01 <= 0.05 / 3, 0.03 > 0.05 / 2.
    assert holm(p) == [True, False, False, True]
    assert holm([]) == [] and holm([0.05]) == [True] and holm([0.051]) == [False]


SEEDS = 12
SPREAD = 0.2
"""Of log KL between seeds, as measured here."""


def values(*means):
    """The KL of every seed: of each set the mean of our flow, and those of its opponents."""
    rng = np.random.default_rng(0)
    return {
        f"set {k}": {
            name: np.exp(rng.normal(math.log(mean), SPREAD, SEEDS)).tolist()
            for name, mean in zip(["ours", *(f"peer {n}" for n in range(len(of) - 1))], of, strict=True)
        }
        for k, of in enumerate(means)
    }


def every(found):
    return decided({name: of_every(contests) for name, contests in against(found, "ours").items()})


def some(found):
    """Whether some peer is ahead of ours."""
    turned = {
        name: {peer: type(one)(tuple(-d for d in one.differences), one.is_ratio) for peer, one in contests.items()}
        for name, contests in against(found, "ours").items()
    }
    return decided({name: of_some(contests) for name, contests in turned.items()})


@pytest.mark.parametrize(
    ("means", "kind"),
    [
        ([(0.1, 0.2, 0.3), (0.1, 0.2)], Kind.SHOWS),
        ([(0.1, 0.2, 0.3), (0.1, 0.1)], Kind.IN_PART),
        ([(0.1, 0.2, 0.05), (0.1, 0.2)], Kind.IN_PART),
        ([(0.1, 0.2, 0.05)], Kind.NOT_HERE),
        ([(0.2, 0.1), (0.1, 0.1)], Kind.NOT_HERE),
    ],
)
def test_a_factor_of_two_against_every_opponent_is_seen(means, kind):
    assert every(values(*means)).kind is kind


def test_it_says_where():
    found = every(values((0.1, 0.2, 0.3), (0.1, 0.05, 0.2)))
    assert found.ahead == ("set 0",) and found.behind == (("set 1", "peer 0"),)


def test_nearly_the_same_flows_are_equal_and_three_seeds_decide_nothing():
    near = [0.1 * math.exp(0.02 * k) for k in range(SEEDS)]
    assert every({"one": {"ours": near, "peer": near[1:] + near[:1]}}).kind is Kind.EQUAL
    assert every({"one": {"ours": [0.1] * 3, "peer": [10.0] * 3}}).kind is Kind.NOT_DECIDED


@pytest.mark.thorough
@pytest.mark.parametrize("judge", [every, some])
def test_of_equal_flows_little_is_said(judge):
    """400 results of two sets with two opponents: shows at most in 5 %, in part at most in 5 %, the opposite at most
    in 5 %, each with 4 standard errors of 1.1 %. Bands of three seeds that do not overlap said far more."""
    rng = np.random.default_rng(0)
    kinds = []
    for _ in range(400):
        flows = np.exp(rng.normal(math.log(0.1), SPREAD, (2, 3, SEEDS)))
        kinds.append(judge({str(k): dict(zip(("ours", "a", "b"), of, strict=True)) for k, of in enumerate(flows)}).kind)
    for kind in (Kind.SHOWS, Kind.IN_PART, Kind.NOT_HERE):
        assert kinds.count(kind) / 400 < 0.05 + 4 * 0.011


def test_what_chance_says_is_what_the_rule_says_of_renamed_flows():
    found = chances(values((0.1, 0.2), (0.1, 0.2)), lambda renamed: every(renamed).kind)
    assert sum(found.values()) == pytest.approx(1) and found[Kind.SHOWS] < 0.05
    three = {"one": {"ours": [0.1, 0.2, 0.3], "peer": [0.2, 0.3, 0.4]}}
    assert chances(three, lambda renamed: every(renamed).kind)[Kind.NOT_DECIDED] == 1
