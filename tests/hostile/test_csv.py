"""Files that are meant to hold the server: each is answered, in a time that grows as their length does."""

import pytest

from app.csv_file import MOST_BYTES, CsvError, read_csv, table
from tests.hostile.csv_files import ATTACKS
from tests.hostile.growth import MOST_GROWTH, steepest

LENGTHS = (300, 5_000, 65_536)
MOST_COLUMNS_READ = 30
LONGEST_MESSAGE = 600


def answered(data: bytes) -> list[str]:
    """All that a page asks of a file; what was said of it. Raises nothing but what it should not."""
    said = []

    def asked(read, *columns):
        try:
            return read(*columns)
        except CsvError as error:
            said.append(str(error))

    file = asked(read_csv, "points.csv", data)
    if file is None:
        return said
    assert len(file.numeric) >= 2
    assert set(file.labels) <= set(file.cells)
    said.append(file.note)
    for column in [*file.cells][:MOST_COLUMNS_READ]:
        found = asked(file.numbers, column)
        assert found is None or len(found) == len(file.lines)
        groups = asked(file.groups, column)
        assert groups is None or (len(groups) == len(file.lines) and column in file.labels)
    asked(file.numbers, "no such column")
    for label in (None, *file.labels[:2]):
        data_set = asked(table, file, *file.numeric[:2], label)
        if data_set is not None and label is not None:
            classes = data_set.held_out_classes()
            assert 0 <= int(classes.min()) <= int(classes.max()) < len(data_set.classes)
    return said


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_hostile_file_is_read_or_refused_in_a_sentence(attack):
    for length in LENGTHS:
        said = answered(attack(length))
        assert all(len(sentence) < LONGEST_MESSAGE for sentence in said)


def test_there_are_at_least_a_hundred_of_them():
    assert len({attack(length) for attack in ATTACKS.values() for length in LENGTHS}) >= 100


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_file_twice_as_long_takes_about_twice_as_long(attack):
    assert steepest(answered, attack, 1_024, 65_536) <= MOST_GROWTH


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_so_it_is_up_to_the_largest_file(attack):
    assert steepest(answered, attack, 65_536, MOST_BYTES // 2) <= MOST_GROWTH
