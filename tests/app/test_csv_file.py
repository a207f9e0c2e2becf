"""Files that people have: what is accepted in every dialect, and what is said about each of the others."""

import codecs
import csv
import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.csv_file import MOST_BYTES, CsvError, digest_of, read_csv, table

GOOD = [f"{i}.5,{i * i}" for i in range(30)]


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


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"],  # "utf-16" writes its byte order mark
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
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


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "sep=;;;"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_the_separator_that_excel_writes_first_holds(first, newline):
    # By the number of cells alone the comma would separate.
    lines = [first, "a,b;c,d", *(f"{i},{i * i};{i * i},{i}" for i in range(20))]
    file = read_csv("points.csv", newline.join(lines).encode())
    assert file.numeric == ("a,b", "c,d")
    assert file.lines == tuple(range(3, 23))
    assert file.numbers("a,b")[3] == 3.9


def test_a_column_that_is_not_chosen_may_have_the_other_decimal_mark():
    file = of(["x;y;price", *(f"{i},5;{i * i},25;{i}.234" for i in range(20))])
    np.testing.assert_array_equal(table(file, "x", "y").values[3], [3.5, 9.25])


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


@pytest.mark.parametrize("mark", [".", ","])
def test_whole_numbers_with_a_decimal_mark_are_labels(mark):
    file = of(["x;y;class", *(f"{i};{i * i};{i % 2}{mark}0" for i in range(24))])
    assert file.labels == ("class",)
    assert table(file, "x", "y", "class").labels == (f"0{mark}0", f"1{mark}0") * 12


def test_missing_labels_are_a_class_with_a_name():
    classes = ("1.0", "0", "", "NA") * 6
    file = of(["x,y,class,kind", *(f"{i},{i * i},{label},{'a' * (i % 2)}" for i, label in enumerate(classes))])
    assert file.labels == ("class", "kind")
    assert table(file, "x", "y", "class").labels == ("1.0", "0", "(missing)", "NA") * 6
    assert table(file, "x", "y", "kind").labels == ("(missing)", "a") * 12


def test_a_file_without_names_says_which_line_it_takes_for_data():
    assert of(["x,y", *GOOD]).note == ""
    assert of(["2019,2020", *GOOD]).note == "No line of names: line 1 is read as data."
    assert of(["sep=,", "", *GOOD]).note == "No line of names: line 3 is read as data."


@pytest.mark.parametrize(("name", "shown"), [("price ($)", "price ($)"), ("*a*", "*a*"), ("a`b'", "ab'")])
def test_no_name_of_a_column_becomes_formatting(name, shown):
    for rows, says in [
        ((f"{i},7" for i in range(20)), "Column `cost ($)` does not vary"),
        ((f"{i},{2 * i}" for i in range(20)), f"Columns `{shown}` and `cost ($)` lie on one straight line"),
    ]:
        with pytest.raises(CsvError, match=re.escape(says)):
            table(of([f"{name},cost ($)", *rows]), name, "cost ($)")


NAMED = ["x,y", *GOOD]
BAD = {
    "missing": ([*NAMED, "1,"], "Line 32, column `y`: the value is missing. Fill it in, or delete the line."),
    "marked as missing": ([*NAMED, "NA,1"], "Line 32, column `x`: the value is missing."),
    "text": (
        [*NAMED[:9], "1,two", *NAMED[9:]],
        "Line 10, column `y`: `two` is not a number. Correct it, or delete the line.",
    ),
    "infinite": ([*NAMED, "-inf,1"], "Line 32, column `x`: `-inf` is not finite. Correct it, or delete the line."),
    "not a number": ([*NAMED, "NaN,1"], "Line 32, column `x`: the value is missing."),
    "overflow": ([*NAMED, "1e999,1"], "Line 32, column `x`: `1e999` is too large; use numbers up to 1e+100."),
    "thousands": ([*NAMED, "1_000,1"], "Line 32, column `x`: `1_000` is not a number."),
    "quoted decimal comma": ([*NAMED, '"1,5",1'], "use decimal commas."),
    "two decimal marks": (
        ["x;y", *(f"{i};{i}.5" for i in range(20)), "1;2,5"],
        "There is a decimal point in line 2, column `y` (`0.5`), and a decimal comma in line 22, column `y` (`2,5`). "
        "Use one of them in both columns, and nothing between thousands.",
    ),
    "a decimal mark each": (
        ["x;y", "1;2", *(f"{i}.234;{i * i},5" for i in range(20))],
        "There is a decimal point in line 3, column `x` (`0.234`), and a decimal comma in line 3, column `y` (`0,5`).",
    ),
    "one column": (["x", *(str(i) for i in range(20))], "The file has one column only. Give it two, separated by"),
    "spaces": ([f"{i} {i}" for i in range(20)], "one column only"),
    "one column and separators": ([f"{i}," for i in range(20)], "one column only"),
    "an empty column": (["x,y", *(f"{i}," for i in range(20))], "only `x` holds them. Column `y` is empty."),
    "an empty column beside text": (
        ["x,name,y", *(f"{i},n{i},NA" for i in range(20))],
        "only `x` holds them. Column `y` is empty. Fill it in, or give another one.",
    ),
    "a title": (["Measured in May", *NAMED], "Line 1 has one cell, line 2 has 2: delete the lines above the names."),
    "titles": (
        ["# Measured", "# in May", "", *NAMED],
        "Line 1 has one cell, line 4 has 2: delete the lines above the names.",
    ),
    "one column with a remark": (["x", *(str(i) for i in range(20)), "20,estimated"], "one column only"),
    "another separator": (["sep=|", "x|y", *(f"{i}|{i * i}" for i in range(20))], "Line 1 asks for `|` as separator."),
    "ragged below the separator": (["sep=,", *NAMED[:5], "1,2,3"], "Line 7 has 3 cells, but line 2 has 2"),
    "text below the separator": (
        ["sep=;", "x;y", *(f"{i},5;{i * i}" for i in range(20)), "1;two"],
        "Line 23, column `y`: `two` is not a number.",
    ),
    "one column of numbers": (
        ["x,name", *(f"{i},n{i}" for i in range(20))],
        "only `x` holds them. Line 2, column `name`: `n0` is not a number.",
    ),
    "no numbers": (["a,b"] * 21, "no column holds them. Line 2, column `a`: `a` is not a number."),
    "constant": (["x,y", *(f"{i},7" for i in range(20))], "Column `y` does not vary"),
    "duplicates": (
        ["x,y", *(["1,2", "3,4"] * 20)],
        "The rows hold 2 different points. A density needs at least 3: choose columns that vary.",
    ),
    "empty": ([""], "The file is empty. Give it two columns of numbers."),
    "blank": (["  ", ",", "\t"], "The file is empty."),
    "a space that does not break": (["\N{NO-BREAK SPACE}"], "The file is empty."),
    "only names": (["x,y"], "The file has 0 rows of data; at least 20 are needed."),
    "few rows": (NAMED[:20], "The file has 19 rows of data; at least 20 are needed. Add more."),
    "many rows": (["1,2"] * 20_001, "The file has 20,001 rows; 20,000 are allowed. Keep a random part of them."),
    "ragged": ([*NAMED[:5], "1,2,3", *NAMED[5:]], "Line 6 has 3 cells, but line 1 has 2 (the separator is the comma)."),
    "open quote": ([*NAMED, '"1,2'], "Line 32: the quotes cannot be read"),
    "a quote too many": ([*NAMED, '"1"2,2', "3,4"], "Line 32: the quotes cannot be read"),
}


@pytest.mark.parametrize(("lines", "says"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_named_with_place_and_remedy(lines, says):
    with pytest.raises(CsvError) as error:
        file = of(lines)
        table(file, *file.numeric[:2])
    assert says in str(error.value)


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
        assert message.startswith(f"Line {row + 3}, column `x`: 1e+12 lies more than 1,000,000 deviations")


FOREIGN = {
    "too large": (bytes(2_400_000), "The file has 2.29 MB; 2 are allowed. Keep two columns and at most 20,000 rows."),
    "a byte too large": (b"1" * (MOST_BYTES + 1), "The file has 2.01 MB; 2 are allowed."),
    "just small enough": (b"1\n" * (MOST_BYTES // 2), "one column only"),
    "nothing": (b"", "The file is empty."),
    "excel": (b"PK\x03\x04" + bytes(100), "a spreadsheet or a ZIP archive, not text. Save or export it as CSV first."),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(100), "The file is not text in UTF-8"),
    "utf-16 without its mark": (
        "\n".join(GOOD).encode("utf-16-le"),
        "not text in UTF-8, in UTF-16 with its byte order",
    ),
    "utf-32": (codecs.BOM_UTF32_LE + "\n".join(GOOD).encode("utf-32-le"), "in UTF-32. Save it as UTF-8."),
    "neither": (b"x,y\x81\n1,2", "not text in UTF-8"),
    "half a character of utf-16": (codecs.BOM_UTF16_LE + b"a", "not text in UTF-8"),
}


@pytest.mark.parametrize(("data", "says"), FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_text_is_named(data, says):
    with pytest.raises(CsvError) as error:
        read_csv("points.csv", data)
    assert says in str(error.value)


def test_columns_that_do_not_fit_are_named():
    file = of(["x,y,id,one,half", *(f"{i},{i},n{i},a,{i % 2 / 2:g}" for i in range(40))])
    for columns, says in [
        (("x", "x"), "`x` is chosen for both axes."),
        (("x", "z"), "`points.csv` has no column `z`; it has `x`, `y`, `id`"),
        (("x", "y", "zz"), "`points.csv` has no column `zz`; it has `x`, `y`, `id`"),
        (
            ("x", "y", "id"),
            "Column `id` cannot be a label: it has 40 different values, and 20 are allowed. Choose one with fewer.",
        ),
        (
            ("x", "y", "one"),
            "Column `one` cannot be a label: it has one value only. Choose one that tells rows apart.",
        ),
        (
            ("x", "y", "half"),
            "Column `half` cannot be a label: `0.5` in line 3 is no whole number. Choose text or whole numbers.",
        ),
    ]:
        with pytest.raises(CsvError) as error:
            table(file, *columns)
        assert says in str(error.value)


finite = st.floats(-1e99, 1e99)
word = st.text(st.characters(codec="cp1252", exclude_categories=["C", "Z"]), min_size=1, max_size=8).map("n{}".format)


@pytest.mark.thorough
@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(finite, finite, word), min_size=20, max_size=40, unique_by=lambda row: row[0]),
    header=st.none() | st.tuples(word, word, word).filter(lambda names: len(set(names)) == 3),
    separator=st.sampled_from(",;\t"),
    decimal_comma=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_a_table_written_in_any_dialect_is_read_back(
    rows, header, separator, decimal_comma, encoding, newline, quoting
):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator=newline, quoting=quoting)
    mark = "," if decimal_comma and separator != "," else "."
    if header:
        writer.writerow(header)
    for x, y, name in rows:
        writer.writerow([repr(x).replace(".", mark), repr(y).replace(".", mark), name])
    file = read_csv("points.csv", text.getvalue().encode(encoding))
    names = header or ("column 1", "column 2", "column 3")
    assert tuple(file.cells) == names
    assert set(file.numeric) == set(names[:2])
    np.testing.assert_array_equal(file.numbers(names[0]), [x for x, _, _ in rows])
    np.testing.assert_array_equal(file.numbers(names[1]), [y for _, y, _ in rows])
    assert file.cells[names[2]] == tuple(name for _, _, name in rows)


like_a_table = st.text('0123456789.,;\t\n\r"-+eEinfaN \x00é', max_size=400).map(str.encode)


@settings(max_examples=400, deadline=None)
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
