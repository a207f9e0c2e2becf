"""Several seeds of each flow as bands, and what the bands say, from reports alone."""

import numpy as np
import pytest

from app.engine.reports import ArmReport, LossCurves
from app.ui import bands
from app.ui.bands import Band, Outcome, Ranking, band, by_steps, by_time, in_words
from resflow_core.data import DATASETS
from tests.app.requests import reported

DATA, WINE = DATASETS["moons"], DATASETS["wine"]
NONE = np.empty(0, np.float32)


def report(kl, steps=None, seconds=None, with_kl=True, bias=None, measured=(), **arm):
    """One seed: NLL = 2 + KL at every measurement, one every 100 steps, at 50 steps a second."""
    kl = np.array(kl, np.float32)
    held = np.arange(len(kl)) * 100 if steps is None else np.array(steps)
    seconds = held / 50 if seconds is None else np.array(seconds)
    bias = 0 * kl if bias is None else np.array(bias, np.float32)
    kl_and_error = (kl, 0 * kl) if with_kl else (NONE, NONE)
    loss = LossCurves(
        held, NONE, held, 2 + kl, 0 * kl, *kl_and_error, bias, 0 * kl, seconds, orders=np.zeros((0, 0, 0))
    )
    last = int(held[-1]) if len(held) else 0
    usual = {"step": last, "steps_per_second": 1.0, "seconds": last / 50, "loss": loss}
    return ArmReport(**usual | arm, measured=reported(*measured))


def groups(**kl):
    return {label: [report([1.0, value]) for value in values] for label, values in kl.items()}


class TestFits:
    def test_only_measurements_that_all_seeds_have_are_compared(self):
        arms = [report([0.9, 0.5, 0.3], [0, 100, 250], [0, 1, 2]), report([0.8, 0.6, 0.4, 0.2], [0, 50, 100, 250])]
        found = bands.fits(arms, lambda curves: curves.held_kl)
        assert found.steps.tolist() == [0, 100, 250]
        np.testing.assert_allclose(found.values, [[0.9, 0.5, 0.3], [0.8, 0.4, 0.2]], rtol=1e-6)
        np.testing.assert_allclose(found.seconds, [[0, 1, 2], [0, 2, 5]])

    def test_nothing_is_said_of_what_is_not_measured(self):
        blank = ArmReport(step=0, steps_per_second=0.0, seconds=0.0)
        for arms in ([report([0.5]), blank], [report([]), report([0.5])], [report([0.5]), report([0.4], [7])]):
            assert bands.fits(arms, lambda curves: curves.held_kl) is None
            for ranking in (by_steps, by_time):
                found = ranking(DATA, {"A": arms, "B": [report([0.3])] * 2})
                assert (found.outcome, found.fits) == (Outcome.NOT_MEASURED, {})
        for ranking in (by_steps, by_time):
            assert ranking(DATA, {"A": [report([0.5])] * 3}).outcome is Outcome.NOT_MEASURED
            untrained = {"A": [report([0.5])] * 3, "B": [report([0.4])] * 3}
            assert ranking(DATA, untrained).outcome is Outcome.NOT_TRAINED

    def test_without_a_truth_it_is_the_nll(self):
        found = bands.all_fits(WINE, {"A": [report([0.5, 0.25], with_kl=False)]})["A"]
        np.testing.assert_allclose(found.values, [[2.5, 2.25]])
        arms = {"A": [report([0.9, 0.1], with_kl=False)] * 3, "B": [report([0.9, 0.5], with_kl=False)] * 3}
        ranking = by_steps(WINE, arms)
        assert (ranking.measure, ranking.best, ranking.nearest) == ("NLL", "A", "B")
        assert [of.mean for of in ranking.fits.values()] == pytest.approx([2.1, 2.5])

    def test_at_a_time_they_are_on_the_line_between_two_measurements(self):
        arms = [report([1.0, 0.5, 0.1], seconds=[0, 2, 4]), report([1.0, 0.6, 0.4], seconds=[0, 1, 2])]
        found = bands.fits(arms, lambda curves: curves.held_kl)
        assert found.at_seconds(1.5) == pytest.approx([0.625, 0.5])
        assert found.at_step(100) == pytest.approx([0.5, 0.6])


class TestBand:
    def test_it_is_mean_least_and_largest(self):
        assert band([0.2, 0.1, 0.6]) == Band(pytest.approx(0.3), 0.1, 0.6)

    @pytest.mark.parametrize(
        ("values", "text"),
        [
            ([0.1, 0.3, 0.5], "0.300 (0.100 to 0.500)"),
            ([2.0], "2.00"),
            ([0.25, 0.25], "0.250"),
            ([-0.5, 0.25], "−0.125 (−0.500 to 0.250)"),
            ([12.0, 120.0], "66.0 (12.0 to 120)"),
            ([999.0], "999"),
            ([0.0], "0"),
            ([1e-5], "1·10⁻⁵"),
            ([12345.0], "1.23·10⁴"),
            ([np.inf, 1.0], "infinite (1.00 to infinite)"),
        ],
    )
    def test_in_three_digits_that_look_alike(self, values, text):
        assert str(band(values)) == text


class TestCurves:
    def test_mean_within_the_smallest_and_the_largest_against_steps_and_time(self):
        arms = {"A": [report([1.0, 0.5]), report([0.8, 0.1], seconds=[0, 4])], "B": [report([])] * 2}
        chart = bands.curves(DATA, arms, by_time=False)
        mean, edges = (path.points for path in chart.paths)
        np.testing.assert_allclose(mean, [[0, 0.9], [100, 0.3]], rtol=1e-6)
        nan = [np.nan] * 2
        np.testing.assert_allclose(edges, [[0, 0.8], [100, 0.1], nan, [0, 1.0], [100, 0.5], nan], rtol=1e-6)
        assert [path.label for path in chart.paths] == ["A", ""] and chart.log_y
        by_time = bands.curves(DATA, arms, by_time=True)
        np.testing.assert_allclose(by_time.paths[0].points, [[0, 0.9], [3, 0.3]], rtol=1e-6)

    def test_one_seed_is_a_line_and_a_likelihood_no_logarithm(self):
        chart = bands.curves(WINE, {"A": [report([0.5], with_kl=False)]}, by_time=False)
        assert [path.points.tolist() for path in chart.paths] == [[[0, 2.5]]]
        assert not chart.log_y


def near(mean, low, high):
    return Band(*(pytest.approx(value) for value in (mean, low, high)))


class TestRanking:
    def test_one_flow_is_ahead_of_all_others(self):
        found = by_steps(DATA, groups(A=[0.5, 0.6, 0.7] * 3, B=[0.1, 0.2, 0.3] * 3, C=[0.8, 0.9, 0.9] * 3))
        assert (found.outcome, found.best, found.nearest) == (Outcome.AHEAD, "B", "A")
        assert (found.measure, found.seeds, found.steps, found.seconds) == ("KL", 9, 100, None)
        assert (found.fits["B"], found.fits["A"]) == (near(0.2, 0.1, 0.3), near(0.6, 0.5, 0.7))

    def test_the_flow_that_it_is_ahead_of_least_counts_and_not_the_second_best(self):
        found = by_steps(DATA, groups(A=[1.0] * 8, B=[1.3] * 8, C=[*[0.9] * 3, *[1.7] * 5]))
        assert (found.outcome, found.best, found.nearest) == (Outcome.NOT_DECIDED, "A", "C")

    def test_the_best_is_named_after_looking_so_it_takes_more_for_each_flow(self):
        two = {"A": [0.5] * 5, "B": [0.1] * 5}
        found = by_steps(DATA, groups(**two))
        assert (found.outcome, found.least_seeds) == (Outcome.FEW_SEEDS, 6)
        six = {label: [*values, values[0]] for label, values in two.items()}
        assert by_steps(DATA, groups(**six)).outcome is Outcome.AHEAD
        four = by_steps(DATA, groups(**six, C=[0.6] * 6, D=[0.7] * 6))
        assert (four.outcome, four.least_seeds) == (Outcome.FEW_SEEDS, 7)

    def test_flows_that_are_nearly_the_same_are_equal(self):
        found = by_steps(DATA, groups(A=[0.5 + 0.01 * k for k in range(8)], B=[0.57 - 0.01 * k for k in range(8)]))
        assert found.outcome is Outcome.EQUAL

    def test_one_seed_that_is_far_ahead_decides_nothing(self):
        found = by_steps(DATA, groups(A=[0.5] * 8, B=[0.01, *[0.51] * 7]))
        assert (found.outcome, found.best, found.measure) == (Outcome.NOT_DECIDED, "B", "KL")

    def test_of_equal_flows_one_is_seldom_called_ahead(self):
        """2,000 results of eight seeds of three equal flows: at most in 5 %, with 4 standard errors of 0.5 %. It is
        what Bonferroni promises; without it there would be 9 %."""
        rng, ahead = np.random.default_rng(3), 0
        for _ in range(2_000):
            values = {label: np.exp(0.2 * rng.standard_normal(8)).tolist() for label in "ABC"}
            ahead += Ranking("KL", 8, values, 100).outcome is Outcome.AHEAD
        assert ahead / 2_000 < 0.05 + 4 * 0.005

    def test_of_what_is_no_number_nothing_is_said_but_that(self):
        arms = groups(A=[0.1, 0.2, 0.3], B=[0.5, np.nan, 0.6], C=[0.8, 0.8, 0.9])
        for found, seconds in ((by_steps(DATA, arms), None), (by_time(DATA, arms), 2.0)):
            assert (found.outcome, found.lost) == (Outcome.NOT_A_NUMBER, ["B"])
            assert (found.measure, found.steps, found.seconds) == ("KL", 100, seconds)

    @pytest.mark.parametrize("seeds", [1, 2])
    def test_few_seeds_say_nothing_however_far_apart(self, seeds):
        found = by_steps(DATA, groups(A=[0.6] * seeds, B=[0.1] * seeds))
        assert (found.outcome, found.seeds) == (Outcome.FEW_SEEDS, seeds)
        assert (found.best, found.nearest) == ("B", "A")
        assert found.fits == {"A": near(0.6, 0.6, 0.6), "B": near(0.1, 0.1, 0.1)}
        said = in_words(found)
        assert f"over {seeds} seed{'s' * (seeds > 1)}." in said and "6 or more" in said

    def test_after_as_many_steps(self):
        found = by_steps(DATA, {"A": [report([1.0, 0.5, 0.1])] * 6, "B": [report([1.0, 0.4])] * 6})
        assert (found.outcome, found.best, found.steps) == (Outcome.AHEAD, "B", 100)
        assert [found.fits[label].mean for label in "BA"] == pytest.approx([0.4, 0.5])

    def test_after_as_long_a_training(self):
        slow = [report([1.0, 0.5, 0.1], seconds=[0, 5, 10])] * 6
        quick = [*[report([1.0, 0.8, 0.7], seconds=[0, 1, 2])] * 5, report([1.0, 0.8, 0.7], seconds=[0, 1, 3])]
        arms = {"A": slow, "B": quick}
        steps, time = by_steps(DATA, arms), by_time(DATA, arms)
        assert (steps.outcome, steps.best, steps.seconds) == (Outcome.AHEAD, "A", None)
        assert (time.outcome, time.best, time.seconds) == (Outcome.AHEAD, "B", 2.0)
        assert time.fits == {"A": near(0.8, 0.8, 0.8), "B": near(4.25 / 6, 0.7, 0.75)}

    @pytest.mark.parametrize(
        ("a", "outcome"),
        [
            ([0.9], Outcome.FEW_SEEDS),
            ([0.9, 0.8, 0.7] * 2, Outcome.AHEAD),
            ([0.21, 0.2, 0.2] * 2, Outcome.EQUAL),
            ([0.9, 0.8, 0.8, 0.8, 0.8, 0.1], Outcome.NOT_DECIDED),
            ([0.9, 0.8, np.nan], Outcome.NOT_A_NUMBER),
        ],
    )
    def test_its_words_name_flows_and_numbers(self, a, outcome):
        found = by_time(DATA, groups(A=a, B=[0.2] * len(a)))
        said = in_words(found)
        assert found.outcome is outcome and "2.0 s" in said
        assert ("KL of A" if outcome is Outcome.NOT_A_NUMBER else f"B has KL 0.200, A {found.fits['A']}") in said
