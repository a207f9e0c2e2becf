"""The table of one throw against NumPy's matrix powers and fractions by hand; coins and tallies against the core's
throws."""

import csv
import io
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy import stats

from app.estimates import sample as samples
from app.estimates.coins import parsed
from app.estimates.sample import THROWS_EACH, Sample, coverage, repetitions, thrown_settings
from app.estimates.settings import MOST_THROWS, Bench
from app.features.estimator import coins, table
from app.features.estimator.numbers import Reason, SampleMean, Tail
from app.features.estimator.words import cut, finiteness, nats
from app.text import unbroken
from app.words import number
from resflow_core.estimators.draws import draw_estimates, values
from resflow_core.estimators.moments import log_det_remainders, truncation_bias
from resflow_core.probes import PROBES
from resflow_core.roulette import Custom, Geometric, Poisson
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET

A = KNOWN_A.numpy()
THIRDS = np.array([[1 / 3, 1 / 6], [-1 / 6, 1 / 3]])
SIGNS = np.array([1.0, -1.0])
LAW = Geometric(0.5, 3)


def biases(matrix, terms):
    remainders = log_det_remainders(torch.as_tensor(matrix)[None], 200)
    return [float(truncation_bias(remainders, k)) for k in range(1, terms + 1)]


class TestRows:
    @pytest.mark.parametrize("law", [LAW, Geometric(0.3, 0), Poisson(2.0, 2), Custom((0.9, 0.6, 0.3))], ids=str)
    @pytest.mark.parametrize("matrix", [A, THIRDS, np.array([[0.4, -0.4], [0.4, -0.4]]), np.zeros((2, 2))])
    def test_every_number_is_numpys(self, matrix, law):
        v = np.array([0.31, -1.7])
        rows = table.rows(matrix, law, v, biases(matrix, 12))
        survival = law.survival(torch.arange(13)).numpy()
        partial = 0.0
        truth = np.linalg.slogdet(np.eye(2) + matrix)[1]
        norm = np.linalg.svd(matrix)[1][0]
        for k, row in enumerate(rows, 1):
            power = np.linalg.matrix_power(matrix, k)
            partial += -((-1) ** k) / k * np.trace(power)
            assert (row.k, row.a_k) == (k, Fraction(-((-1) ** k), k))
            assert float(row.trace) == pytest.approx(np.trace(power), abs=1e-15)
            assert float(row.form) == pytest.approx(v @ power @ v, abs=1e-14)
            assert float(row.survival) == pytest.approx(survival[k], rel=1e-14)
            assert float(row.term) == pytest.approx(-((-1) ** k) / k / survival[k] * (v @ power @ v), abs=1e-12)
            assert row.bias == pytest.approx(partial - truth, abs=1e-14)
            rest = -2 * (np.log1p(-norm) + sum(norm**j / j for j in range(1, k + 1))) if norm < 1 else np.inf
            assert row.bound == pytest.approx(rest, rel=1e-4, abs=1e-14)
            assert abs(row.bias) <= row.bound + 1e-15

    @pytest.mark.parametrize("probe", PROBES)
    def test_the_sum_so_far_at_n_is_the_estimate_of_that_throw(self, probe):
        thrown, off = draw_estimates(A, LAW, probe, 15, seed=4), biases(A, 20)
        for n, v, value in zip(thrown.n, thrown.probe, thrown.value, strict=True):
            rows = table.rows(A, LAW, v, off[: n + 3])
            assert float(rows[n - 1].total) == pytest.approx(value, abs=1e-13)
            assert rows[n - 1].total == sum(row.term for row in rows[:n])

    @pytest.mark.parametrize("matrix", [A, THIRDS, np.array([[0.1, 3.0], [0.0, 0.1]]), np.zeros((2, 2))])
    def test_the_series_alone_sums_traces(self, matrix):
        truth, partial = np.linalg.slogdet(np.eye(2) + matrix)[1], 0.0
        terms, rows = table.terms(matrix, biases(matrix, 30)), table.rows(matrix, LAW, SIGNS, biases(matrix, 30))
        assert len(terms) == 30
        for k, (term, row) in enumerate(zip(terms, rows, strict=True), 1):
            partial += -((-1) ** k) / k * np.trace(np.linalg.matrix_power(matrix, k))
            assert float(term.total) == pytest.approx(partial, abs=1e-14)
            assert float(term.total) - truth == pytest.approx(term.bias, abs=1e-14)
            for name in ("k", "a_k", "trace", "bias", "bound"):
                assert getattr(term, name) == getattr(row, name)

    def test_thirds_are_exact(self):
        # A = ((2, 1), (-1, 2)) / 6: A^2 = ((3, 4), (-4, 3)) / 36, A^3 = ((2, 11), (-11, 2)) / 216,
        # A^4 = ((-7, 24), (-24, -7)) / 1296, and v'A^k v = tr A^k for v = (1, -1).
        rows = table.rows(THIRDS, LAW, SIGNS, biases(THIRDS, 4))
        traces = [Fraction(4, 6), Fraction(6, 36), Fraction(4, 216), Fraction(-14, 1296)]
        assert [row.trace for row in rows] == traces
        assert [row.form for row in rows] == traces
        assert [row.survival for row in rows] == [1, 1, 1, Fraction(1, 2)]
        assert rows[3].term == Fraction(14, 1296) / 2
        assert rows[3].total == Fraction(2, 3) - Fraction(1, 12) + Fraction(1, 162) + Fraction(7, 1296)
        assert [table.exact(row.term) for row in rows] == [
            "2/3", "\N{MINUS SIGN}1/12", "1/162", "7/1296",
        ]  # fmt: skip


class TestText:
    def test_numbers(self):
        assert table.decimal(Fraction(-1, 3)) == "\N{MINUS SIGN}0.33333"
        assert table.exact(Fraction(-1, 3)) == "\N{MINUS SIGN}1/3"
        assert table.exact(Fraction(10**9, 10**9 + 1)) == "1"  # its fraction is too long to help
        assert table.decimal(-0.0) == "0"

    def test_the_table_marks_n_and_greys_what_lies_beyond(self):
        lines = table.markdown(table.rows(A, LAW, SIGNS, biases(A, 5)), 3, table.decimal).splitlines()
        assert len(lines) == 7
        assert all(line.count("|") == 10 for line in lines)
        total = A[0, 0] + A[1, 1] - 0.05  # v'Av = 0.45 - 0.3 + 0.25 + 0.2 = 0.6
        assert total == pytest.approx(0.6)
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
        assert cells[0] == ["1", "1", "0.65", "0.6", "1", "0.6", "0.6", "0.054", "0.5"]
        assert [cell.startswith("**") for row in cells for cell in row].count(True) == 1
        assert cells[2][6].startswith("**")
        assert all(cell.startswith(":gray[") for row in cells[3:] for cell in row)
        assert not any("gray" in cell for row in cells[:3] for cell in row)

    def test_the_table_of_the_series_marks_where_it_is_cut_and_greys_nothing(self):
        terms = table.terms(A, biases(A, 5))
        lines = table.markdown(terms, 3, table.decimal).splitlines()
        assert all(line.count("|") == 7 for line in lines)
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        assert cells[0] == [table.HEADINGS[name] for name in ("k", "a_k", "trace", "total", "bias", "bound")]
        assert cells[2] == ["1", "1", "0.65", "0.65", "0.054", "0.5"]
        assert [row[0] for row in cells if row[3].startswith("**")] == ["3"]
        assert "gray" not in " ".join(lines)
        assert table.csv(terms).splitlines()[0] == "k,a_k,trace,total,bias,bound"
        assert table.latex(terms, table.exact).startswith("\\begin{tabular}{rrrrrr}\n")

    def test_nothing_is_minus_zero_or_infinite(self):
        nilpotent = np.array([[0.4, -0.4], [0.4, -0.4]])
        text = table.markdown(table.rows(nilpotent, LAW, SIGNS, biases(nilpotent, 8)), 3, table.decimal)
        cells = {cell.strip(" :gray[]*") for cell in text.replace("\n", "|").split("|")}
        assert "0" in cells and "\N{MINUS SIGN}0" not in cells
        wide = np.array([[0.1, 3.0], [0.0, 0.1]])  # ||A|| > 1: the series converges, but nothing bounds its bias
        text = table.markdown(table.rows(wide, LAW, SIGNS, biases(wide, 8)), 3, table.decimal)
        assert "none" in text and "inf" not in text

    def test_csv_has_every_digit(self):
        rows = table.rows(A, LAW, np.array([0.3, -1.2]), biases(A, 8))
        read = list(csv.DictReader(io.StringIO(table.csv(rows))))
        assert len(read) == 8
        for row, numbers in zip(rows, read, strict=True):
            assert {name: float(text) for name, text in numbers.items()} == {
                name: float(getattr(row, name)) for name in table.HEADINGS
            }

    def test_latex_is_in_texs_own_characters(self):
        rows = table.rows(THIRDS, LAW, SIGNS, biases(THIRDS, 8))
        for shown in (table.exact, table.decimal):
            text = table.latex(rows, shown)
            assert text.isascii()
            assert text.startswith("\\begin{tabular}{rrrrrrrrr}\n") and text.endswith(" \\\\\n\\end{tabular}")
            body = text.split("\n")[2:-1]
            assert len(body) == 8
            assert all(line.count("&") == 8 and line.endswith(" \\\\") for line in body)
        assert "$-1/12$" in table.latex(rows, table.exact)
        assert "$-0.083333$" in table.latex(rows, table.decimal)
        assert " \\cdot 10^{-5}$" in text and "e-" not in text.replace("{tabular", "")


class TestWords:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (0.0015, "0.0015"),
            (-0.25, "\N{MINUS SIGN}0.25"),
            (-0.0, "0"),
            (1e-9, "1·10⁻⁹"),
            (-3.81e-5, "\N{MINUS SIGN}3.81·10⁻⁵"),
            (1.234e6, "1.23·10⁶"),
            (np.inf, "infinite"),
            (np.nan, "undecided"),
        ],
    )
    def test_numbers(self, value, text):
        assert number(value) == text

    def test_a_mean_has_the_decimals_of_its_error(self):
        assert nats(0.59612, 0.0031) == "0.596 ± 0.003 nats"
        assert nats(0.5960812, 0.000038) == "0.59608 ± 0.00004 nats"
        assert nats(-0.5, 0.1) == "\N{MINUS SIGN}0.50 ± 0.10 nats"

    def test_the_two_numbers_have_as_many_digits_as_tell_them_apart(self):
        assert finiteness(Tail(0.5, 0.5)) == unbroken("ρ² = 0.25 < q = 0.5")
        assert finiteness(Tail(0.9, 0.5)) == unbroken("ρ² = 0.81 > q = 0.5")
        assert finiteness(Tail(0.5**0.5 + 1e-6, 0.5)) == unbroken("ρ² = 0.500001 > q = 0.5")
        assert unbroken("ρ² = q = 0.5") in finiteness(Tail(0.5**0.5, 0.5))
        assert unbroken("ρ = 0.3") in finiteness(Tail(0.3, 0.0))

    def test_one_term_is_no_terms(self):
        assert (cut(1), cut(2)) == ("Cut after 1 term", "Cut after 2 terms")


class TestNumbers:
    def test_a_mean_of_a_sample_is_numpys(self):
        found = SampleMean.of(np.array([0.5, 0.6, 1.3]), 0.6)
        assert (found.size, found.mean, found.truth) == (3, pytest.approx(0.8), 0.6)
        assert found.deviation == pytest.approx(np.std([0.5, 0.6, 1.3], ddof=1))
        assert found.error == pytest.approx(stats.sem([0.5, 0.6, 1.3]))
        assert found.off == pytest.approx(0.2 / found.error) and not found.is_exact
        assert SampleMean(100, 0.7, 0.5, 0.6).off == pytest.approx(2)

    def test_without_noise_there_are_no_standard_errors_to_count(self):
        assert SampleMean(4, 0.25, 0.0, 0.6).is_exact
        assert SampleMean(4, 0.25, 2e-18, 0.25 + 1e-16).is_exact

    @pytest.mark.parametrize(
        ("radius", "ratio", "reason"),
        [
            (0.5, 0.5, Reason.BELOW),
            (0.9, 0.5, Reason.ABOVE),
            (0.5**0.5 + 1e-6, 0.5, Reason.ABOVE),
            (0.5**0.5, 0.5, Reason.LIMIT),
            (0.3, 0.0, Reason.SHORT_TAIL),
            (0.0, 0.0, Reason.NILPOTENT),
            (0.0, 0.5, Reason.NILPOTENT),
        ],
    )
    def test_why_a_variance_is_finite_or_not(self, radius, ratio, reason):
        assert Tail(radius, ratio).reason is reason


class TestCoins:
    def test_throws_are_read_however_they_are_separated(self):
        n, signs = parsed(" 3+ 4-,5+;\n12\N{MINUS SIGN} ", 3)
        assert n.tolist() == [3, 4, 5, 12]
        assert signs.tolist() == [1, -1, 1, -1]
        assert all(len(found) == 0 for found in parsed(" \n", 3))

    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("3+ 4", ("Draw 2", "`4`", "`4+`")),
            ("+3", ("Draw 1", "`+3`", "`4+`")),
            ("3+ 4- 2+", ("Draw 3", "`2+`", "3,")),
            ("100+", ("Draw 1", "`100+`", "`4+`")),
            ("3+ " * 2001, ("2,001", "2,000")),
            ("`" * 10 + "x" * 50, ("Draw 1", "`" + "x" * 19 + "…`", "`4+`")),
        ],
    )
    def test_an_entry_that_cannot_be_read_is_named(self, text, named):
        with pytest.raises(ValueError) as error:
            parsed(text, 3)
        assert all(token in str(error.value) for token in named)

    @pytest.mark.parametrize("n_exact", [0, 2, 3])
    def test_the_sheet_has_the_estimates(self, n_exact):
        bench = Bench(matrix=(1 / 3, 1 / 6, -1 / 4, 1 / 3), law=Geometric(0.5, n_exact), probe="rademacher")
        rows = coins._table(bench, coins.LONGEST)
        assert [n for n, _, _ in rows] == list(range(n_exact, n_exact + coins.LONGEST))
        text = coins.sheet(bench, rows)
        assert "A = [[1/3, 1/6], [-0.25, 1/3]]" in text
        assert f"N = {n_exact}." in text
        survival = bench.law.survival(torch.arange(30)).numpy()
        for n, *both in rows:
            for sign, found in zip((1, -1), both, strict=True):
                v = np.array([1, sign])
                powers = [v @ np.linalg.matrix_power(bench.array, k) @ v for k in range(1, n + 1)]
                expected = sum(-((-1) ** k) / k / survival[k] * power for k, power in enumerate(powers, 1))
                assert found == pytest.approx(expected, abs=1e-14)
                assert f"<td>{expected:+.6f}</td>" in text or abs(expected) < 1e-12
        assert text.count("<tr>") == 1 + coins.LONGEST + 1 + 16 + 2  # and one for the mean and its standard error

    def test_the_coins_estimates_are_unbiased(self):
        # N = n is thrown with probability 2^-(n - 3 + 1), both signs with 1/2; the coins beyond the sheet weigh 2^-8.
        bench = Bench(matrix=tuple(A.ravel()), law=LAW, probe="rademacher")
        n = np.arange(3, 40)
        both = [values(A, LAW, n, np.tile([1.0, sign], (len(n), 1))) for sign in (1, -1)]
        mean = (np.mean(both, 0) * 0.5 ** (n - 2)).sum()
        assert mean == pytest.approx(KNOWN_LOG_DET, abs=1e-8)
        assert coins._table(bench, 8) == list(zip(n[:8].tolist(), *(v[:8].tolist() for v in both), strict=True))


class TestSample:
    def bench(self, **changes):
        return Bench(**({"matrix": tuple(A.ravel().tolist()), "seed": 3} | changes))

    def test_chunks_are_the_same_throws(self, monkeypatch):
        monkeypatch.setattr(samples, "CHUNK", 70)
        found = Sample(self.bench())
        found.want(100)
        found.want(95)
        parts = 0
        while found.busy:
            found.go_on()
            parts += 1
        assert parts == 3
        np.testing.assert_array_equal(found.values, draw_estimates(A, LAW, "gaussian", 195, 3).value)

    def test_single_throws_and_the_last_ones_are_those_of_the_whole(self):
        found = Sample(self.bench())
        assert found.last(3) == []
        found.want(10)
        found.go_on()
        whole = draw_estimates(A, LAW, "gaussian", 20, 3)
        for index in (0, 9, 15):  # thrown or not
            one = found.one(index)
            assert (one.n[0], one.value[0]) == (whole.n[index], whole.value[index])
            np.testing.assert_array_equal(one.probe[0], whole.probe[index])
        last = found.last(3)
        assert [(number, n, value) for number, n, _, value in last] == [
            (i, int(whole.n[i - 1]), whole.value[i - 1]) for i in (10, 9, 8)
        ]
        assert len(found.last(100)) == 10

    def test_it_stops_where_it_is_told_to_and_at_the_most(self, monkeypatch):
        monkeypatch.setattr(samples, "MOST_THROWS", 250)
        monkeypatch.setattr(samples, "CHUNK", 100)
        found = Sample(self.bench())
        found.go_on()
        assert not found.busy and len(found.values) == 0
        found.want(1000)
        assert (found.goal, found.busy) == (250, True)
        found.go_on()
        found.stop()
        assert not found.busy and len(found.values) == 100
        for _ in range(9):
            found.want(1000)
            found.go_on()
        assert len(found.values) == found.goal == 250
        assert MOST_THROWS == 1_000_000

    def test_only_what_throws_depend_on_makes_another_sample(self):
        bench = self.bench()
        same = self.bench(view="settings", n_terms=9, n_probes=4, n_draws=2, batch=8, quantity="plain", map="bias")
        assert thrown_settings(bench) == thrown_settings(same)
        for change in ({"matrix": (0.1, 0.0, 0.0, 0.1)}, {"law": Poisson()}, {"probe": "sphere"}, {"seed": 4}):
            assert thrown_settings(self.bench(**change)) != thrown_settings(bench)


class TestCoverage:
    def test_error_bars_hold_what_they_promise_where_moments_are_finite(self):
        # 5 binomial standard errors; of Student's t and a skew law with 1,000 throws little is left.
        bench = Bench(matrix=tuple(A.ravel()), probe="rademacher", seed=1)
        shares, errors = coverage(bench, KNOWN_LOG_DET)
        assert len(shares) == len(THROWS_EACH)
        assert abs(shares[-1] - 0.95) <= 5 * (0.95 * 0.05 / repetitions(bench)[-1]) ** 0.5
        assert errors == [
            pytest.approx((s * (1 - s) / m) ** 0.5) for s, m in zip(shares, repetitions(bench), strict=True)
        ]

    @pytest.mark.thorough
    @pytest.mark.parametrize("probe", ["gaussian", "rademacher"])
    def test_other_draws_than_ours_cover_the_truth_as_often(self, probe):
        """Of NumPy alone: 40,000 series of 30 draws and 8,000 of 100, within 5 standard errors of the difference."""
        random, shares, errors = np.random.default_rng(17), *coverage(Bench(probe=probe), KNOWN_LOG_DET)
        powers = [np.linalg.matrix_power(A, k) for k in range(1, 40)]
        for at, size in ((0, 40_000), (1, 8_000)):
            n = THROWS_EACH[at]
            x, y = random.standard_normal((2, size * n))
            x, y = (np.sign(x), np.sign(y)) if probe == "rademacher" else (x, y)
            terms = np.sort(2 + random.geometric(0.5, size * n))[::-1]  # 3 terms are certain
            forms, draws = (x * x, x * y, y * y), np.zeros(size * n)
            for k, power in enumerate(powers, 1):
                reach = np.searchsorted(-terms, -k, side="right")  # the longest throws come first
                weight = -((-1) ** k) / k * 2.0 ** max(k - 3, 0)
                parts = zip((power[0, 0], power[0, 1] + power[1, 0], power[1, 1]), forms, strict=True)
                draws[:reach] += weight * sum(entry * form[:reach] for entry, form in parts)
            draws = random.permutation(draws).reshape(size, n)
            there = (np.abs(draws.mean(1) - KNOWN_LOG_DET) <= 1.96 * draws.std(1, ddof=1) / n**0.5).mean()
            assert shares[at] == pytest.approx(there, abs=5 * np.hypot(errors[at], (there * (1 - there) / size) ** 0.5))

    def test_they_are_the_same_whatever_the_seed(self):
        assert coverage(Bench(seed=17), KNOWN_LOG_DET) == coverage(Bench(), KNOWN_LOG_DET)

    def test_they_do_not_where_the_variance_is_infinite_and_the_tail_one_sided(self):
        # All terms of the eigenvalue -0.9 are negative: until a long throw comes, every mean is too large.
        truth = np.log(0.1) + np.log(1.2)
        shares, _ = coverage(Bench(matrix=(-0.9, 0.0, 0.0, 0.2), probe="rademacher"), truth)
        assert max(shares) < 0.8

    def test_they_count_repetitions_that_nobody_was_shown(self):
        bench = thrown_settings(Bench(matrix=tuple(A.ravel()), law=Geometric(0.4, 1), probe="sphere", seed=2))
        start, n, size = samples.FIRST_REPETITION, THROWS_EACH[0], repetitions(bench)[0]
        sample = draw_estimates(A, bench.law, "sphere", size * n, 0, start).value.reshape(size, n)
        held = np.abs(sample.mean(1) - KNOWN_LOG_DET) <= 1.96 * sample.std(1, ddof=1) / n**0.5
        assert coverage(bench, KNOWN_LOG_DET)[0][0] == held.mean()

    def test_without_noise_every_interval_is_right(self):
        assert coverage(Bench(matrix=(0.0, 0.0, 0.0, 0.0)), 0.0) == ([1.0] * 3, [0.0] * 3)
        turn = Bench(matrix=(0.4, -0.4, 0.4, -0.4), probe="rademacher")
        assert coverage(turn, 0.0)[0] == [1.0] * 3


@pytest.mark.parametrize("entry", [1e-300, 5e-324, 1.2345678901234567e-290])
def test_fractions_that_python_does_not_write_out_are_shown_as_decimals(entry):
    """Thirty powers of such an entry have more than 4,300 digits."""
    rows = table.rows(np.array([[entry, 0.3], [0.2, 0.1]]), Geometric(0.95, 3), np.array([1.25, -1.0]), [0.0] * 30)
    shown = table.markdown(rows, 3, table.exact).splitlines()
    assert len(shown) == 32
    assert all(table.exact(row.total) == table.decimal(row.total) for row in rows[-5:])
