"""The staircase: columns of ideal draws average to the terms by counting, cells are what NumPy finds, and what is sent
of both."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from app.estimates.sample import drawn as drawn_by
from app.estimates.settings import Bench
from app.features.estimator import staircase
from app.features.estimator.numbers import remainders_of, series
from app.features.estimator.staircase import COLUMNS, columns, columns_of, drawn, exact_columns, ideal, unweighted
from app.features.estimator.staircase_view import encoded
from resflow_core.roulette import Geometric, Poisson

COINS = Bench(matrix=(5 / 12, 1 / 12, 1 / 12, 5 / 12), law=Geometric(0.5, 1), probe="rademacher", n_terms=2)
SKEW = replace(COINS, matrix=(0.5, -0.25, 0.75, 0.125))


@pytest.mark.parametrize("bench", [SKEW, replace(COINS, law=Geometric(0.5, 3)), replace(COINS, first_exact=True)])
def test_columns_of_ideal_draws_average_to_the_terms_by_counting(bench):
    rows = ideal(bench)
    found, exact = columns_of(bench, rows), exact_columns(bench)
    a = [[Fraction(x).limit_denominator(100) for x in row] for row in bench.array.tolist()]
    power = [[Fraction(1), Fraction(0)], [Fraction(0), Fraction(1)]]
    for column in found:
        power = [[sum(row[m] * a[m][j] for m in range(2)) for j in range(2)] for row in power]
        assert column.term == Fraction((-1) ** (column.k + 1), column.k) * (power[0][0] + power[1][1])
        assert (column.average == column.term) is (column.k <= exact)
        if column.k <= exact:  # without the weights they pay their share alone
            reached = Fraction(1, 2 ** max(0, column.k - bench.law.n_exact))
            assert column.unweighted == column.term * (1 if column.k <= bench.exact_traces else reached)
    assert len(rows) == 16 and sum(row.goes_on for row in rows) == 2


@pytest.mark.parametrize(
    "changes",
    [{"probe": "gaussian"}, {"law": Geometric(0.4, 1)}, {"law": Poisson()}, {"matrix": (0.1,) * 9}],
)
def test_there_are_none_where_sixteen_cannot_be_ideal(changes):
    assert ideal(replace(COINS, **changes)) is None


@pytest.mark.parametrize(
    "bench",
    [
        SKEW,
        replace(SKEW, probe="gaussian", law=Poisson(), first_exact=True),
        replace(SKEW, matrix=(0.1, 0.3, -0.2) * 3),
    ],
)
def test_cells_and_columns_are_numpys(bench, monkeypatch):
    monkeypatch.setattr(staircase, "BLOCK", 7)  # of which the last is a part
    staircase._block.cache_clear()
    thrown = drawn_by(bench, 40, 0)
    rows = drawn(bench, range(1, 41), thrown.n, thrown.probe)
    a, skipped = bench.array, bench.exact_traces
    for row, n, v, value in zip(rows, thrown.n, thrown.probe, thrown.value, strict=True):
        assert row.estimate == pytest.approx(value) and row.n == n
        survival = bench.law.survival(torch.arange(n + 1)).numpy()
        form = [(-1) ** (k + 1) / k * v @ np.linalg.matrix_power(a, k) @ v for k in range(1, n + 1)]
        assert row.unweighted == pytest.approx(skipped * np.trace(a) + sum(form[skipped:]))
        expected = [x / p for x, p in zip(form, survival[1:], strict=True)]
        expected[:skipped] = [np.trace(a)] * min(skipped, n)
        assert [float(term.term) for term in row.terms] == pytest.approx(expected[:COLUMNS])
    for one, other in zip(columns(bench, 40), columns_of(bench, rows), strict=True):
        assert (one.k, one.term, one.survival) == (other.k, other.term, other.survival)
        known = float(other.average), float(other.unweighted)
        assert (one.average, one.unweighted) == pytest.approx(known)
    assert unweighted(bench, 40) == pytest.approx([row.unweighted for row in rows])
    staircase._block.cache_clear()


def test_without_the_weights_the_example_is_too_high_because_a_negative_term_loses_most():
    found = staircase.without_weights(COINS, float(np.log(2)))
    assert (found.side, found.most) == (1, 2) and found.mean == pytest.approx(0.755, abs=5e-4)
    assert found.lost == pytest.approx(-13 / 72 / 2)
    assert staircase.without_weights(replace(COINS, matrix=(0.4, -0.4, 0.4, -0.4)), 0.0).side == 0


def test_what_is_sent_is_what_was_drawn():
    cut, n = series(COINS, remainders_of(COINS)), 120
    thrown = drawn_by(COINS, n, 0)
    rows = drawn(COINS, range(105, 121), thrown.n[104:], thrown.probe[104:])
    sent = encoded(COINS, rows, columns(COINS, n), thrown.value, cut, 0.2, weights=True)
    assert (sent["count"], sent["truth"]) == (n, pytest.approx(np.log(2)))
    assert sent["mean"] == pytest.approx(thrown.value.mean())
    assert sent["cut"] == {"n": 2, "value": pytest.approx(47 / 72)}
    assert [row["sum"] for row in sent["rows"]] == pytest.approx(thrown.value[104:])
    assert [row["id"] for row in sent["rows"]] == [str(k) for k in range(105, 121)]
    assert sum(sent["bars"]["shares"]) == pytest.approx(1)
    ideal_ones = ideal(COINS)
    sent = encoded(COINS, ideal_ones, columns_of(COINS, ideal_ones), np.empty(0), cut, 0.2, weights=False)
    assert sent["mean"] is None and sent["bars"] is None
    assert [column["isSame"] for column in sent["columns"]] == [True] * 4 + [False] * 2
    assert [column["isSamePlain"] for column in sent["columns"]] == [True] + [False] * 5
    sums = [row.unweighted for row in ideal_ones]
    assert sent["axis"][0] < min(sums) and max(sums) < sent["axis"][1]
