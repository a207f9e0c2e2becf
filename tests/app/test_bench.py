"""The estimator's bench: its numbers as text and back, its limits, and its link, against Python's fractions."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.estimates.settings import BENCH, LARGEST_RADIUS, Bench, matrix_problem
from app.link import Link, query_of, read_link
from app.numbers import fraction, number_text, parsed_number
from app.setup import Setup
from resflow_core.estimators.moments import QUANTITIES
from resflow_core.probes import PROBES
from resflow_core.roulette import Custom, Geometric, Poisson


@pytest.mark.parametrize(
    ("text", "number", "shown"),
    [
        ("0.45", 0.45, "0.45"),
        ("1/3", 1 / 3, "1/3"),
        ("-1/6", -1 / 6, "-1/6"),
        ("-0.25", -0.25, "-0.25"),
        ("\N{MINUS SIGN}0.25", -0.25, "-0.25"),
        (" - 1 / 4 ", -0.25, "-0.25"),
        ("3e-2", 0.03, "0.03"),
        ("+.5", 0.5, "0.5"),
        ("1E-7", 1e-7, "1e-07"),
        ("0", 0.0, "0"),
        ("0.30000000000000004", 0.1 + 0.2, "0.30000000000000004"),
    ],
)
def test_numbers_are_read_and_shown_as_they_are_typed(text, number, shown):
    assert parsed_number(text) == number
    assert number_text(number) == shown


@settings(max_examples=100)
@given(
    st.floats(-99, 99)
    | st.builds(lambda n, d: n / d, st.integers(-99, 99), st.integers(1, 99))
    | st.integers(-9999, 9999).map(lambda n: n / 1000)
)
def test_no_number_is_lost_between_text_and_value(number):
    assert abs(number) < 1e-99 or parsed_number(number_text(number)) == number


@pytest.mark.parametrize(
    "text", ["", "x", "1/0", "0,45", "nan", "inf", "1e400", "--1", "1/2/3", "1e999999999", "9" * 500, "²"]
)
def test_what_is_no_number_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"0\.45 or -1/4\.$"):
        parsed_number(text)


@given(st.integers(-999, 999), st.integers(1, 999))
def test_fractions_are_those_that_were_meant(numerator, denominator):
    assert fraction(numerator / denominator) == Fraction(numerator, denominator)


def test_fractions_of_powers_are_exact_and_those_of_long_numbers_are_what_is_shown():
    assert fraction(0.5**30) == Fraction(1, 2**30)
    assert fraction(0.1 + 0.2) == Fraction(3, 10)
    assert fraction(0.6710534) == Fraction("0.6710534")
    assert fraction(1.2345678901234567) == Fraction("1.2345678901234567")


def test_the_series_of_a_matrix_must_converge():
    assert matrix_problem((0.45, 0.3, -0.25, 0.2)) is None
    assert matrix_problem((LARGEST_RADIUS, 0.5, 0.0, -LARGEST_RADIUS)) is None
    assert all(token in matrix_problem((0.1, 0.2, 0.3)) for token in ("4, 9, 16 or 25", "3"))
    # [[0, 2], [1, 0]] has the eigenvalues +- sqrt(2).
    assert all(token in matrix_problem((0.0, 2.0, 1.0, 0.0)) for token in ("1.414", f"{LARGEST_RADIUS}", "smaller"))
    with pytest.raises(ValueError, match="smaller"):
        Bench(matrix=(1.0, 0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    "matrix", [(0.4, -0.4, 0.4, -0.4), (0.6, -0.9, 0.4, -0.6), (0.1, -0.05, 0.2, -0.1), (0.0, 99.0, 0.0, 0.0)]
)
def test_a_nilpotent_matrix_has_radius_0_whatever_the_rounding(matrix):
    assert Bench(matrix=matrix).radius == 0


def test_the_radius_is_numpys():
    rng = np.random.default_rng(0)
    for matrix in rng.uniform(-0.49, 0.49, (50, 4)).tolist():
        expected = np.abs(np.linalg.eigvals(np.reshape(matrix, (2, 2)))).max()
        assert Bench(matrix=tuple(matrix)).radius == pytest.approx(expected, rel=1e-12)


def test_the_fields_of_the_matrix_hold_its_entries():
    assert Bench(matrix=(1 / 3, 0.25, 0.0, -0.1)).widget_texts(BENCH) == {
        "bench.matrix.0": "1/3",
        "bench.matrix.1": "0.25",
        "bench.matrix.2": "0",
        "bench.matrix.3": "-0.1",
    }


def test_only_what_shows_the_flow_uses_it():
    assert not Bench().uses_flow
    assert not Bench(subject="flow").uses_flow
    assert not Bench(view="settings").uses_flow
    assert Bench(view="settings", subject="flow").uses_flow
    assert Bench(view="plane").uses_flow


laws = st.one_of(
    st.builds(Geometric, st.floats(0.05, 0.95), st.integers(0, 20)),
    st.builds(Poisson, st.floats(0.1, 10), st.integers(0, 20)),
    st.sampled_from([Custom((0.9, 0.5)), Custom((1.0, 1.0, 1 / 3))]),
)
benches = st.builds(
    Bench,
    view=st.sampled_from(["by_hand", "settings", "plane"]),
    matrix=st.tuples(*[st.floats(-0.49, 0.49)] * 4),
    law=laws,
    probe=st.sampled_from(sorted(PROBES)),
    n_probes=st.integers(1, 16),
    n_draws=st.integers(1, 16),
    first_exact=st.booleans(),
    n_terms=st.integers(1, 30),
    subject=st.sampled_from(["matrix", "flow"]),
    quantity=st.sampled_from(sorted(QUANTITIES)),
    entry=st.sampled_from(["11", "12", "21", "22"]),
    block=st.integers(0, 32),
    batch=st.integers(1, 65536),
    seed=st.integers(0, 1000),
)


def bench_of(link):
    (found,) = (one for one in link.benches if isinstance(one, Bench))
    return found


@settings(max_examples=60)
@given(benches)
def test_a_link_says_the_whole_bench_and_gives_it_back(bench):
    query = query_of(Setup(), benches=[bench])
    found = read_link(query)
    assert found == Link(Setup(), benches=tuple(bench if isinstance(one, Bench) else one for one in Link().benches))
    assert bench_of(found) == bench
    assert len([name for name in query if name.startswith(BENCH)]) >= 14


def test_a_link_without_a_bench_has_the_default_one():
    assert not any(name.startswith(BENCH) for name in query_of(Setup()))
    assert bench_of(read_link(query_of(Setup()))) == Bench()


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("matrix", "0.9 0.9 0.9 0.9", ("1.8", "0.99", "smaller")),
        ("matrix", "0.1 0.2", ("4, 9, 16 or 25", "not 2")),
        ("matrix", "0 100 0 0", ("-99 to 99",)),
        ("matrix", "a", ("-99 to 99",)),
        ("matrix", "nan 0 0 0", ("-99 to 99",)),
        ("view", "inside", ("by_hand, settings, plane", "at by_hand")),
        ("law", "binomial", ("geometric, poisson, custom", "at geometric")),
        ("law.p", "1", ("0.05 to 0.95", "at 0.5")),
        ("probe", "coin", ("gaussian, rademacher, sphere, orthogonal", "at gaussian")),
        ("n_terms", "31", ("1 to 30", "at 5")),
        ("batch", "0", ("1 to 65536", "at 512")),
        ("seed", "-1", ("0 to ", "at 0")),
        ("colour", "red", ()),
    ],
)
def test_what_a_link_does_not_get_is_named_and_stays_at_its_default(name, text, named):
    link = read_link({f"bench.{name}": text, "bench.block": "2", "seed": "7"})
    assert bench_of(link) == replace(Bench(), block=2)
    assert link.setup == Setup(seed=7)
    (refused,) = link.refused
    given, _, about = refused.partition("`: ")
    assert given == (f"`bench.{name} = {text}" if named else f"`bench.{name}")
    assert all(token in about for token in named)


def test_a_law_is_typed_in_fractions_too():
    link = read_link({"bench.law": "custom", "bench.law.table": "1, 1/2, 1/4"})
    assert (link.refused, bench_of(link).law.table) == ((), (1.0, 0.5, 0.25))
    assert "1/0" in read_link({"bench.law": "custom", "bench.law.table": "1 1/0"}).refused[0]
