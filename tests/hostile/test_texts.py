"""Texts that are meant to hold the server, wherever a visitor can send one: each is answered, in a time that grows as
its length does."""

import pytest

from app.drawing import Drawing
from app.estimates.coins import parsed
from app.lessons.progress import from_file
from resflow_core.api import flow_file
from resflow_core.expressions import read
from tests.hostile.growth import MOST_GROWTH, steepest
from tests.hostile.texts import TAKEN, Taken, numbers

LENGTHS = (1, 300, 30_000)
LONGEST_SENTENCE = 1_000


def said(taken: Taken, given: object) -> tuple[str, ...]:
    """What is said of it; it may be refused, but nothing else may go wrong."""
    try:
        found = taken.answer(given)
    except ValueError as error:
        return (str(error),)
    return found if isinstance(found, tuple) and all(isinstance(one, str) for one in found) else ()


@pytest.mark.parametrize("taken", TAKEN.values(), ids=TAKEN)
def test_a_hostile_text_is_taken_or_refused_in_sentences(taken):
    for length in LENGTHS:
        sentences = said(taken, taken.attack(length))
        assert all(0 < len(sentence) < LONGEST_SENTENCE for sentence in sentences)


LIMITS = {
    "a drawing": (lambda: Drawing.of_text("A" * 5_000), ("5,000", "4,096")),
    "dots of a drawing": (lambda: Drawing.of_rows([[0, 0, *[1] * 40_002]]), ("20,001", "20,000")),
    "coins": (lambda: parsed("3+ " * 10_000, 3), ("30,000", "20,000")),
    "a flow's header": (
        lambda: flow_file.from_bytes((2**20 + 1).to_bytes(8, "little") + b" " * 2**21),
        ("1,048,577", "1,048,576"),
    ),
    "a formula": (lambda: read("z" * 300), ("300", "200")),
    "progress": (lambda: from_file(b" " * (2**20 + 1)), ("1,048,577", "1,048,576")),
}


@pytest.mark.parametrize(("asked", "says"), LIMITS.values(), ids=LIMITS)
def test_what_is_longer_than_allowed_is_refused_with_its_length_and_the_limit(asked, says):
    with pytest.raises(ValueError) as error:
        asked()
    assert all(part in str(error.value) for part in says)


def test_a_row_of_numbers_ends_at_its_limit():
    assert numbers(" ".join(["0.5"] * 50)) == (0.5,) * 50
    assert isinstance(numbers("0.5 " * 2_000), str)  # it is told then what a row has


@pytest.mark.parametrize("taken", TAKEN.values(), ids=TAKEN)
def test_the_time_grows_as_the_length_of_a_text(taken):
    assert steepest(lambda given: said(taken, given), taken.attack, taken.most) <= MOST_GROWTH
