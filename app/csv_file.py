"""Somebody's own points: the bytes of a CSV file to two columns of numbers, or a message that says what to mend.

Accepted: comma, semicolon or tab, also as Excel's first line `sep=;` says; with or without a line of names;
decimal commas where the comma does not separate; UTF-8, UTF-16 with its byte order mark, and Windows-1252. Lines are
numbered as an editor numbers them.

A file may come from anybody, and other visitors wait while it is read. So its size, its rows, its columns and the
length of its cells are limited, and the time that it takes grows as its length does.
"""

import hashlib
import math
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product

import numpy as np

from app.csv_cells import MARKS, MOST_DIGITS, MOST_IN_LABEL, has_comma, is_infinite, is_missing, is_number, is_whole
from app.csv_text import SEPARATORS, CsvError, decoded, records_of, separated
from app.text import distinct, plain
from resflow_core.data import FEWEST_ROWS, MOST_ROWS, Table
from resflow_core.data.table import LARGEST_VALUE

MOST_BYTES = 2 * 2**20
MOST_COLUMNS = 1_000
MOST_LABELS = 20
MISSING_LABEL = "(missing)"
DIGEST_DIGITS = 12

_MOST_NAMED = 10
_BLANK = re.compile(r'[\s;,"]*')
_ONE_COLUMN = "The file has only one column. Use two, separated by comma, semicolon or tab."


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
    def _numeric(self) -> frozenset[str]:
        return frozenset(self.numeric)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The columns that may name groups: text or whole numbers, of 2 to 20 different values."""
        return tuple(name for name in self.cells if not self._no_label(name))

    @property
    def note(self) -> str:
        """What was decided about the file and may not be what was meant, or ""."""
        return "" if self.named else f"The file has no line with names, so line {self.lines[0]} is read as data."

    def numbers(self, column: str) -> np.ndarray:
        """The column as float64. Raises CsvError at the first cell that is not a finite number."""
        cells = self._column(column)
        return np.array([self._number(column, *at) for at in zip(self.lines, cells, strict=True)])

    def groups(self, column: str) -> tuple[str, ...]:
        """The column as labels of the rows. Raises CsvError where it cannot be that."""
        cells = self._column(column)
        if problem := self._no_label(column):
            raise CsvError(f"Column `{plain(column)}` cannot be a label: {problem}")
        return tuple(cell or MISSING_LABEL for cell in cells)

    def _column(self, column: str) -> tuple[str, ...]:
        if column not in self.cells:
            names = ", ".join(f"`{plain(name)}`" for name in islice(self.cells, _MOST_NAMED))
            more = f" and {len(self.cells) - _MOST_NAMED:,} more" if len(self.cells) > _MOST_NAMED else ""
            raise CsvError(f"`{plain(self.name)}` has no column `{plain(column)}`; it has {names}{more}.")
        return self.cells[column]

    def _number(self, column: str, line: int, cell: str) -> float:
        if not self._is_number(cell):
            raise CsvError(f"Line {line}, column `{plain(column)}`: {self._why_no_number(cell)}")
        value = float(cell.replace(",", "."))
        if abs(value) > LARGEST_VALUE:
            raise CsvError(
                f"Line {line}, column `{plain(column)}`: `{plain(cell)}` is too large; use numbers up to "
                f"{LARGEST_VALUE:g}."
            )
        return value

    def _why_no_number(self, cell: str) -> str:
        if is_missing(cell):
            return "the value is missing. Fill it in, or delete the line."
        if is_infinite(cell):
            return f"`{plain(cell)}` is not finite. Correct it, or delete the line."
        if len(cell) > MOST_DIGITS:
            return (
                f"`{plain(cell)}` has {len(cell):,} characters, and a number has at most {MOST_DIGITS}. Correct it, or "
                "delete the line."
            )
        hint = " Separate columns by semicolons if you use decimal commas." if has_comma(cell) else ""
        return f"`{plain(cell)}` is not a number. Correct it, or delete the line.{hint}"

    def _is_number(self, cell: str) -> bool:
        return is_number(cell, self.comma_separates)

    def _no_label(self, column: str) -> str:
        """Why the column cannot name groups, or ""."""
        cells = self.cells[column]
        if (count := len(set(cells))) < 2:
            return "all its values are the same. Choose a column with different values."
        if column in self._numeric:
            for line, cell in zip(self.lines, cells, strict=True):
                if not (is_whole(cell) or is_missing(cell)):
                    return f"`{plain(cell)}` in line {line} is not a whole number. Choose text or whole numbers."
        if count > MOST_LABELS:
            return f"it has {count:,} different values, and {MOST_LABELS} are allowed. Choose one with fewer."
        for line, cell in zip(self.lines, cells, strict=True):
            if len(cell) > MOST_IN_LABEL:
                return (
                    f"`{plain(cell)}` in line {line} has {len(cell):,} characters, and {MOST_IN_LABEL} are allowed. "
                    "Choose one with shorter values."
                )
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
        for mark, title in MARKS.items():
            if mark not in found and mark in cell:
                found[mark] = f"a {title} in line {file.lines[row]}, column `{plain(column)}` (`{plain(cell)}`)"
        if len(found) > 1:
            raise CsvError(
                f"There is {', and '.join(found.values())}. Use the same one in both columns, and put nothing between "
                "thousands."
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
    text, separator = separated(decoded(data))
    if _BLANK.fullmatch(text):
        raise CsvError("The file is empty. Give it two columns of numbers.")
    filled = ((line, cells) for line, cells in records_of(text, separator) if any(cells))
    records = list(islice(filled, MOST_ROWS + 2))  # with the names, and one row more than there may be
    _check_shape(records, separator)
    first = records[0][1]
    named = not any(map(is_number, first))
    rows = records[1:] if named else records
    if len(rows) > MOST_ROWS:
        count = f"more than {MOST_ROWS:,}" if next(filled, None) else f"{len(rows):,}"
        raise CsvError(f"The file has {count} rows; {MOST_ROWS:,} are allowed. Keep a random part of them.")
    if len(rows) < FEWEST_ROWS:
        raise CsvError(f"The file has {len(rows)} rows of data; at least {FEWEST_ROWS} are needed. Add more.")
    columns = list(zip(*(cells for _, cells in rows), strict=True))
    header = first if named else [""] * len(first)
    cells = {name: column for name, column in zip(_names(header), columns, strict=True) if any(column)}
    file = CsvFile(name, digest_of(data), cells, tuple(line for line, _ in rows), separator == ",", named)
    if len(file.numeric) < 2:
        empty = [name for name, column in zip(header, columns, strict=True) if name and all(map(is_missing, column))]
        raise CsvError(_why_not_two(file, empty))
    return file


def _check_shape(records: list[tuple[int, list[str]]], separator: str) -> None:
    first_line, first = records[0]
    for line, cells in records:
        if len(cells) > MOST_COLUMNS:
            raise CsvError(
                f"Line {line} has {len(cells):,} cells; {MOST_COLUMNS:,} columns are allowed. Keep the ones that you "
                "need."
            )
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
                f"{SEPARATORS[separator]}). Give all lines the same number of cells, or put texts that contain the "
                "separator between double quotes."
            )


def _names(header: list[str]) -> list[str]:
    """The header's names, made different from each other, with a number where there is none."""
    names: dict[str, None] = {}
    copies: dict[str, int] = {}  # how many of a name there are: none is tried twice
    for number, cell in enumerate(header, 1):
        name = base = cell or f"column {number}"
        while name in names:
            copies[base] = copies.get(base, 1) + 1
            name = f"{base} ({copies[base]})"
        names[name] = None
    return list(names)


def _why_not_two(file: CsvFile, empty: list[str]) -> str:
    if len(file.cells) < 2 and not empty:
        return _ONE_COLUMN
    found = ", ".join(f"`{plain(name)}`" for name in file.numeric)
    needed = f"Two columns of numbers are needed; {f'only {found} holds' if found else 'no column holds'} them."
    if empty:
        return f"{needed} Column `{plain(empty[0])}` is empty. Fill it in, or use another column."
    try:
        file.numbers(next(name for name in file.cells if name not in file.numeric))
    except CsvError as error:
        return f"{needed} {error}"
