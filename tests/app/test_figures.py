"""Charts of hand-made arrays: their rows and titles are read back from the JSON that the browser gets, and compared
with NumPy."""

import json
import math

import numpy as np
import pytest

from app.features.estimator import across_figures, draw_figures, small_charts
from app.features.estimator.bars import binned

P = np.linspace(0.05, 0.95, 19)
INFINITE_FROM = 0.6
TAKEAWAY = "The variance is 0.4: finite up to p = 0.6."


def parts(chart):
    """The layers of a chart, the rows of each beside it; nothing in it is infinite or NaN."""
    spec = chart.to_dict()
    json.dumps(spec, allow_nan=False)
    layers = spec.get("layer", [spec])
    return spec, [(layer, layer.get("data", spec.get("data"))["values"]) for layer in layers]


def of_mark(chart, mark):
    """(layer, rows) of the layers that are drawn as `mark`."""
    return [(layer, rows) for layer, rows in parts(chart)[1] if layer["mark"]["type"] == mark]


def titles(chart):
    return {
        axis["title"]
        for layer, _ in parts(chart)[1]
        for axis in layer.get("encoding", {}).values()
        if isinstance(axis, dict) and axis.get("title")  # a tooltip is a list
    }


def finite_numbers(chart):
    numbers = [v for _, rows in parts(chart)[1] for row in rows for v in row.values() if isinstance(v, int | float)]
    assert numbers and all(map(math.isfinite, numbers))


def variances(scale=1.0):
    """Rising, infinite from 0.6 on, and undecided there."""
    values = scale / (INFINITE_FROM + 0.001 - P)
    values[INFINITE_FROM < P] = np.inf
    values[np.isclose(P, INFINITE_FROM)] = np.nan
    return values


def lines(**changes):
    settings = dict(
        legend="exact terms",
        title="variance (nats²)",
        infinite_from=INFINITE_FROM,
        here=0.5,
        description=TAKEAWAY,
    )
    return across_figures.lines(P, {"1": variances(2), "3": variances()}, **(settings | changes))


class TestLines:
    def test_what_is_finite_is_drawn_and_nothing_else(self):
        chart = lines(whole=variances(3), level=("probe", 0.4), dots=[(0.1, 5.0, 0.1)], best=(0.2, 3.0))
        finite_numbers(chart)
        thick, line = of_mark(chart, "line")
        finite = np.isfinite(variances())
        assert [row["value"] for row in thick[1]] == variances(3)[finite].tolist()
        for name, scale in (("1", 2), ("3", 1)):
            rows = [row for row in line[1] if row["exact terms"] == name]
            assert [row["p"] for row in rows] == P[finite].tolist()
            assert [row["value"] for row in rows] == variances(scale)[finite].tolist()

    def test_the_infinite_region_is_marked(self):
        ((_, rows),) = of_mark(lines(), "rect")
        assert rows == [{"from": INFINITE_FROM, "to": 1.0, "text": "infinite"}]
        assert of_mark(lines(infinite_from=1.0), "rect") == []
        ((_, rows),) = of_mark(lines(infinite_from=-0.2), "rect")
        assert rows[0]["from"] == 0

    def test_axes_have_the_titles_that_are_given_and_the_description_its_takeaway(self):
        assert {across_figures.P_AXIS[0], "nats²"} <= titles(lines(title="nats²"))
        assert {"λ", "nats²"} <= titles(lines(title="nats²", axis=("λ", 10.0)))
        assert parts(lines())[0]["description"] == TAKEAWAY

    def test_the_setting_and_the_level_are_where_they_are_said_to_be(self):
        chart = lines(level=("probe", 0.4))
        rules = [rows for _, rows in of_mark(chart, "rule")]
        assert rules == [[{"p": 0.5}], [{"value": 0.4, "name": "probe"}]]
        assert [rows for _, rows in of_mark(lines(here=None), "rule")] == []
        for level in (np.inf, np.nan, 0.0):
            assert len(of_mark(lines(level=("probe", level)), "rule")) == 1

    def test_dots_have_error_bars_that_a_log_scale_can_show(self):
        chart = lines(here=None, dots=[(0.1, 5.0, 0.5), (0.2, 1.0, 2.0), (0.3, 0.0, 0.1)], best=(0.4, 2.5))
        ((_, bars),) = of_mark(chart, "rule")
        assert bars == [
            {"p": 0.1, "value": 5.0, "low": 4.5, "high": 5.5},
            {"p": 0.2, "value": 1.0, "low": 0.1, "high": 3.0},
        ]
        diamond, points = of_mark(chart, "point")
        assert diamond[1] == [{"p": 0.4, "value": 2.5}]
        assert points[1] == bars

    def test_rounding_far_below_the_rest_is_not_drawn(self):
        values = np.where(P < 0.3, 1.0, 1e-20)
        ((_, rows),) = of_mark(across_figures.lines(P, {"3": values}, legend="exact terms", title="variance",
                                            infinite_from=1.0, here=None, description=TAKEAWAY), "line")  # fmt: skip
        assert [row["p"] for row in rows] == P[P < 0.3].tolist()

    @pytest.mark.parametrize("value", [0.0, np.inf, np.nan, 1e-300, 1e300])
    def test_nothing_breaks_it(self, value):
        values = np.full(len(P), value)
        chart = across_figures.lines(P, {"3": values}, legend="exact terms", title="variance", infinite_from=0.6,
                             here=0.5, whole=values, level=("probe", value), description=TAKEAWAY)  # fmt: skip
        finite_numbers(chart)
        drawn = [row for _, rows in of_mark(chart, "line") for row in rows]
        assert len(drawn) == (2 * len(P) if 0 < value < np.inf else 0)

    def test_ticks_are_powers_of_ten_around_the_values(self):
        for smallest, largest in ((1e-6, 1e3), (0.2, 0.9), (3.0, 3.0)):
            ticks = across_figures._decades(np.array([smallest, largest])).to_dict()["values"]
            assert ticks[0] <= smallest and len(ticks) <= 20
            assert all(math.isclose(t, float(f"{t:.0e}")) for t in ticks)

    def test_six_lines_can_be_told_apart(self):
        names = [str(n) for n in (1, 2, 3, 5, 8, 13)]
        chart = across_figures.lines(P, dict.fromkeys(names, variances()), legend="exact terms", title="variance",
                             infinite_from=0.6, here=None, description=TAKEAWAY)  # fmt: skip
        ((layer, _),) = of_mark(chart, "line")
        for channel in ("color", "strokeDash"):
            scale = layer["encoding"][channel]["scale"]
            assert scale["domain"] == names
            assert len({json.dumps(mark) for mark in scale["range"]}) == 6


class TestShare:
    def test_rows_are_the_shares(self):
        shares = np.linspace(0, 1, len(P))
        chart = across_figures.share(P, shares, 0.5, TAKEAWAY)
        finite_numbers(chart)
        ((_, rows),) = of_mark(chart, "area")
        assert rows == [{"p": p, "share": s} for p, s in zip(P.tolist(), shares.tolist(), strict=True)]
        assert [rows for _, rows in of_mark(chart, "rule")] == [[{"p": 0.5}]]
        assert of_mark(across_figures.share(P, shares, None, TAKEAWAY), "rule") == []
        ((layer, _),) = of_mark(chart, "area")
        assert layer["encoding"]["x"]["scale"]["domain"] == layer["encoding"]["y"]["scale"]["domain"] == [0, 1]
        assert parts(chart)[0]["description"] == TAKEAWAY


class TestBatches:
    SIZES = np.array([1, 4, 16, 64])

    def test_what_is_finite_is_drawn_and_nothing_else(self):
        own = 0.6 / np.sqrt(self.SIZES)
        chart = across_figures.batches(
            self.SIZES, {"roulette": np.full(4, np.inf), "5 terms": own}, 16, "RMSE (nats)", TAKEAWAY
        )
        finite_numbers(chart)
        ((_, rows),) = of_mark(chart, "line")
        assert rows == [
            {"B": int(b), "value": v, "estimator": "5 terms"} for b, v in zip(self.SIZES, own.tolist(), strict=True)
        ]
        assert [rows for _, rows in of_mark(chart, "rule")] == [[{"B": 16}]]
        assert "RMSE (nats)" in titles(chart)
        assert parts(chart)[0]["description"] == TAKEAWAY

    @pytest.mark.parametrize("value", [0.0, np.inf, np.nan])
    def test_nothing_breaks_it(self, value):
        chart = across_figures.batches(self.SIZES, {"roulette": np.full(4, value)}, 16, "RMSE", TAKEAWAY)
        finite_numbers(chart)
        assert of_mark(chart, "line")[0][1] == []


class TestRunningMean:
    VALUES = np.random.default_rng(0).normal(0.6, 0.5, 5000)

    def test_means_and_errors_are_numpys(self):
        chart = draw_figures.running_mean(self.VALUES, 0.6, TAKEAWAY)
        ((_, rows),) = of_mark(chart, "line")
        assert rows[0]["n"] == 1 and rows[-1]["n"] == 5000
        for row in rows:
            first = self.VALUES[: row["n"]]
            assert row["mean"] == pytest.approx(first.mean(), abs=1e-12)
            if row["n"] == 1:
                assert row["low"] is row["high"] is None  # one throw has no error
            else:
                error = 2 * first.std(ddof=1) / len(first) ** 0.5  # a band of two
                assert row["low"] == pytest.approx(first.mean() - error, abs=1e-9)
                assert row["high"] == pytest.approx(first.mean() + error, abs=1e-9)
        assert of_mark(chart, "rule")[0][1] == [{"truth": 0.6}]
        assert parts(chart)[0]["description"] == TAKEAWAY

    @pytest.mark.parametrize("size", [2, 3, 10, 100, 5000])
    def test_the_band_is_seen_to_shrink(self, size):
        chart = draw_figures.running_mean(self.VALUES[:size], 0.6, TAKEAWAY)
        ((layer, rows),) = of_mark(chart, "line")
        low, high = layer["encoding"]["y"]["scale"]["domain"]
        assert (low + high) / 2 == pytest.approx(0.6)
        right = [row for row in rows if row["n"] >= max(2, size**0.5)]
        assert all(low < row["low"] and row["high"] < high for row in right)  # no end of it is cut off
        first = right[0]["high"] - right[0]["low"]
        if size >= 100:  # and what shrinks is much of what is seen, however far the first means strayed
            assert first > 0.2 * (high - low)

    def test_few_rows_stand_for_many_throws(self):
        chart = draw_figures.running_mean(np.tile(self.VALUES, 40), 0.6, TAKEAWAY)
        assert len(of_mark(chart, "line")[0][1]) <= draw_figures.POINTS

    @pytest.mark.parametrize("values", [[0.0, 0.0], [1.0, 1.0 + 1e-16, 1.0], [1e15, -1e15]])
    def test_nothing_breaks_it(self, values):
        parts(draw_figures.running_mean(np.array(values), 0.0, TAKEAWAY))


BINS = 60


def histogram(values, truth, deviation, description):
    return draw_figures.histogram(binned(values, truth, deviation, BINS), truth, deviation, description)


class TestHistogram:
    VALUES = np.random.default_rng(1).normal(0.6, 0.5, 5000)

    def test_shares_are_numpys(self):
        chart = histogram(self.VALUES, 0.6, 0.5, TAKEAWAY)
        finite_numbers(chart)
        band, bars = of_mark(chart, "rect")
        assert band[1] == [{"low": pytest.approx(0.1), "high": pytest.approx(1.1)}]
        assert len(bars[1]) == BINS
        for row in bars[1][1:-1]:
            inside = np.mean([row["from"] <= value < row["to"] for value in self.VALUES])
            assert row["share"] == pytest.approx(inside, abs=2e-4)
        first, last = bars[1][0], bars[1][-1]
        assert first["share"] == pytest.approx(np.mean([value < first["to"] for value in self.VALUES]), abs=2e-4)
        assert last["share"] == pytest.approx(np.mean([value >= last["from"] for value in self.VALUES]), abs=2e-4)
        assert parts(chart)[0]["description"] == TAKEAWAY

    @pytest.mark.parametrize(
        "values",
        [[0.243, 1.09, 1.01], [0.243, 1.09, 1.01, 1.32], [0.6, 0.6 + 1e-9], [-3.0, 0.1], [1e6, 0.3, 0.4], VALUES]
        + [np.random.default_rng(seed).exponential(0.6, 10 ** (1 + seed % 4)) for seed in range(8)],
        ids=len,
    )
    def test_every_draw_is_in_a_bar(self, values):
        values = np.array(values)
        _, bars = of_mark(histogram(values, 0.6, 0.5, TAKEAWAY), "rect")
        assert sum(row["share"] for row in bars[1]) == pytest.approx(1, abs=1e-12)
        counts = np.array([row["share"] for row in bars[1]]) * len(values)
        np.testing.assert_allclose(counts, counts.round(), atol=1e-9)
        drawn = small_charts.spread(values, 0.6, 0.5, TAKEAWAY).areas[-1].high
        assert drawn[::2, 1].sum() == pytest.approx(100, abs=1e-9)

    @pytest.mark.parametrize("values", [[0.243, 1.09, 1.01], [0.243, 1.09, 1.01, 1.32, -0.2]])
    def test_few_draws_stand_where_they_are(self, values):
        _, bars = of_mark(histogram(np.array(values), 0.6, 0.5, TAKEAWAY), "rect")
        for value in values:
            assert any(row["share"] for row in bars[1] if row["from"] - 1e-9 <= value <= row["to"] + 1e-9)

    def test_the_truth_and_one_deviation_to_each_side_are_within_the_bars(self):
        band, bars = of_mark(histogram(np.array([0.7, 0.8]), 0.6, 0.5, TAKEAWAY), "rect")
        width = bars[1][-1]["to"] - bars[1][0]["from"]
        assert bars[1][0]["from"] <= band[1][0]["low"] < 0.6 < band[1][0]["high"] <= bars[1][-1]["to"]
        assert band[1][0]["high"] - band[1][0]["low"] < 0.9 * width  # it is seen to end

    @pytest.mark.parametrize("deviation", [np.inf, np.nan])
    def test_a_deviation_that_is_not_finite_is_not_drawn(self, deviation):
        chart = histogram(self.VALUES, 0.6, deviation, TAKEAWAY)
        finite_numbers(chart)
        assert len(of_mark(chart, "rect")) == 1

    def test_a_throw_far_out_does_not_hide_the_others_and_counts_in_the_last_bar(self):
        values = np.append(self.VALUES, 1e6)
        _, bars = of_mark(histogram(values, 0.6, 0.5, TAKEAWAY), "rect")
        last = bars[1][-1]
        assert last["to"] < 5 and last["share"] == pytest.approx((values >= last["from"]).mean(), abs=2e-4)
        assert binned(values, 0.6, 0.5, BINS).beyond == np.sum((values < bars[1][0]["from"]) | (values > last["to"]))

    @pytest.mark.parametrize("truth", [0.0, 0.6, -9.0, 9.0])
    def test_without_noise_there_is_one_bar(self, truth):
        chart = histogram(np.full(100, truth), truth, 0.0, TAKEAWAY)
        finite_numbers(chart)
        _, bars = of_mark(chart, "rect")
        assert [row["share"] for row in bars[1] if row["share"]] == [1.0]


class TestCoverage:
    def test_points_and_bars(self):
        chart = draw_figures.coverage([30, 1000], [0.91, 0.995], [0.014, 0.01], TAKEAWAY)
        finite_numbers(chart)
        ((_, points),) = of_mark(chart, "point")
        assert [(row["n"], row["share"]) for row in points] == [("30", 0.91), ("1,000", 0.995)]
        promised, bars = of_mark(chart, "rule")
        assert [row["y"] for row in promised[1]] == [0.95]
        assert [(row["low"], row["high"]) for row in bars[1]] == [
            (pytest.approx(0.896), pytest.approx(0.924)),
            (pytest.approx(0.985), 1.0),
        ]
        assert bars[0]["encoding"]["y"]["scale"]["domain"] == [0.8, 1.0]
        assert parts(chart)[0]["description"] == TAKEAWAY

    @pytest.mark.parametrize(("share", "start"), [(0.83, 0.8), (0.81, 0.5), (0.53, 0.5), (0.51, 0.0)])
    def test_the_axis_begins_below_the_lowest_end_of_a_bar(self, share, start):
        _, (bars, rows) = of_mark(draw_figures.coverage([30, 100], [share, 0.95], [0.02, 0.01], TAKEAWAY), "rule")
        assert bars["encoding"]["y"]["scale"]["domain"] == [start, 1.0] and rows[0]["low"] >= start

    def test_low_shares_stay_in_the_picture(self):
        chart = draw_figures.coverage([30, 100], [0.01, 0.2], [0.02, 0.05], TAKEAWAY)
        _, (bars, rows) = of_mark(chart, "rule")
        assert bars["encoding"]["y"]["scale"]["domain"] == [0, 1]
        assert rows[0]["low"] == 0
