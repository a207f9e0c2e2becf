"""Files that are meant to break something or to hold the server: each is read, or refused in a sentence."""

import pytest

from app.csv_cells import MOST_DIGITS, MOST_IN_CELL, MOST_IN_LABEL
from app.csv_file import MOST_COLUMNS, CsvError, read_csv, table
from resflow_core.data import MOST_ROWS
from tests.hostile.csv_files import ATTACKS, SOUND, answered

LENGTHS = (300, 20_000)
LONGEST_MESSAGE = 600


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_hostile_file_is_read_or_refused_in_a_sentence(attack):
    for length in LENGTHS:
        said = answered(attack(length))
        assert all(0 < len(sentence) < LONGEST_MESSAGE for sentence in said)


def xy(*cells: str) -> bytes:
    """A sound file of 25 rows, and a last row of these cells in line 27."""
    return b"x,y\n" + SOUND + ",".join(cells).encode()


def wide(columns: int) -> bytes:
    line = ",".join(["1"] * columns)
    return "\n".join([",".join(f"c{i}" for i in range(columns)), *[line] * 25]).encode()


LIMITS = {
    "a number": (xy("1" * 8_000 + "x", "2"), ("Line 27", "`x`", "8,001", f"{MOST_DIGITS}")),
    "a number of digits alone": (xy("1", "2" * 101), ("Line 27", "`y`", "101", f"{MOST_DIGITS}")),
    "columns": (wide(MOST_COLUMNS + 1), ("Line 1", f"{MOST_COLUMNS:,}")),
    "a cell": (xy("n" * (MOST_IN_CELL + 1), "2"), ("Line 27", f"{MOST_IN_CELL:,}")),
    "a quote that does not end": (xy('"', "2") + b"\n1,2" * 20_000, ("Line 27", f"{MOST_IN_CELL:,}")),
    "rows": (b"1,2\n" * 30_000, (f"{MOST_ROWS:,}",)),
}


@pytest.mark.parametrize(("data", "says"), LIMITS.values(), ids=LIMITS)
def test_what_is_longer_than_allowed_is_named_with_place_and_limit(data, says):
    with pytest.raises(CsvError) as error:
        file = read_csv("points.csv", data)
        table(file, *file.numeric[:2])
    assert all(part in str(error.value) for part in says)


def test_a_number_may_be_as_long_as_the_limit_and_a_table_as_wide():
    file = read_csv("points.csv", xy("0." + "1" * (MOST_DIGITS - 2), "2"))
    assert file.numbers("x")[-1] == pytest.approx(1 / 9)
    assert len(read_csv("points.csv", wide(MOST_COLUMNS)).numeric) == MOST_COLUMNS


def test_a_label_may_be_as_long_as_the_limit():
    for length, is_label in ((MOST_IN_LABEL, True), (MOST_IN_LABEL + 1, False)):
        rows = (f"{i},{i * i},{'n' * (length - 1)}{i % 2}" for i in range(25))
        file = read_csv("points.csv", "\n".join(["x,y,kind", *rows]).encode())
        assert ("kind" in file.labels) is is_label
    with pytest.raises(CsvError) as error:
        file.groups("kind")
    assert all(part in str(error.value) for part in ("`kind`", "line 2", f"{length}", f"{MOST_IN_LABEL}"))


def test_a_large_file_is_judged_by_its_beginning():
    """Also where a text in quotes goes on beyond what is looked at."""
    note = '"' + "a, b; c\n" * 3_000 + '"'
    lines = ["x;y;note", *(f"{i},5;{i * i},25;{note}" for i in range(24))]
    data = "\n".join(lines).encode()
    assert len(data) > 4 * 2**17
    file = read_csv("points.csv", data)
    assert file.numeric == ("x", "y")
    assert file.numbers("x")[3] == 3.5
