"""Texts that are meant to hold the server, wherever a visitor can send one: each is answered, in a time that grows as
its length does."""

import pytest

from tests.hostile.growth import MOST_GROWTH, steepest
from tests.hostile.texts import TAKEN, Taken

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


@pytest.mark.parametrize("taken", TAKEN.values(), ids=TAKEN)
def test_a_text_twice_as_long_takes_about_twice_as_long(taken):
    assert steepest(lambda given: said(taken, given), taken.attack, 1_024, taken.most) <= MOST_GROWTH
