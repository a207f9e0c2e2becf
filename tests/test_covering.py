"""Covering designs hold every pair of levels, and are small."""

from itertools import combinations, product
from math import prod

from tests.covering import covering, in_turn

DESIGNS = {
    "two factors": {"a": [1, 2, 3], "b": ["x", "y"]},
    "one level": {"a": [1], "b": [None], "c": [3.0, 4.0]},
    "of different sizes": {"a": range(15), "b": range(5), "c": range(6), "d": "xy", "e": "xy", "f": "xyz"},
}


def pairs(row):
    return set(combinations(row.items(), 2))


def test_any_two_levels_of_two_factors_meet():
    for name, levels in DESIGNS.items():
        met = set().union(*map(pairs, covering(levels)))
        wanted = set().union(*(pairs(dict(zip(levels, row, strict=True))) for row in product(*levels.values())))
        assert met == wanted, name


def test_it_is_much_smaller_than_the_product():
    levels = DESIGNS["of different sizes"]
    assert 15 * 6 <= len(covering(levels)) < 1.2 * 15 * 6 < prod(map(len, levels.values())) / 40


def test_it_is_always_the_same():
    assert covering(DESIGNS["of different sizes"]) == covering(DESIGNS["of different sizes"])


def test_what_has_no_meaning_beside_a_level_meets_nothing():
    levels = {"shape": ["point", "disc"], "radius": [1, 2, 3], "colour": ["red", "blue"]}

    def factors_of(row):
        return levels if row["shape"] == "disc" else ("shape", "colour")

    discs = [row for row in covering(levels, factors_of) if row["shape"] == "disc"]
    assert {(row["radius"], row["colour"]) for row in discs} == set(product(levels["radius"], levels["colour"]))
    assert len(covering(levels, factors_of)) < 10


def test_what_takes_turns_is_in_every_row_and_all_of_it_has_its_turn():
    rows = [{"a": k} for k in range(3)]
    assert in_turn(rows, b="xy") == [{"a": 0, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}]
    longer = in_turn(rows, b="xyzu", c=[7])
    assert [(row["a"], row["b"], row["c"]) for row in longer] == [(0, "x", 7), (1, "y", 7), (2, "z", 7), (0, "u", 7)]
