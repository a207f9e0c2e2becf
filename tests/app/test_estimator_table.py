"""The table of one throw against NumPy's matrix powers and fractions by hand; coins, samples and error bars against the
core's throws; what is found of them, on both sides of every rule."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy import stats

from app.estimates import sample as samples
from app.estimates.coins import parsed
from app.estimates.false_alarm import false_alarm
from app.estimates.power import draws_needed, power
from app.estimates.sample import (
    FIRST_REPETITION,
    LEAST_EXPECTED,
    THROWS_EACH,
    Sample,
    coverage,
    furthest,
    repetitions,
    thrown_settings,
)
from app.estimates.settings import SUSPECTS, Bench
from app.features.estimator import numbers, table
from app.features.estimator.numbers import ErrorBars, Reason, SampleMean, Tail
from app.features.estimator.words import nats
from app.words import number
from resflow_core.estimators.draws import values
from resflow_core.estimators.faulty_estimators import BATCH, FAULTY_ESTIMATORS
from resflow_core.estimators.faulty_estimators import draw_estimates as faulty_draws
from resflow_core.estimators.moments import log_det_remainders, truncation_bias
from resflow_core.roulette import Custom, Geometric, Poisson
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET

A = KNOWN_A.numpy()
THIRDS = np.array([[1 / 3, 1 / 6], [-1 / 6, 1 / 3]])
NILPOTENT, WIDE = np.array([[0.4, -0.4], [0.4, -0.4]]), np.array([[0.1, 3.0], [0.0, 0.1]])
SIGNS = np.array([1.0, -1.0])
LAW = Geometric(0.5, 3)
LABEL = {suspect.bug: label for label, suspect in SUSPECTS.items()}


def biases(matrix, terms):
    remainders = log_det_remainders(torch.as_tensor(matrix)[None], 200)
    return [float(truncation_bias(remainders, k)) for k in range(1, terms + 1)]


def bench(**changes):
    return Bench(**({"matrix": tuple(A.ravel().tolist()), "seed": 3} | changes))


class TestRows:
    @pytest.mark.parametrize(
        ("matrix", "law", "exact_traces"),
        [
            (A, LAW, 0),
            (THIRDS, Geometric(0.3, 0), 1),
            (NILPOTENT, Poisson(2.0, 2), 0),
            (WIDE, Custom((0.9, 0.6, 0.3)), 1),
        ],
    )
    def test_every_number_is_numpys(self, matrix, law, exact_traces):
        v = np.array([0.31, -1.7])
        off = biases(matrix, 12)
        survival = law.survival(torch.arange(13)).numpy()
        partial = total = 0.0
        truth = np.linalg.slogdet(np.eye(2) + matrix)[1]
        norm = np.linalg.svd(matrix)[1][0]
        pairs = zip(table.rows(matrix, law, v, off, exact_traces), table.terms(matrix, off), strict=True)
        for k, (row, term) in enumerate(pairs, 1):
            power = np.linalg.matrix_power(matrix, k)
            a_k, form, reached = -((-1) ** k) / k, v @ power @ v, survival[k]
            if k <= exact_traces:
                form, reached = np.trace(power), 1.0
            partial, total = partial + a_k * np.trace(power), total + a_k / reached * form
            assert (row.k, row.a_k) == (k, Fraction(-((-1) ** k), k))
            assert float(row.trace) == pytest.approx(np.trace(power), abs=1e-15)
            assert float(row.form) == pytest.approx(form, abs=1e-14)
            assert float(row.survival) == pytest.approx(reached, rel=1e-14)
            assert float(row.term) == pytest.approx(a_k / reached * form, abs=1e-12)
            assert float(row.total) == pytest.approx(total, abs=1e-10)
            assert float(term.total) == pytest.approx(partial, abs=1e-14)
            assert row.bias == pytest.approx(partial - truth, abs=1e-14)
            rest = -2 * (np.log1p(-norm) + sum(norm**j / j for j in range(1, k + 1))) if norm < 1 else np.inf
            assert row.bound == pytest.approx(rest, rel=1e-4, abs=1e-14)
            for name in ("k", "a_k", "trace", "bias", "bound"):
                assert getattr(term, name) == getattr(row, name)

    def test_the_table_marks_n_and_greys_what_lies_beyond(self):
        lines = table.markdown(table.rows(A, LAW, SIGNS, biases(A, 5)), 3, table.decimal).splitlines()
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
        assert cells[0] == ["1", "1", "0.65", "0.6", "1", "0.6", "0.6", "0.054", "0.5"]
        assert [(i, j) for i, row in enumerate(cells) for j, cell in enumerate(row) if "**" in cell] == [(2, 6)]
        assert [all(cell.startswith(":gray[") for cell in row) for row in cells] == [False] * 3 + [True] * 2
        text = table.markdown(table.rows(WIDE, LAW, SIGNS, biases(WIDE, 8)), 3, table.decimal)
        assert "none" in text and "inf" not in text  # ||A|| > 1: nothing bounds its bias


class TestWords:
    @pytest.mark.parametrize(
        ("value", "text"),
        [(-0.25, "−0.25"), (-0.0, "0"), (-3.81e-5, "−3.81·10⁻⁵"), (1.234e6, "1.23·10⁶"), (np.nan, "undecided")],
    )
    def test_numbers(self, value, text):
        assert number(value) == text

    def test_a_mean_has_the_decimals_of_its_error(self):
        assert nats(0.59612, 0.0031) == "0.596 ± 0.003 nats"
        assert nats(0.5960812, 0.000038) == "0.59608 ± 0.00004 nats"


class TestFound:
    def test_a_mean_of_a_sample_is_numpys(self):
        found = SampleMean.of(np.array([0.5, 0.6, 1.3]), 0.6)
        assert (found.size, found.mean, found.truth) == (3, pytest.approx(0.8), 0.6)
        assert found.deviation == pytest.approx(np.std([0.5, 0.6, 1.3], ddof=1))
        assert found.error == pytest.approx(stats.sem([0.5, 0.6, 1.3]))
        assert found.off == pytest.approx(0.2 / found.error) and not found.is_exact
        assert SampleMean(4, 0.25, 2e-18, 0.25 + 1e-16).is_exact

    @pytest.mark.parametrize(
        ("radius", "ratio", "reason"),
        [
            (0.5, 0.5, Reason.BELOW),
            (0.5**0.5 + 1e-6, 0.5, Reason.ABOVE),
            (0.5**0.5, 0.5, Reason.LIMIT),
            (0.3, 0.0, Reason.SHORT_TAIL),
            (0.0, 0.0, Reason.NILPOTENT),
        ],
    )
    def test_why_a_variance_is_finite_or_not(self, radius, ratio, reason):
        found = Tail(radius, ratio)
        assert found.reason is reason
        assert (found.infinite_from, found.unsettled_from) == pytest.approx((1 - radius**2, 1 - radius ** (4 / 3)))

    def test_a_density_may_be_larger_than_any_float(self):
        # E exp(estimate) is about e^1980 / 2 at N = 1.
        of = bench(matrix=(0.0, 99.0, 0.0, 0.0), law=Geometric(0.95, 0), probe="rademacher")
        assert 1900 <= numbers.density(of, 0.0).log_factor < 2000

    def test_error_bars_are_too_short_by_three_standard_errors(self):
        for share, short in ((0.929, True), (0.931, False)):
            found = ErrorBars((0.5, 0.5, share), (0.0, 0.0, 0.0066), (1, 1, 1), False, True)
            assert found.are_too_short is short

    def test_draws_that_are_needed_notice_with_the_power_that_is_told(self):
        """Against the tails of SciPy's normal law."""
        n = draws_needed(-0.04, 0.2, errors=3.0)
        assert n == int(np.ceil(((3 + stats.norm.ppf(0.95)) * 0.2 / 0.04) ** 2))
        shift = 0.04 * n**0.5 / 0.2
        expected = stats.norm.sf(3 - shift) + stats.norm.cdf(-3 - shift)
        assert power(-0.04, 0.2, n, 3.0) == pytest.approx(expected) and 0.95 <= expected < 0.955
        assert draws_needed(0.1, 0.2, limit=0.05) == int(np.ceil((stats.norm.ppf(0.95) * 0.2 / 0.05) ** 2))
        assert draws_needed(9.0, 0.2) == 2
        with pytest.raises(ValueError, match="No number"):
            draws_needed(0.05, 0.2, limit=0.05)


class TestCoins:
    def test_throws_are_read_however_they_are_separated(self):
        n, signs = parsed(" 3+ 4-,5+;\n12\N{MINUS SIGN} ", 3)
        assert (n.tolist(), signs.tolist()) == ([3, 4, 5, 12], [1, -1, 1, -1])
        assert all(len(found) == 0 for found in parsed(" \n", 3))

    @pytest.mark.parametrize(
        ("text", "named"), [("3+ 4", "Draw 2, `4`"), ("3+ 4- 2+", "Draw 3, `2[+]`"), ("3+ " * 2001, "2,001")]
    )
    def test_an_entry_that_cannot_be_read_is_named(self, text, named):
        with pytest.raises(ValueError, match=named):
            parsed(text, 3)


class TestSample:
    @pytest.mark.parametrize("bug", FAULTY_ESTIMATORS)
    def test_it_is_of_the_suspect_whatever_the_chunks(self, bug, monkeypatch):
        monkeypatch.setattr(samples, "CHUNK", 70)
        found = Sample(bench(suspect=LABEL[bug], probe="rademacher"))
        assert found.last(3) == []
        found.want(100)
        found.want(50)
        parts = 0
        while found.busy:
            found.go_on()
            parts += 1
        whole = faulty_draws(bug, A, LAW, "rademacher", 160, 3)
        assert parts == 3
        np.testing.assert_array_equal(found.values, whole.value[:150])
        np.testing.assert_array_equal(found.counts, np.bincount(whole.n[:150]))
        for index in (0, 100, 155):  # thrown or not
            assert found.one(index).value == whole.value[index]
        assert [(number, n, value) for number, n, _, value in found.last(2)] == [
            (i + 1, int(whole.n[i]), whole.value[i]) for i in (149, 148)
        ]
        found.clear()
        assert (found.goal, len(found.values), len(found.counts)) == (0, 0, 0)

    def test_it_stops_where_it_is_told_to_and_at_the_most(self, monkeypatch):
        monkeypatch.setattr(samples, "MOST_THROWS", 250)
        monkeypatch.setattr(samples, "CHUNK", 100)
        found = Sample(bench())
        found.want(1000)
        assert (found.goal, found.busy) == (250, True)
        found.go_on()
        found.stop()
        assert not found.busy and len(found.values) == 100

    def test_only_what_throws_depend_on_makes_another_sample(self):
        same = bench(view="settings", n_terms=9, n_probes=4, n_draws=2, batch=8, quantity="plain", map="bias")
        assert thrown_settings(bench()) == thrown_settings(same)
        changes = ({"matrix": (0.1,) * 4}, {"law": Poisson()}, {"probe": "sphere"}, {"seed": 4}, {"first_exact": True})
        for change in (*changes, {"suspect": "a"}):
            assert thrown_settings(bench(**change)) != thrown_settings(bench())

    def test_the_share_that_is_furthest_is_so_in_standard_errors(self):
        """Of 1,000 throws that stop with chance 1/2: that of N = 0 is off by most throws, that of N = 4 by most errors,
        and that of N = 9 by most of its chance, but too few are expected of it."""
        counts = np.array([540, 240, 110, 55, 13, 18, 10, 6, 4, 4])
        chance = 0.5 ** np.arange(1, 11)
        errors = np.abs(counts / 1000 - chance) / np.sqrt(chance * (1 - chance) / 1000)
        found, told = furthest(Geometric(0.5, 0), counts), 1000 * chance >= LEAST_EXPECTED
        assert np.abs(counts / 1000 - chance).argmax() == 0 and errors[told].argmax() == 4 and not told[9]
        assert (found.n, found.share, found.chance, found.off) == (4, 0.013, 0.5**5, pytest.approx(errors[4]))


class TestCoverage:
    @pytest.mark.parametrize(("bug", "apart"), [("none", THROWS_EACH[0]), ("shared_n", BATCH)])
    def test_it_counts_repetitions_that_nobody_was_shown(self, bug, apart):
        """Draws that share an N are all in one repetition. The seed of the bench is not that of the repetitions."""
        of = thrown_settings(bench(probe="rademacher", suspect=LABEL[bug], seed=17))
        size, n = repetitions(of)[0], THROWS_EACH[0]
        drawn = faulty_draws(bug, A, LAW, "rademacher", size * apart, 0, FIRST_REPETITION).value
        drawn = drawn.reshape(size, apart)[:, :n]
        held = (np.abs(drawn.mean(1) - KNOWN_LOG_DET) <= 1.96 * stats.sem(drawn, 1)).mean()
        shares, errors = coverage(of, KNOWN_LOG_DET)
        assert (shares[0], errors[0]) == pytest.approx((held, (held * (1 - held) / size) ** 0.5))


class TestFalseAlarm:
    """How often a test by standard errors goes wrong."""

    def test_two_coins_by_hand(self):
        """The test fails where both draws are nearer to each other than a third of their distance from the truth."""
        n, p = np.arange(3, 40), 0.5 ** np.arange(1, 38)
        off = np.concatenate([values(A, LAW, n, np.tile([1.0, s], (37, 1))) - KNOWN_LOG_DET for s in (1, -1)])
        p = np.concatenate([p, p]) / 2
        both = np.abs(off[:, None] + off) / 2 > 3 * np.abs(off[:, None] - off) / 2 * (1 + 1e-12)
        found = false_alarm(bench(probe="rademacher"), KNOWN_LOG_DET, 2, 3.0)
        assert found.value == pytest.approx((p[:, None] * p * both).sum(), abs=1e-4)
        with pytest.raises(ValueError, match="n = 1"):
            false_alarm(bench(), KNOWN_LOG_DET, 1, 3.0)

    @pytest.mark.parametrize(("n", "probe"), [(8, "rademacher"), (20, "rademacher"), (300, "gaussian")])
    def test_each_way_to_find_it_against_other_draws(self, n, probe):
        """All outcomes, a simulation, and an expansion. These estimates are skew, so a mean is not as often far below
        the truth as far above."""
        matrix, size, limit = np.array([[-0.6, 0.05], [0.05, 0.1]]), 2_000_000 // n, 2.0
        truth, random = np.linalg.slogdet(np.eye(2) + matrix)[1], np.random.default_rng(2)
        terms, v = 2 + random.geometric(0.5, n * size), random.standard_normal((n * size, 2))
        v = np.sign(v) if probe == "rademacher" else v
        draws = values(matrix, LAW, terms, v).reshape(size, n)
        off, far = draws.mean(1) - truth, limit * draws.std(1, ddof=1) / n**0.5
        there = {"above": (off > far).mean(), "below": (off < -far).mean(), "is": (abs(off) > far).mean()}
        apart = abs(there["below"] - there["above"])
        assert apart > 4 * (there["is"] / size) ** 0.5, "they would not tell the sides apart"
        of = bench(matrix=tuple(matrix.ravel().tolist()), probe=probe)
        for side, share in there.items():
            found = false_alarm(of, truth, n, limit, side)
            assert found.is_exact == (n <= 10)
            assert found.value == pytest.approx(share, abs=4 * (share / size) ** 0.5 + 1e-3)
