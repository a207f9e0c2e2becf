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


def near(mean, low, high):
    return Band(*(pytest.approx(value) for value in (mean, low, high)))


def test_only_measurements_that_all_seeds_have_are_compared():
    arms = [report([0.9, 0.5, 0.3], [0, 100, 250], [0, 1, 2]), report([0.8, 0.6, 0.4, 0.2], [0, 50, 100, 250])]
    found = bands.fits(arms, lambda curves: curves.held_kl)
    assert found.steps.tolist() == [0, 100, 250]
    np.testing.assert_allclose(found.values, [[0.9, 0.5, 0.3], [0.8, 0.4, 0.2]], rtol=1e-6)
    np.testing.assert_allclose(found.seconds, [[0, 1, 2], [0, 2, 5]])
    assert found.at_step(100) == pytest.approx([0.5, 0.4])
    assert found.at_seconds(1.5) == pytest.approx([0.4, 0.5])  # on the line between two measurements
    assert bands.newest(arms, lambda curves: curves.held_kl) == near(0.25, 0.2, 0.3)


@pytest.mark.parametrize(
    ("values", "text"),
    [([0.1, 0.3, 0.5], "0.300 (0.100 to 0.500)"), ([0.25, 0.25], "0.250"), ([-0.5, 0.25], "−0.125 (−0.500 to 0.250)"),
     ([999.0], "999"), ([1e-5], "1·10⁻⁵"), ([np.inf, 1.0], "infinite (1.00 to infinite)")],
)  # fmt: skip
def test_a_band_is_mean_least_and_largest_in_three_digits(values, text):
    found = band(values)
    assert (found.mean, found.low, found.high) == pytest.approx((np.mean(values), min(values), max(values)))
    assert str(found) == text


def test_curves_have_the_mean_within_the_smallest_and_the_largest():
    arms = {"A": [report([1.0, 0.5]), report([0.8, 0.1], seconds=[0, 4])], "B": [report([])] * 2}
    chart = bands.curves(DATA, arms, by_time=False)
    mean, edges = (path.points for path in chart.paths)
    np.testing.assert_allclose(mean, [[0, 0.9], [100, 0.3]], rtol=1e-6)
    nan = [np.nan] * 2
    np.testing.assert_allclose(edges, [[0, 0.8], [100, 0.1], nan, [0, 1.0], [100, 0.5], nan], rtol=1e-6)
    by_time = bands.curves(DATA, arms, by_time=True)
    np.testing.assert_allclose(by_time.paths[0].points, [[0, 0.9], [3, 0.3]], rtol=1e-6)
    one = bands.curves(WINE, {"A": [report([0.5], with_kl=False)]}, by_time=False)  # a likelihood has no logarithm
    assert [path.points.tolist() for path in one.paths] == [[[0, 2.5]]] and chart.log_y and not one.log_y


class TestRanking:
    def test_nothing_is_said_of_what_is_not_measured_or_trained(self):
        blank = ArmReport(step=0, steps_per_second=0.0, seconds=0.0)
        for arms in ([report([0.5]), blank], [report([]), report([0.5])], [report([0.5]), report([0.4], [7])]):
            for ranking in (by_steps, by_time):
                assert ranking(DATA, {"A": arms, "B": [report([0.3])] * 2}).outcome is Outcome.NOT_MEASURED
        assert by_steps(DATA, {"A": [report([0.5])] * 3}).outcome is Outcome.NOT_MEASURED
        untrained = {"A": [report([0.5])] * 3, "B": [report([0.4])] * 3}
        assert by_steps(DATA, untrained).outcome is Outcome.NOT_TRAINED

    def test_one_flow_is_ahead_of_all_others(self):
        found = by_steps(DATA, groups(A=[0.5, 0.6, 0.7] * 3, B=[0.1, 0.2, 0.3] * 3, C=[0.8, 0.9, 0.9] * 3))
        assert (found.outcome, found.best, found.nearest) == (Outcome.AHEAD, "B", "A")
        assert (found.measure, found.seeds, found.steps, found.seconds) == ("KL", 9, 100, None)
        assert (found.fits["B"], found.fits["A"]) == (near(0.2, 0.1, 0.3), near(0.6, 0.5, 0.7))
        said = in_words(found)
        assert str(found.fits["B"]) in said and str(found.fits["A"]) in said

    def test_without_a_truth_it_is_the_nll(self):
        arms = {"A": [report([0.9, 0.1], with_kl=False)] * 3, "B": [report([0.9, 0.5], with_kl=False)] * 3}
        found = by_steps(WINE, arms)
        assert (found.measure, found.best, found.nearest) == ("NLL", "A", "B")
        assert [of.mean for of in found.fits.values()] == pytest.approx([2.1, 2.5])

    @pytest.mark.parametrize(
        ("values", "outcome", "best", "nearest"),
        [
            # The flow that it is ahead of least counts, and not the second best.
            ({"A": [1.0] * 8, "B": [1.3] * 8, "C": [*[0.9] * 3, *[1.7] * 5]}, Outcome.NOT_DECIDED, "A", "C"),
            ({"A": [0.5] * 8, "B": [0.01, *[0.51] * 7]}, Outcome.NOT_DECIDED, "B", "A"),  # one seed decides nothing
            ({"A": np.linspace(0.5, 0.57, 8), "B": np.linspace(0.57, 0.5, 8)}, Outcome.EQUAL, None, None),
            # The best is named after looking, so it takes more for each flow.
            ({"A": [0.5] * 5, "B": [0.1] * 5}, Outcome.FEW_SEEDS, "B", "A"),
            ({"A": [0.5] * 6, "B": [0.1] * 6}, Outcome.AHEAD, "B", "A"),
            ({"A": [0.5] * 6, "B": [0.1] * 6, "C": [0.6] * 6, "D": [0.7] * 6}, Outcome.FEW_SEEDS, "B", "A"),
            ({"A": [0.1, 0.2, 0.3], "B": [0.5, np.nan, 0.6]}, Outcome.NOT_A_NUMBER, None, None),
        ],
    )
    def test_what_seeds_decide(self, values, outcome, best, nearest):
        found = by_steps(DATA, groups(**values))
        assert found.outcome is outcome
        assert best is None or (found.best, found.nearest) == (best, nearest)
        assert found.least_seeds == {2: 6, 3: 6, 4: 7}[len(values)]
        assert found.lost == (["B"] if outcome is Outcome.NOT_A_NUMBER else [])

    @pytest.mark.thorough
    def test_of_equal_flows_one_is_seldom_called_ahead(self):
        """1,000 results of eight seeds of three equal flows: at most in 5 %, with 4 standard errors of 0.7 %. It is
        what Bonferroni promises; without it there would be 9 %."""
        rng, ahead = np.random.default_rng(3), 0
        for _ in range(1_000):
            values = {label: np.exp(0.2 * rng.standard_normal(8)).tolist() for label in "ABC"}
            ahead += Ranking("KL", 8, values, 100).outcome is Outcome.AHEAD
        assert ahead / 1_000 < 0.05 + 4 * 0.007

    def test_after_as_many_steps_or_as_long_a_training(self):
        slow = [report([1.0, 0.5, 0.1], seconds=[0, 5, 10])] * 6
        quick = [*[report([1.0, 0.8], seconds=[0, 2])] * 5, report([1.0, 0.8], seconds=[0, 3])]
        steps, time = (ranking(DATA, {"A": slow, "B": quick}) for ranking in (by_steps, by_time))
        assert (steps.outcome, steps.best, steps.steps, steps.seconds) == (Outcome.AHEAD, "A", 100, None)
        assert [steps.fits[label].mean for label in "AB"] == pytest.approx([0.5, 0.8])
        assert (time.seconds, time.fits["A"]) == (2.0, near(0.8, 0.8, 0.8))
        assert time.fits["B"].mean == pytest.approx((5 * 0.8 + (1 - 0.4 / 3)) / 6)
