"""The staircase: columns of ideal draws average to the terms by counting, and cells are what NumPy finds."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from app.estimates.sample import drawn as drawn_by
from app.estimates.settings import Bench
from app.features.estimator import staircase
from app.features.estimator.staircase import COLUMNS, columns, columns_of, drawn, exact_columns, ideal, unweighted
from resflow_core.roulette import Geometric, Poisson

COINS = Bench(matrix=(5 / 12, 1 / 12, 1 / 12, 5 / 12), law=Geometric(0.5, 1), probe="rademacher", n_terms=2)
SKEW = replace(COINS, matrix=(0.5, -0.25, 0.75, 0.125))


@pytest.mark.parametrize(
    "bench", [COINS, SKEW, replace(COINS, law=Geometric(0.5, 3)), replace(COINS, first_exact=True)]
)
def test_columns_of_ideal_draws_average_to_the_terms_by_counting(bench):
    rows = ideal(bench)
    found, exact = columns_of(bench, rows), exact_columns(bench)
    a = [[Fraction(x).limit_denominator(100) for x in row] for row in bench.array.tolist()]
    power = [[Fraction(1), Fraction(0)], [Fraction(0), Fraction(1)]]
    for column in found:
        power = [[sum(row[m] * a[m][j] for m in range(2)) for j in range(2)] for row in power]
        assert column.term == Fraction((-1) ** (column.k + 1), column.k) * (power[0][0] + power[1][1])
        assert (column.average == column.term) is (column.k <= exact)
    assert len(rows) == 16 and sum(row.goes_on for row in rows) == 2


def test_columns_without_the_weights_pay_their_share_alone():
    for column in columns_of(COINS, ideal(COINS))[: exact_columns(COINS)]:
        assert column.unweighted == column.term * Fraction(1, 2 ** (column.k - 1))


@pytest.mark.parametrize(
    "bench",
    [replace(COINS, probe="gaussian"), replace(COINS, law=Geometric(0.4, 1)), replace(COINS, law=Poisson()),
     replace(COINS, matrix=(0.1,) * 9)],
)  # fmt: skip
def test_there_are_none_where_sixteen_cannot_be_ideal(bench):
    assert ideal(bench) is None


@pytest.mark.parametrize("first_exact", [False, True])
@pytest.mark.parametrize(
    "bench", [SKEW, replace(SKEW, probe="gaussian", law=Poisson()), replace(SKEW, matrix=(0.1, 0.3, -0.2) * 3)]
)
def test_cells_are_numpys(bench, first_exact):
    bench = replace(bench, first_exact=first_exact)
    thrown = drawn_by(bench, 40, 7)
    rows = drawn(bench, range(8, 48), thrown.n, thrown.probe)
    a = bench.array
    for row, n, v, value in zip(rows, thrown.n, thrown.probe, thrown.value, strict=True):
        assert row.estimate == pytest.approx(value) and row.n == n
        exact = np.trace(a) if first_exact else 0.0
        survival = bench.law.survival(torch.arange(n + 1)).numpy()
        form = [(-1) ** (k + 1) / k * v @ np.linalg.matrix_power(a, k) @ v for k in range(1, n + 1)]
        skipped = int(first_exact)
        assert row.unweighted == pytest.approx(exact + sum(form[skipped:]))
        cells = [float(term.term) for term in row.terms]
        expected = [x / p for x, p in zip(form, survival[1:], strict=True)]
        if first_exact and n:
            expected[0] = exact
        assert cells == pytest.approx(expected[:COLUMNS])


@pytest.mark.parametrize("block", [7, 1000])
@pytest.mark.parametrize("bench", [SKEW, replace(SKEW, probe="gaussian", law=Poisson(), first_exact=True)])
def test_columns_of_many_draws_are_those_of_their_rows(bench, block, monkeypatch):
    """In blocks of any size, of which the last is a part."""
    monkeypatch.setattr(staircase, "BLOCK", block)
    staircase._block.cache_clear()
    thrown = drawn_by(bench, 40, 0)
    rows = drawn(bench, range(1, 41), thrown.n, thrown.probe)
    for one, other in zip(columns(bench, 40), columns_of(bench, rows), strict=True):
        assert (one.k, one.term, one.survival) == (other.k, other.term, other.survival)
        assert one.average == pytest.approx(float(other.average)) and one.unweighted == pytest.approx(
            float(other.unweighted)
        )
    assert unweighted(bench, 40) == pytest.approx([row.unweighted for row in rows])
    staircase._block.cache_clear()


def test_without_the_weights_the_example_is_too_high_because_a_negative_term_loses_most():
    found = staircase.without_weights(COINS, float(np.log(2)))
    assert (found.side, found.most) == (1, 2) and found.mean == pytest.approx(0.755, abs=5e-4)
    assert found.lost == pytest.approx(-13 / 72 / 2)
    nilpotent = replace(COINS, matrix=(0.4, -0.4, 0.4, -0.4))
    assert staircase.without_weights(nilpotent, 0.0).side == 0
