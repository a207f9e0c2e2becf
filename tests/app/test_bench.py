"""The estimator's bench: its numbers as text and back, its limits, and its link, against Python's fractions."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.estimates.settings import LARGEST_RADIUS, Bench, matrix_problem
from app.link import query_of, read_link
from app.numbers import fraction, number_text, parsed_number
from app.setup import Setup
from resflow_core.roulette import Custom, Geometric, Poisson


@pytest.mark.parametrize(
    ("text", "number", "shown"),
    [
        ("-1/6", -1 / 6, "-1/6"),
        ("\N{MINUS SIGN}0.25", -0.25, "-0.25"),
        (" - 1 / 4 ", -0.25, "-0.25"),
        ("+.5", 0.5, "0.5"),
        ("1E-7", 1e-7, "1e-07"),
        ("0.30000000000000004", 0.1 + 0.2, "0.30000000000000004"),
    ],
)
def test_numbers_are_read_and_shown_as_they_are_typed(text, number, shown):
    assert parsed_number(text) == number and number_text(number) == shown


@settings(max_examples=60)
@given(
    st.floats(-99, 99)
    | st.builds(lambda n, d: n / d, st.integers(-99, 99), st.integers(1, 99))
    | st.integers(-9999, 9999).map(lambda n: n / 1000)
)
def test_no_number_is_lost_between_text_and_value(number):
    assert abs(number) < 1e-99 or parsed_number(number_text(number)) == number


@pytest.mark.parametrize("meant", ["7/999", "-999/998", "1/1073741824", "3/10", "0.6710534", "1.2345678901234567"])
def test_fractions_are_those_that_were_meant(meant):
    assert fraction(float(Fraction(meant))) == Fraction(meant)
    assert fraction(0.1 + 0.2) == Fraction(3, 10)


def test_the_series_of_a_matrix_must_converge():
    assert matrix_problem((LARGEST_RADIUS, 0.5, 0.0, -LARGEST_RADIUS)) is None
    assert "4, 9, 16 or 25" in matrix_problem((0.1, 0.2, 0.3))
    assert "1.414" in matrix_problem((0.0, 2.0, 1.0, 0.0))  # the eigenvalues are +- sqrt(2)
    with pytest.raises(ValueError, match="smaller"):
        Bench(matrix=(1.0, 0.0, 0.0, 0.0))


def test_the_radius_is_numpys_and_that_of_a_nilpotent_matrix_0_whatever_the_rounding():
    for matrix in np.random.default_rng(0).uniform(-0.49, 0.49, (20, 4)).tolist():
        expected = np.abs(np.linalg.eigvals(np.reshape(matrix, (2, 2)))).max()
        assert Bench(matrix=tuple(matrix)).radius == pytest.approx(expected, rel=1e-12)
    for matrix in ((0.4, -0.4, 0.4, -0.4), (0.6, -0.9, 0.4, -0.6), (0.0, 99.0, 0.0, 0.0)):
        assert Bench(matrix=matrix).radius == 0


def test_only_what_shows_the_flow_uses_it():
    kinds = [(view, subject) for view in ("by_hand", "settings", "plane") for subject in ("matrix", "flow")]
    uses = [(view, subject) for view, subject in kinds if Bench(view=view, subject=subject).uses_flow]
    assert uses == [("settings", "flow"), ("plane", "matrix"), ("plane", "flow")]


def bench_of(link):
    (found,) = (one for one in link.benches if isinstance(one, Bench))
    return found


@pytest.mark.parametrize(
    "bench",
    [
        Bench(),
        Bench(view="settings", matrix=(1 / 3, 0.1, -0.2, 0.3), law=Geometric(0.35, 7), probe="sphere", n_probes=16),
        Bench(law=Poisson(3.7, 0), n_draws=5, first_exact=True, n_terms=30, subject="flow", quantity="neumann"),
        Bench(law=Custom((1.0, 1.0, 1 / 3)), entry="21", block=32, batch=65536, seed=1000, suspect="c", map="bias"),
        Bench(view="plane", throw=17, fractions=True, matrix=(0.1,) * 9, quantity="plain", entry="22"),
    ],
)
def test_a_link_says_the_whole_bench_and_gives_it_back(bench):
    link = read_link(query_of(Setup(), benches=[bench]))
    assert bench_of(link) == bench and link.setup == Setup() and not link.refused


@pytest.mark.parametrize(
    ("name", "text"),
    [("matrix", "0.9 0.9 0.9 0.9"), ("matrix", "nan 0 0 0"), ("view", "inside"), ("law", "binomial"), ("law.p", "1"),
     ("n_terms", "31"), ("batch", "0"), ("colour", "red")],
)  # fmt: skip
def test_what_a_link_does_not_get_is_named_and_stays_at_its_default(name, text):
    link = read_link({f"bench.{name}": text, "bench.block": "2", "seed": "7"})
    assert bench_of(link) == replace(Bench(), block=2) and link.setup == Setup(seed=7)
    (refused,) = link.refused
    assert f"bench.{name}" in refused
