"""Charts of hand-made arrays: their rows are read back from what the browser gets, and compared with NumPy."""

import json

import numpy as np
import pytest

from app.features.estimator import across_figures, draw_figures, small_charts
from app.features.estimator.bars import binned
from app.features.estimator.numbers import ErrorBars, Noise, Series, Tail
from app.features.estimator.sweeps import Cost

P = np.linspace(0.05, 0.95, 19)
INFINITE_FROM = 0.6
VALUES = np.random.default_rng(0).normal(0.6, 0.5, 5000)


def of_mark(chart, mark):
    """The rows of each layer that is drawn as `mark`; nothing in the chart is infinite or NaN."""
    spec = chart.to_dict()
    json.dumps(spec, allow_nan=False)
    layers = spec.get("layer", [spec])
    return [one.get("data", spec.get("data"))["values"] for one in layers if one["mark"]["type"] == mark]


def variances(scale=1.0):
    """Rising, infinite from 0.6 on, and undecided there."""
    values = scale / (INFINITE_FROM + 0.001 - P)
    values[INFINITE_FROM < P] = np.inf
    values[np.isclose(P, INFINITE_FROM)] = np.nan
    return values


def lines(values=None, **changes):
    usual = {"legend": "exact terms", "title": "nats²", "infinite_from": INFINITE_FROM, "here": 0.5, "description": "."}
    drawn = {"1": variances(2), "3": variances()} if values is None else {"3": values}
    return across_figures.lines(P, drawn, **(usual | changes))


class TestLines:
    def test_what_is_finite_is_drawn_and_nothing_else(self):
        chart = lines(
            whole=variances(3), level=("probe", 0.4), dots=[(0.1, 5.0, 0.5), (0.2, 1.0, 2.0)], best=(0.2, 3.0)
        )
        thick, line = of_mark(chart, "line")
        finite = np.isfinite(variances())
        assert [row["value"] for row in thick] == variances(3)[finite].tolist()
        for name, scale in (("1", 2), ("3", 1)):
            drawn = [(row["p"], row["value"]) for row in line if row["exact terms"] == name]
            assert drawn == list(zip(P[finite], variances(scale)[finite], strict=True))
        assert of_mark(chart, "rect") == [[{"from": INFINITE_FROM, "to": 1.0, "text": "infinite"}]]
        here, level, bars = of_mark(chart, "rule")
        assert (here, level) == ([{"p": 0.5}], [{"value": 0.4, "name": "probe"}])
        assert [(row["low"], row["high"]) for row in bars] == [(4.5, 5.5), (0.1, 3.0)]  # a log scale can show them
        assert of_mark(chart, "point") == [[{"p": 0.2, "value": 3.0}], bars]

    def test_rounding_far_below_the_rest_is_not_drawn(self):
        (rows,) = of_mark(lines(np.where(P < 0.3, 1.0, 1e-20), here=None, infinite_from=1.0), "line")
        assert [row["p"] for row in rows] == P[P < 0.3].tolist()

    def test_shares_and_errors_of_batches_are_drawn_as_they_are(self):
        shares, sizes = np.linspace(0, 1, len(P)), np.array([1, 4, 16])
        (rows,) = of_mark(across_figures.share(P, shares, 0.5, "."), "area")
        assert [(row["p"], row["share"]) for row in rows] == list(zip(P, shares, strict=True))
        values = {"roulette": np.full(3, np.inf), "5 terms": 0.6 / np.sqrt(sizes)}
        chart = across_figures.batches(sizes, values, 16, "RMSE", ".")
        (rows,) = of_mark(chart, "line")
        assert rows == [{"B": 4**k, "value": 0.6 / 2**k, "estimator": "5 terms"} for k in range(3)]
        assert of_mark(chart, "rule") == [[{"B": 16}]]


class TestDraws:
    def test_means_and_errors_are_numpys(self):
        ((first, *rows),) = of_mark(draw_figures.running_mean(VALUES, 0.6, "."), "line")
        assert first["n"] == 1 and first["low"] is first["high"] is None  # one throw has no error
        assert rows[-1]["n"] == 5000
        for row in rows:
            some = VALUES[: row["n"]]
            error = 2 * some.std(ddof=1) / len(some) ** 0.5  # a band of two
            assert (row["low"], row["high"]) == pytest.approx((some.mean() - error, some.mean() + error), abs=1e-9)

    @pytest.mark.parametrize("values", [VALUES, [0.243, 1.09, 1.01], [0.6, 0.6 + 1e-9], [1e6, 0.3, 0.4], [0.6] * 9])
    def test_every_draw_is_in_a_bar(self, values):
        values = np.array(values)
        bars = binned(values, 0.6, 0.5, 60)
        low, high = bars.edges[0], bars.edges[-1]
        assert (low < 0.1 and high > 1.1) is (np.ptp(values) > 1e-6)  # one deviation to each side, beside spread draws
        counted, _ = np.histogram(np.clip(values, low, high), bars.edges)
        np.testing.assert_array_equal(bars.counts, counted)
        assert bars.counts.sum() == len(values) and bars.shares.sum() == pytest.approx(1)
        assert bars.beyond == np.sum((values < low) | (values > high))
        band, drawn = of_mark(draw_figures.histogram(bars, 0.6, 0.5, "."), "rect")
        assert band == [{"low": pytest.approx(0.1), "high": pytest.approx(1.1)}]
        assert [row["share"] for row in drawn] == bars.shares.tolist()
        small = small_charts.spread(values, 0.6, 0.5, ".").areas[-1].high
        assert small[::2, 1].sum() == pytest.approx(100, abs=1e-9)

    @pytest.mark.parametrize(("share", "start"), [(0.83, 0.8), (0.81, 0.5), (0.51, 0.0), (0.01, 0.0)])
    def test_error_bars_are_within_an_axis_that_begins_below_the_lowest(self, share, start):
        chart = draw_figures.coverage([30, 1000], [share, 0.995], [0.02, 0.01], ".")
        promised, bars = of_mark(chart, "rule")
        assert [row["y"] for row in promised] == [0.95]
        assert [(row["low"], row["high"]) for row in bars] == [
            (pytest.approx(max(share - 0.02, 0)), pytest.approx(share + 0.02)), (pytest.approx(0.985), 1.0)
        ]  # fmt: skip
        scales = [one["encoding"]["y"]["scale"] for one in chart.to_dict()["layer"] if one["mark"]["type"] == "rule"]
        assert scales[1]["domain"] == [start, 1.0]

    def test_shares_of_n_are_drawn_beside_the_law(self):
        chart = draw_figures.terms(np.array([0, 0, 0.7, 0.3]), np.array([0, 0.5, 0.25, 0.125]), ".")
        assert [(row["N"], row["share"]) for row in of_mark(chart, "bar")[0]] == [(1, 0.0), (2, 0.7), (3, 0.3)]
        assert [row["chance"] for row in of_mark(chart, "tick")[0]] == [0.5, 0.25, 0.125]


def test_the_small_pictures_have_the_distance_the_coverage_and_the_mean_of_exp():
    cut, noise = Series(5, 0.6, -0.01, 0.5, 2), Noise(Cost(0.2, 0.05, 4.0), Tail(0.4, 0.5))
    bias, error, mean = (path.points for path in small_charts.distance(VALUES, cut, noise, ".").paths)
    assert bias[:, 1] == pytest.approx([0.01] * 2) and error[:, 1] == pytest.approx([0.5, 0.005])
    assert mean[-1] == pytest.approx([5000, abs(VALUES.mean() - 0.6)])
    found = ErrorBars((0.9, 0.94), (0.01, 0.02), (1, 1), False, True)
    promised, shares, bars = (path.points for path in small_charts.coverage([30, 100], found, ".").paths)
    assert promised[:, 1].tolist() == [95, 95] and shares.tolist() == [[30, 90], [100, 94]]
    assert bars[:2].tolist() == [[30, 89], [30, 91]]
    one, factor, mean = (path.points for path in small_charts.exponential(VALUES, 0.6, 0.125, ".").paths)
    assert one[:, 1].tolist() == [1, 1] and factor[:, 1] == pytest.approx([np.exp(0.125)] * 2)
    assert mean[-1, 1] == pytest.approx(np.exp(VALUES - 0.6).mean())
