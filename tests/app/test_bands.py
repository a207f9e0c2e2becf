"""Several seeds of each flow as bands, and what the bands say, from reports alone."""

import numpy as np
import pytest

from app.engine.reports import ArmReport, LossCurves
from app.ui import bands
from app.ui.bands import Band, band, verdict, verdict_by_time
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
            for said in (verdict, verdict_by_time):
                assert said(DATA, {"A": arms, "B": [report([0.3])] * 2}) == "Not measured yet."
        for said in (verdict, verdict_by_time):
            assert said(DATA, {"A": [report([0.5])] * 3}) == "Not measured yet."
            untrained = {"A": [report([0.5])] * 3, "B": [report([0.4])] * 3}
            assert said(DATA, untrained) == "Not trained yet: press Play."

    def test_without_a_truth_it_is_the_nll(self):
        found = bands.all_fits(WINE, {"A": [report([0.5, 0.25], with_kl=False)]})["A"]
        np.testing.assert_allclose(found.values, [[2.5, 2.25]])
        arms = {"A": [report([0.9, 0.1], with_kl=False)] * 3, "B": [report([0.9, 0.5], with_kl=False)] * 3}
        assert "A has NLL 2.10, B 2.50" in verdict(WINE, arms)

    def test_at_a_time_they_are_on_the_line_between_two_measurements(self):
        arms = [report([1.0, 0.5, 0.1], seconds=[0, 2, 4]), report([1.0, 0.6, 0.4], seconds=[0, 1, 2])]
        found = bands.fits(arms, lambda curves: curves.held_kl)
        assert found.at_seconds(1.5) == Band(pytest.approx((0.625 + 0.5) / 2), pytest.approx(0.5), pytest.approx(0.625))
        assert found.at_step(100) == Band(pytest.approx(0.55), pytest.approx(0.5), pytest.approx(0.6))


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
        assert chart.alt.endswith("now A 0.300 (0.100 to 0.500).")
        by_time = bands.curves(DATA, arms, by_time=True)
        np.testing.assert_allclose(by_time.paths[0].points, [[0, 0.9], [3, 0.3]], rtol=1e-6)

    def test_one_seed_is_a_line_and_a_likelihood_no_logarithm(self):
        chart = bands.curves(WINE, {"A": [report([0.5], with_kl=False)]}, by_time=False)
        assert [path.points.tolist() for path in chart.paths] == [[[0, 2.5]]]
        assert (chart.note, chart.log_y, chart.y) == ("One seed.", False, "held-out NLL, nats")


class TestVerdict:
    def test_bands_apart(self):
        said = verdict(DATA, groups(A=[0.5, 0.6, 0.7], B=[0.1, 0.2, 0.3], C=[0.8, 0.9, 0.9]))
        assert said == (
            "**B is ahead in all 3 seeds**: B has KL 0.200 (0.100 to 0.300), A 0.600 (0.500 to 0.700) after 100 steps; "
            "no other band touches its own."
        )

    def test_the_band_that_comes_nearest_counts_and_not_the_second_best(self):
        said = verdict(DATA, groups(A=[1.0, 1.1, 1.2], B=[1.3, 1.31, 1.32], C=[1.15, 1.6, 1.6]))
        assert said.startswith("**The seeds do not say**: A has KL 1.10 (1.00 to 1.20), C 1.45")

    def test_bands_that_overlap(self):
        said = verdict(DATA, groups(A=[0.25, 0.6, 0.7], B=[0.1, 0.2, 0.3]))
        assert said.startswith("**The seeds do not say**: B has KL") and said.endswith("the bands overlap.")

    def test_of_what_is_no_number_nothing_is_said_but_that(self):
        arms = groups(A=[0.1, 0.2, 0.3], B=[0.5, np.nan, 0.6], C=[0.8, 0.8, 0.9])
        assert verdict(DATA, arms) == "**Not to be compared** after 100 steps: KL of B is not a number in every seed."
        assert verdict_by_time(DATA, arms).startswith("**Not to be compared** after 2.0 s of training each: KL of B")

    @pytest.mark.parametrize(("seeds", "words"), [(1, "over 1 seed."), (2, "over 2 seeds.")])
    def test_few_seeds_say_nothing_however_far_apart(self, seeds, words):
        said = verdict(DATA, groups(A=[0.6] * seeds, B=[0.1] * seeds))
        assert said.startswith("**Not enough seeds to say**: B has KL 0.100, A 0.600")
        assert said.endswith(f"{words} Take 3 or more.")

    def test_after_as_many_steps(self):
        arms = {"A": [report([1.0, 0.5, 0.1])] * 3, "B": [report([1.0, 0.4])] * 3}
        assert verdict(DATA, arms).startswith("**B is ahead in all 3 seeds**: B has KL 0.400, A 0.500 after 100 steps")

    def test_after_as_long_a_training(self):
        slow = [report([1.0, 0.5, 0.1], seconds=[0, 5, 10])] * 3
        quick = [*[report([1.0, 0.8, 0.7], seconds=[0, 1, 2])] * 2, report([1.0, 0.8, 0.7], seconds=[0, 1, 3])]
        arms = {"A": slow, "B": quick}
        assert verdict(DATA, arms).startswith("**A is ahead in all 3 seeds**")
        assert verdict_by_time(DATA, arms) == (
            "**B is ahead in all 3 seeds**: B has KL 0.717 (0.700 to 0.750), A 0.800 after 2.0 s of training each; no "
            "other band touches its own."
        )
