"""Files that people have: what is accepted in every dialect, and what is said about each of the others."""

import codecs

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.csv_file import MOST_BYTES, CsvError, digest_of, read_csv, table
from tests.app.pages import named

GOOD = [f"{i}.5,{i * i}" for i in range(30)]
ONE_COLUMN = "one column two comma semicolon tab"


def of(lines, encoding="utf-8"):
    return read_csv("points.csv", "\n".join(lines).encode(encoding))


def test_a_plain_file():
    file = of(["x,y", *GOOD])
    assert file.numeric == ("x", "y")
    assert file.lines == tuple(range(2, 32))
    np.testing.assert_array_equal(file.numbers("x"), np.arange(30) + 0.5)
    data = table(file, "x", "y")
    assert (data.title, data.names, data.labels) == ("points.csv", ("x", "y"), None)
    np.testing.assert_array_equal(data.values, np.column_stack([np.arange(30) + 0.5, np.arange(30) ** 2]))


def test_the_digest_is_that_of_the_contents():
    data = "\n".join(GOOD).encode()
    assert digest_of(b"abc") == "ba7816bf8f01"  # from FIPS 180-2
    assert read_csv("a.csv", data).digest == read_csv("b.csv", data).digest == digest_of(data)


@pytest.mark.parametrize(
    ("separator", "encoding", "newline"),  # "utf-16" writes its byte order mark
    [(",", "utf-8", "\n"), (";", "utf-8-sig", "\r\n"), ("\t", "utf-16", "\r"), (",", "cp1252", "\r\n")],
)
def test_every_dialect(separator, encoding, newline):
    lines = [
        separator.join(["Größe", "y", "Sorte"]),
        *(separator.join([f"{i}.5", str(i * i), "äö"[i % 2]]) for i in range(24)),
    ]
    file = read_csv("points.csv", newline.join(lines).encode(encoding))
    assert file.numeric == ("Größe", "y")
    assert file.labels == ("Sorte",)
    assert file.lines[-1] == 25
    assert table(file, "Größe", "y", "Sorte").labels == tuple("äö" * 12)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas(separator):
    file = of([f"{i},25{separator}-{i},5e3" for i in range(20)])
    assert list(file.cells) == ["column 1", "column 2"]
    np.testing.assert_array_equal(file.numbers("column 1"), np.arange(20) + 0.25)
    np.testing.assert_array_equal(file.numbers("column 2")[3], -3500)


@pytest.mark.parametrize(
    ("first", "newline"), [("sep=;", "\n"), ("SEP=;", "\r"), ('"sep=;"', "\r\n"), ("sep=;;;", "\n")]
)
def test_the_separator_that_excel_writes_first_holds(first, newline):
    # By the number of cells alone the comma would separate.
    lines = [first, "a,b;c,d", *(f"{i},{i * i};{i * i},{i}" for i in range(20))]
    file = read_csv("points.csv", newline.join(lines).encode())
    assert file.numeric == ("a,b", "c,d")
    assert file.lines == tuple(range(3, 23))
    assert file.numbers("a,b")[3] == 3.9


def test_blank_lines_trailing_separators_quotes_and_doubled_names():
    rows = (f'"{i}", {i * i / 4},,"g,{i % 2}"' for i in range(25))
    file = of(['x,"x",,"two\nlines"', "", *rows, ",,,"])
    assert list(file.cells) == ["x", "x (2)", "two\nlines"]
    assert file.lines[:2] == (4, 5)
    assert file.labels == ("two\nlines",)
    assert set(table(file, "x", "x (2)", "two\nlines").labels) == {"g,0", "g,1"}


def test_labels_are_text_or_few_whole_numbers():
    file = of(["x,y,class,id,half,one", *(f"{i},{i * i},{i % 3},n{i},{i % 2}.5,a" for i in range(40))])
    assert file.labels == ("class",)
    assert table(file, "x", "y", "class").labels == tuple(str(i % 3) for i in range(40))


def test_missing_labels_are_a_class_with_a_name():
    classes = ("1.0", "0", "", "NA") * 6
    file = of(["x,y,class,kind", *(f"{i},{i * i},{label},{'a' * (i % 2)}" for i, label in enumerate(classes))])
    assert file.labels == ("class", "kind")
    assert table(file, "x", "y", "class").labels == ("1.0", "0", "(missing)", "NA") * 6
    assert table(file, "x", "y", "kind").labels == ("(missing)", "a") * 12


NAMED = ["x,y", *GOOD]
BAD = {  # lines, and what is named: the place, what stands there, the remedy
    "missing": ([*NAMED, "1,"], "32 y missing delete"),
    "text": ([*NAMED[:9], "1,two", *NAMED[9:]], "10 y two number delete"),
    "infinite": ([*NAMED, "-inf,1"], "32 x -inf finite delete"),
    "overflow": ([*NAMED, "1e999,1"], "32 x 1e999 large 1e+100"),
    "thousands": ([*NAMED, "1_000,1"], "32 x 1_000 number delete"),
    "quoted decimal comma": ([*NAMED, '"1,5",1'], "32 x 1,5 number semicolons commas"),
    "two decimal marks": (["x;y", *(f"{i};{i}.5" for i in range(20)), "1;2,5"], "point 2 y 0.5 comma 22 2,5 thousands"),
    "a decimal mark each": (
        ["x;y", "1;2", *(f"{i}.234;{i * i},5" for i in range(20))],
        "point 3 x 0.234 comma y 0,5 thousands",
    ),
    "one column": (["x", *(str(i) for i in range(20))], ONE_COLUMN),
    "an empty column": (["x,y", *(f"{i}," for i in range(20))], "only x y empty Fill"),
    "a title": (["Measured in May", *NAMED], "1 one 2 delete above"),
    "another separator": (["sep=|", "x|y", *(f"{i}|{i * i}" for i in range(20))], "1 | separator comma semicolon tab"),
    "text below the separator": (
        ["sep=;", "x;y", *(f"{i},5;{i * i}" for i in range(20)), "1;two"],
        "23 y two number delete",
    ),
    "one column of numbers": (["x,name", *(f"{i},n{i}" for i in range(20))], "only x 2 name n0 number"),
    "no numbers": (["a,b"] * 21, "no holds 2 a number"),
    "constant": (["x,y", *(f"{i},7" for i in range(20))], "y vary"),
    "duplicates": (["x,y", *(["1,2", "3,4"] * 20)], "2 different 3"),
    "empty": ([""], "empty two columns"),
    "only names": (["x,y"], "0 rows 20 more"),
    "few rows": (NAMED[:20], "19 rows 20 more"),
    "many rows": (["1,2"] * 20_001, "20,001 rows 20,000 random"),
    "ragged": ([*NAMED[:5], "1,2,3", *NAMED[5:]], "6 3 1 2 comma quotes"),
    "a quote too many": ([*NAMED, '"1"2,2', "3,4"], "32 quotes"),
}


@pytest.mark.parametrize(("lines", "what"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_named_with_place_and_remedy(lines, what):
    with pytest.raises(CsvError) as error:
        file = of(lines)
        table(file, *file.numeric[:2])
    assert set(what.split()) <= named(str(error.value))


def test_what_the_data_set_refuses_is_named_by_its_line():
    refused = {}
    for row in range(30):
        file = of(["x,y", "", *GOOD[:row], "1e12,3", *GOOD[row + 1 :]])
        try:
            table(file, "x", "y")
        except CsvError as error:
            refused[row] = str(error)
    assert len(refused) == 9  # the held-out rows: the others move the mean
    for row, message in refused.items():
        assert {str(row + 3), "x", "1e+12", "1,000,000"} <= named(message)


NO_TEXT = "text UTF-8 UTF-16 Windows-1252 CSV"
FOREIGN = {
    "too large": (bytes(2_400_000), "2.29 2 20,000"),
    "a byte too large": (b"1" * (MOST_BYTES + 1), "2.01 2 20,000"),
    "excel": (b"PK\x03\x04" + bytes(100), "spreadsheet ZIP CSV"),
    "utf-32": (codecs.BOM_UTF32_LE + "\n".join(GOOD).encode("utf-32-le"), "UTF-32 UTF-8"),
    "neither": (b"x,y\x81\n1,2", NO_TEXT),
}


@pytest.mark.parametrize(("data", "what"), FOREIGN.values(), ids=FOREIGN)
@pytest.mark.thorough
def test_what_is_no_text_is_named(data, what):
    with pytest.raises(CsvError) as error:
        read_csv("points.csv", data)
    assert set(what.split()) <= named(str(error.value))


def test_columns_that_do_not_fit_are_named():
    file = of(["x,y,id,one,half", *(f"{i},{i},n{i},a,{i % 2 / 2:g}" for i in range(40))])
    for columns, what in [
        (("x", "x"), "x both two"),
        (("x", "z"), "points.csv z x y id one half"),
        (("x", "y", "zz"), "points.csv zz x y id one half"),
        (("x", "y", "id"), "id label 40 20 fewer"),
        (("x", "y", "one"), "one label values different"),
        (("x", "y", "half"), "half label 0.5 3 whole"),
    ]:
        with pytest.raises(CsvError) as error:
            table(file, *columns)
        assert set(what.split()) <= named(str(error.value))


like_a_table = st.text('0123456789.,;\t\n\r"-+eEinfaN \x00é', max_size=400).map(str.encode)


@settings(max_examples=400)
@given(
    st.binary(max_size=400)
    | like_a_table
    | like_a_table.map(lambda data: b"1,2\n" * 25 + data)
    | like_a_table.map(lambda data: b"sep=;\n" + b"1;2\n" * 25 + data)
)
def test_no_bytes_raise_anything_else(data):
    try:
        file = read_csv("points.csv", data)
        table(file, *file.numeric[:2], next(iter(file.labels), None))
    except CsvError as error:
        assert 20 < len(str(error)) < 400  # a sentence
