"""The rules of verdicts that compare, on synthetic results of twelve seeds: what they say, and how often of nothing."""

import math

import numpy as np
import pytest

from app.features.paper.decided import against, chances, decided, of_every, of_some
from app.features.paper.found import Kind

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


@pytest.mark.parametrize(
    ("means", "kind"),
    [
        ([(0.2, 0.1, 0.3), (0.2, 0.3, 0.1)], Kind.SHOWS),
        ([(0.2, 0.1, 0.3), (0.1, 0.2, 0.3)], Kind.IN_PART),
        ([(0.1, 0.2, 0.3), (0.1, 0.1, 0.2)], Kind.NOT_HERE),
    ],
)
def test_and_so_it_is_of_some_flow(means, kind):
    assert some(values(*means)).kind is kind


def test_it_says_where():
    found = every(values((0.1, 0.2, 0.3), (0.1, 0.05, 0.2)))
    assert found.ahead == ("set 0",) and found.behind == (("set 1", "peer 0"),)


def test_nearly_the_same_flows_are_equal_and_three_seeds_decide_nothing():
    near = [0.1 * math.exp(0.02 * k) for k in range(SEEDS)]
    assert every({"one": {"ours": near, "peer": near[1:] + near[:1]}}).kind is Kind.EQUAL
    assert every({"one": {"ours": [0.1] * 3, "peer": [10.0] * 3}}).kind is Kind.NOT_DECIDED


@pytest.mark.parametrize("judge", [every, some])
@pytest.mark.parametrize("seed", range(2))
def test_of_equal_flows_little_is_said(seed, judge):
    """1,000 results of two sets with two opponents: shows at most in 5 %, in part at most in 5 %, the opposite at most
    in 5 %, each with 4 standard errors of 0.7 %. Bands of three seeds that do not overlap said far more."""
    rng = np.random.default_rng(seed)
    kinds = []
    for _ in range(1_000):
        flows = np.exp(rng.normal(math.log(0.1), SPREAD, (2, 3, SEEDS)))
        kinds.append(judge({str(k): dict(zip(("ours", "a", "b"), of, strict=True)) for k, of in enumerate(flows)}).kind)
    for kind in (Kind.SHOWS, Kind.IN_PART, Kind.NOT_HERE):
        assert kinds.count(kind) / 1_000 < 0.05 + 4 * 0.007


def test_what_chance_says_is_what_the_rule_says_of_renamed_flows():
    found = chances(values((0.1, 0.2), (0.1, 0.2)), lambda renamed: every(renamed).kind)
    assert sum(found.values()) == pytest.approx(1) and found[Kind.SHOWS] < 0.05
    three = {"one": {"ours": [0.1, 0.2, 0.3], "peer": [0.2, 0.3, 0.4]}}
    assert chances(three, lambda renamed: every(renamed).kind)[Kind.NOT_DECIDED] == 1
