"""What the Estimator screen opens with: every number of its sentences against sums by hand and the core, the decisions
that these take, and a matrix that is pasted."""

import math
from dataclasses import replace

import numpy as np
import pytest

from app import evidence
from app.estimates import pasted
from app.estimates.settings import Bench
from app.features.estimator import answers, cost_chart, hand_charts, stored
from app.features.estimator.answers import OnPlane
from app.features.estimator.evidence import BY_HAND, PLANE, read_by_hand, read_plane
from app.features.estimator.numbers import ByHand, Tail
from app.features.estimator.sweeps import Cost, across_p, cost, subject_of
from app.features.estimator.verdicts import Products, products
from resflow_core.estimators.draws import draw_estimates
from resflow_core.roulette import Geometric
from tests.app.test_estimator import numbers_in

DRAWS = 10_000
A = np.array([[5, 1], [1, 5]]) / 12
BIAS = 47 / 72 - math.log(2)
FOUND = ByHand(0.6, 3, 0.01, "gaussian", 0.3, 0.1, 0.05, Tail(0.4, 0.5))


def variance_parts(signs):
    """Of one draw of the example, by enumeration of N: what the probe and what stopping adds. In the eigenvectors of A
    the estimate is a sum of w_i^2 e_i(N), w standard normal; with signs w is (sqrt 2, 0) or (0, sqrt 2)."""
    chances = 0.5 ** np.arange(1, 61)
    k = np.arange(1, 61)
    e = np.stack([np.cumsum(-((-eigenvalue) ** k) / k * 2.0 ** (k - 1)) for eigenvalue in (1 / 2, 1 / 3)])
    sums = np.array([2 * e[0], 2 * e[1]]) if signs else e.sum(0)[None]
    total = (chances * (sums**2).mean(0)).sum() - (chances * sums.mean(0)).sum() ** 2
    given_n = np.zeros(60) if signs else 2 * (e**2).sum(0)
    limits = np.log([3 / 2, 4 / 3])
    probe = ((2 * limits).std() ** 2) if signs else 2 * (limits**2).sum()
    return probe, total + (chances * given_n).sum() - probe


class TestByHand:
    def test_the_stored_numbers_are_sums_by_hand_and_its_draws_the_cores(self):
        kept = evidence.stored(BY_HAND)
        found = read_by_hand(kept.found)
        assert (found.truth, found.bias) == pytest.approx((math.log(2), BIAS), rel=1e-4)
        assert (found.by_probe, found.by_stopping) == pytest.approx(variance_parts(signs=True), rel=1e-4)
        assert found.other == pytest.approx(sum(variance_parts(signs=False)), rel=1e-4)
        assert (found.tail.radius, found.tail.ratio, found.n_terms) == (pytest.approx(0.5), 0.5, 2)
        for seed, means in zip(kept.seeds, kept.found["means"], strict=True):
            values = draw_estimates(A, Geometric(0.5, 1), "rademacher", DRAWS, seed).value
            assert means[-1] == pytest.approx(values.mean(), rel=1e-5)

    def test_draws_are_counted_up(self):
        assert (answers.draws_for(0.4, 0.01), answers.draws_for(1e-9, 0.5)) == (4000, 1)
        assert numbers_in(answers.hand_sentence(FOUND)) == [0.63, 3, 0.01, 4000, 25, 500, 4000]

    def test_claims_have_limits_in_standard_errors(self):
        error = FOUND.deviation / 100
        assert FOUND.error(DRAWS) == pytest.approx(error)
        for off, holds in ((3.9, True), (-3.9, True), (4.1, False), (-4.1, False)):
            means = [0.6, 0.6 + off * error]
            assert answers.is_unbiased(FOUND, means, DRAWS) is holds
            seen = answers.contradiction(replace(FOUND, bias=1.0), means, DRAWS)
            assert seen == "" if holds else numbers_in(seen) == [DRAWS, pytest.approx(off * error, rel=1e-2)]
        for bias, holds in ((5.1, True), (-5.1, True), (4.9, False)):
            assert answers.is_seen(replace(FOUND, bias=bias * error), DRAWS) is holds
            assert bool(answers.contradiction(replace(FOUND, bias=bias * error), [0.6], DRAWS)) is not holds

    @pytest.mark.parametrize(
        ("changes", "named", "unsaid"),
        [
            ({"by_stopping": math.inf, "tail": Tail(0.9, 0.5)}, ("infinite", "0.81"), ("typically",)),
            ({"by_stopping": math.nan, "tail": Tail(0.5**0.5, 0.5)}, ("may be infinite",), ("nan",)),
            ({"by_probe": 0.0, "by_stopping": 0.0}, ("exact", "0.01"), ("typically",)),
            ({"bias": 0.0}, ("leaves nothing out",), ("always off",)),
            ({"by_stopping": 0.0}, ("all of a draw's variance",), ("0 %",)),
            ({"by_probe": 0.0, "probe": "rademacher"}, ("adds nothing",), ("100 %",)),
            ({"other": math.inf}, ("always off",), ("Rademacher",)),
        ],
    )
    def test_where_a_claim_fails_the_sentence_says_the_other_thing(self, changes, named, unsaid):
        said = answers.hand_sentence(replace(FOUND, **changes))
        assert all(word in said for word in named) and not any(word in said for word in unsaid)

    def test_the_picture_has_truth_series_band_and_means(self):
        n = np.array([1, 10, 20_000])
        far = hand_charts.Mean(n, np.array([9.0, 0.7, 0.61]))
        chart = hand_charts.chart(FOUND, {"one": far, "other": far}, "t", "means")
        truth, series, mean, _ = (path.points for path in chart.paths)
        assert truth.tolist() == [[1, 0.6], [20_000, 0.6]]
        assert series[:, 1] == pytest.approx([0.61] * 2)
        np.testing.assert_array_equal(mean, [[1, np.nan], [10, 0.7], [20_000, 0.61]])  # what is far out is left out
        assert [path.label for path in chart.paths[2:]] == ["means", ""]
        (band,) = chart.areas
        assert (band.high - band.low)[-1] == pytest.approx([0, 4 * 0.4**0.5 / 20_000**0.5])
        assert not hand_charts.chart(replace(FOUND, by_probe=math.inf), {}, "t", "means").areas


class TestCosts:
    @pytest.mark.parametrize(
        ("geometric", "paper", "radius", "said"),
        [
            (None, math.inf, 0.99, "**no p**"),
            (None, math.inf, 0.0, "ends by itself"),
            (0.0, 0.0, 0.4, "no noise"),
            (1.0, 1.004, 0.4, "no p costs less"),
            (1.0, 1.1, 0.4, "**1.1 times"),
        ],
    )
    def test_what_is_said_follows_from_the_costs(self, geometric, paper, radius, said):
        cheapest = None if geometric is None else (Geometric(0.3, 2), Cost(geometric, 0.0, 1.0))
        found = Products(None, (), Cost(paper, 0.0, 1.0), cheapest, Tail(radius, 0.5))
        assert said in answers.cost_sentence(found)

    def test_the_picture_marks_the_law_that_is_set_beside_the_paper_and_the_cheapest(self):
        bench = Bench(law=Geometric(0.4, 2))
        subject = subject_of(bench, None)
        found, here = products(bench, subject), cost(subject, bench.law, "gaussian")
        chart = cost_chart.chart(across_p(subject, bench), found, bench.law, here, "said")
        law, least = found.geometric
        marks = [path.points[0].tolist() for path in chart.paths[-3:]]
        assert marks == [[law.p, least.product], [0.5, found.paper.product], [0.4, here.product]]
        (area,) = chart.areas
        assert area.low[:, 0] == pytest.approx([1 - subject.radius**2, 1])


class TestOnPlane:
    def test_every_number_of_the_sentence_follows(self):
        found = read_plane(evidence.stored(PLANE).found)
        percent, low, high, seeds, p, points, paper = numbers_in(stored.plane_sentence())
        assert percent == pytest.approx(100 * np.mean(found.shares), abs=0.5)
        assert (low, high) == pytest.approx((100 * min(found.shares), 100 * max(found.shares)), abs=0.5)
        assert (seeds, points, paper) == (3, 99, 0.5) and p == pytest.approx(min(found.safe), rel=0.05)

    def test_a_claim_that_is_broken_changes_the_sentence(self):
        for shares, holds in (((0.1, 0.2), True), ((0.1, 0.0), False), ((0.0, 0.0), False)):
            found = OnPlane(shares, (0.6, 0.7), 0.5)
            assert list(answers.plane_claims(found).values()) == [holds]
            assert ("at **no**" in answers.plane_sentence(found, "3 seeds")) == (max(shares) == 0)


class TestPaste:
    @pytest.mark.parametrize(
        "text",
        [
            "[[0.45, 0.3], [-0.25, 0.2]]",
            "0.45\t0.3\n-0.25\t0.2\n",
            "0,45;0,3\n-0,25;0,2",
            "0.45, 0.3\n-1/4, 1/5",
            "[0.45 0.3; -0.25 0.2]",
            "0.45 0.3 -0.25 0.2",
            "[[ 0.45  0.3 ]\n [-0.25  0.2 ]]",
            "0,45 0,3\n\N{MINUS SIGN}0,25 0,2",
        ],
    )
    def test_matrices_of_spreadsheets_and_programs_are_read(self, text):
        assert pasted.matrix(text) == pytest.approx((0.45, 0.3, -0.25, 0.2))

    @pytest.mark.parametrize(
        ("text", "named"),
        [("1 2 3\n4 5 6", "3 and 3"), ("0.1 x\n0 0", "Row 1, column 2"), ("0.1", "1 row "), ("", "0")],
    )
    def test_what_is_none_is_named(self, text, named):
        with pytest.raises(ValueError, match=named):
            pasted.matrix(text)
