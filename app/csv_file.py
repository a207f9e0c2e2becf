"""Somebody's own points: the bytes of a CSV file to two columns of numbers, or a message that says what to mend.

Accepted: comma, semicolon or tab, also as Excel's first line `sep=;` says; with or without a line of names;
decimal commas where the comma does not separate; UTF-8, UTF-16 with its byte order mark, and Windows-1252. Lines are
numbered as an editor numbers them.
"""

import codecs
import csv
import hashlib
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product

import numpy as np

from app.text import distinct, plain
from resflow_core.datasets import FEWEST_ROWS, MOST_ROWS, Table
from resflow_core.datasets.table import LARGEST_VALUE

MOST_BYTES = 2 * 2**20
MOST_LABELS = 20
MISSING_LABEL = "(missing)"
DIGEST_DIGITS = 12

_ROWS_TO_JUDGE_BY = 200
_SEPARATORS = {"\t": "tab", ";": "semicolon", ",": "comma"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+([.,]0*)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?", re.ASCII)
_MARKS = {".": "decimal point", ",": "decimal comma"}
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?"})
_SEP_LINE = re.compile(r'"?sep=([^\r\n"])[;,\t "]*(?=[\r\n]|\Z)', re.IGNORECASE)
_BLANK = re.compile(r'[\s;,"]*')
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_ONE_COLUMN = "The file has one column only. Give it two, separated by comma, semicolon or tab."
_FOREIGN = {
    b"PK\x03\x04": "a spreadsheet or a ZIP archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "compressed",
}


class CsvError(ValueError):
    """What is wrong with a file, where, and what to do about it: a sentence for the reader of the page."""


@dataclass(frozen=True, eq=False)
class CsvFile:
    """A table of texts, rectangular, with a name for each column; `lines[i]` is where row i starts in the file."""

    name: str
    digest: str
    cells: dict[str, tuple[str, ...]]
    lines: tuple[int, ...]
    comma_separates: bool
    named: bool  # by its first line; else by numbers

    @cached_property
    def numeric(self) -> tuple[str, ...]:
        """The columns that hold numbers in at least half of their cells: what x and y may be."""
        return tuple(name for name, cells in self.cells.items() if 2 * sum(map(self._is_number, cells)) >= len(cells))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The columns that may name groups: text or whole numbers, of 2 to 20 different values."""
        return tuple(name for name in self.cells if not self._no_label(name))

    @property
    def note(self) -> str:
        """What was decided about the file and may not be what was meant, or ""."""
        return "" if self.named else f"No line of names: line {self.lines[0]} is read as data."

    def numbers(self, column: str) -> np.ndarray:
        """The column as float64. Raises CsvError at the first cell that is not a finite number."""
        return np.array([self._number(column, row) for row in range(len(self._column(column)))])

    def groups(self, column: str) -> tuple[str, ...]:
        """The column as labels of the rows. Raises CsvError where it cannot be that."""
        cells = self._column(column)
        if problem := self._no_label(column):
            raise CsvError(f"Column `{plain(column)}` cannot be a label: {problem}")
        return tuple(cell or MISSING_LABEL for cell in cells)

    def _column(self, column: str) -> tuple[str, ...]:
        if column not in self.cells:
            names = ", ".join(f"`{plain(name)}`" for name in self.cells)
            raise CsvError(f"`{plain(self.name)}` has no column `{plain(column)}`; it has {names}.")
        return self.cells[column]

    def _number(self, column: str, row: int) -> float:
        cell, line = self.cells[column][row], self.lines[row]
        at = f"Line {line}, column `{plain(column)}`"
        if _is_missing(cell):
            raise CsvError(f"{at}: the value is missing. Fill it in, or delete the line.")
        if _INFINITE.fullmatch(cell):
            raise CsvError(f"{at}: `{plain(cell)}` is not finite. Correct it, or delete the line.")
        if not self._is_number(cell):
            hint = (
                " Separate columns by semicolons if you use decimal commas." if _DECIMAL_COMMA.fullmatch(cell) else ""
            )
            raise CsvError(f"{at}: `{plain(cell)}` is not a number. Correct it, or delete the line.{hint}")
        value = float(cell.replace(",", "."))
        if abs(value) > LARGEST_VALUE:
            raise CsvError(f"{at}: `{plain(cell)}` is too large; use numbers up to {LARGEST_VALUE:g}.")
        return value

    def _is_number(self, cell: str) -> bool:
        return bool(_NUMBER.fullmatch(cell) or (not self.comma_separates and _DECIMAL_COMMA.fullmatch(cell)))

    def _no_label(self, column: str) -> str:
        """Why the column cannot name groups, or ""."""
        cells = self.cells[column]
        if (count := len(set(cells))) < 2:
            return "it has one value only. Choose one that tells rows apart."
        if column in self.numeric:
            for line, cell in zip(self.lines, cells, strict=True):
                if not (_WHOLE.fullmatch(cell) or _is_missing(cell)):
                    return f"`{plain(cell)}` in line {line} is no whole number. Choose text or whole numbers."
        if count > MOST_LABELS:
            return f"it has {count:,} different values, and {MOST_LABELS} are allowed. Choose one with fewer."
        return ""


def table(file: CsvFile, x: str, y: str, label: str | None = None) -> Table:
    """Two columns of `file` as a data set, with a third one as labels. Raises CsvError."""
    if x == y:
        raise CsvError(f"`{plain(x)}` is chosen for both axes. Choose two different columns.")
    values = np.column_stack([file.numbers(x), file.numbers(y)])
    _check_marks(file, (x, y))
    labels = None
    if label is not None:
        groups = file.groups(label)
        called = distinct(groups)
        labels = tuple(called[group] for group in groups)
    try:
        return Table(plain(file.name), (plain(x), plain(y)), values, labels=labels)
    except ValueError as error:  # a row of the table is a line of the file
        message = re.sub(r"^Row (\d+)", lambda match: f"Line {file.lines[int(match[1]) - 1]}", str(error))
        raise CsvError(message) from error


def _check_marks(file: CsvFile, columns: tuple[str, str]) -> None:
    """One decimal mark in both columns: where one has a comma, a point in the other may stand between thousands."""
    found: dict[str, str] = {}  # decimal mark -> where it was first seen
    for row, column in product(range(len(file.lines)), columns):
        cell = file.cells[column][row]
        for mark in _MARKS.keys() & set(cell):
            at = f"a {_MARKS[mark]} in line {file.lines[row]}, column `{plain(column)}` (`{plain(cell)}`)"
            found.setdefault(mark, at)
    if len(found) > 1:
        raise CsvError(
            f"There is {', and '.join(found.values())}. Use one of them in both columns, and nothing between thousands."
        )


def digest_of(data: bytes) -> str:
    """The first 12 hexadecimal digits of the contents' SHA-256: what a link knows a file by."""
    return hashlib.sha256(data).hexdigest()[:DIGEST_DIGITS]


def read_csv(name: str, data: bytes) -> CsvFile:
    """The file as a table with at least two columns of numbers. Raises CsvError, and nothing else."""
    if len(data) > MOST_BYTES:
        shown = math.ceil(100 * len(data) / 2**20) / 100  # rounded up, so that it is more than what is allowed
        raise CsvError(
            f"The file has {shown:.2f} MB; {MOST_BYTES // 2**20} are allowed. "
            f"Keep two columns and at most {MOST_ROWS:,} rows."
        )
    text, separator = _separated(_decoded(data))
    if _BLANK.fullmatch(text):
        raise CsvError("The file is empty. Give it two columns of numbers.")
    records = [(line, cells) for line, cells in _records(text, separator) if any(cells)]
    _check_shape(records, separator)
    first = records[0][1]
    named = not any(map(_looks_numeric, first))
    rows = records[1:] if named else records
    if len(rows) > MOST_ROWS:
        raise CsvError(f"The file has {len(rows):,} rows; {MOST_ROWS:,} are allowed. Keep a random part of them.")
    if len(rows) < FEWEST_ROWS:
        raise CsvError(f"The file has {len(rows)} rows of data; at least {FEWEST_ROWS} are needed. Add more.")
    columns = list(zip(*(cells for _, cells in rows), strict=True))
    header = first if named else [""] * len(first)
    cells = {name: column for name, column in zip(_names(header), columns, strict=True) if any(column)}
    file = CsvFile(name, digest_of(data), cells, tuple(line for line, _ in rows), separator == ",", named)
    if len(file.numeric) < 2:
        empty = [name for name, column in zip(header, columns, strict=True) if name and all(map(_is_missing, column))]
        raise CsvError(_why_not_two(file, empty))
    return file


def _decoded(data: bytes) -> str:
    for start, what in _FOREIGN.items():
        if data.startswith(start):
            raise CsvError(f"The file is {what}, not text. Save or export it as CSV first.")
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise CsvError("The file is text in UTF-32. Save it as UTF-8.")
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not _CONTROL.search(text):
            return text
    raise CsvError(
        "The file is not text in UTF-8, in UTF-16 with its byte order mark or in Windows-1252. Save it as CSV in UTF-8."
    )


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(line where it starts, stripped cells) of each record that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        for record in reader:
            yield line, [cell.strip().replace("\N{MINUS SIGN}", "-") for cell in record]
            line = reader.line_num + 1
    except csv.Error as error:
        raise CsvError(
            f"Line {line}: the quotes cannot be read ({error}). Put a text that contains quotes or the separator "
            "between double quotes, and double the quotes inside."
        ) from error


def _separated(text: str) -> tuple[str, str]:
    """The text and its separator. The line in which Excel names it is emptied and stays, so that lines count on."""
    asked = _SEP_LINE.match(text)
    if not asked:
        return text, _separator(text)
    if asked[1] not in _SEPARATORS:
        raise CsvError(f"Line 1 asks for `{plain(asked[1])}` as separator. Use comma, semicolon or tab.")
    return text[asked.end() :], asked[1]


def _separator(text: str) -> str:
    """What separates most rows into two numbers or more; a comma separates only if nothing else does as well."""

    def rows(separator: str) -> int:
        try:
            records = islice(_records(text, separator), _ROWS_TO_JUDGE_BY)
            return sum(sum(map(_looks_numeric, cells)) >= 2 for _, cells in records)
        except CsvError:
            return 0

    best = max(_SEPARATORS, key=rows)
    return best if rows(best) else max(_SEPARATORS, key=text.count)


def _is_missing(cell: str) -> bool:
    return cell.lower() in _MISSING


def _looks_numeric(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell) or _DECIMAL_COMMA.fullmatch(cell))


def _check_shape(records: list[tuple[int, list[str]]], separator: str) -> None:
    first_line, first = records[0]
    if len(first) < 2:
        wider = [(line, len(cells)) for line, cells in records if len(cells) > 1]
        if 2 * len(wider) < len(records):
            raise CsvError(_ONE_COLUMN)
        line, count = wider[0]
        raise CsvError(f"Line {first_line} has one cell, line {line} has {count}: delete the lines above the names.")
    for line, cells in records:
        if len(cells) != len(first):
            raise CsvError(
                f"Line {line} has {len(cells)} cells, but line {first_line} has {len(first)} (the separator is the "
                f"{_SEPARATORS[separator]}). Give every line as many, or put texts that contain the separator "
                "between double quotes."
            )


def _names(header: list[str]) -> list[str]:
    """The header's names, made different from each other, with a number where there is none."""
    names: list[str] = []
    for number, cell in enumerate(header, 1):
        name = base = cell or f"column {number}"
        copy = 1
        while name in names:
            copy += 1
            name = f"{base} ({copy})"
        names.append(name)
    return names


def _why_not_two(file: CsvFile, empty: list[str]) -> str:
    if len(file.cells) < 2 and not empty:
        return _ONE_COLUMN
    found = ", ".join(f"`{plain(name)}`" for name in file.numeric)
    needed = f"Two columns of numbers are needed; {f'only {found} holds' if found else 'no column holds'} them."
    if empty:
        return f"{needed} Column `{plain(empty[0])}` is empty. Fill it in, or give another one."
    try:
        file.numbers(next(name for name in file.cells if name not in file.numeric))
    except CsvError as error:
        return f"{needed} {error}"
