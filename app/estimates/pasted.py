"""A 2 x 2 matrix as it comes from a spreadsheet, from Python or from MATLAB."""

import re

from app.numbers import parsed_number
from app.text import plain

MOST_CHARACTERS = 2000
SIDE = 2


def matrix(text: str) -> tuple[float, ...]:
    """The four entries, row by row. Raises ValueError, which says what was given and what to do."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"{len(text):,} characters: use at most {MOST_CHARACTERS:,}.")
    rows = [cells for row in _rows(text) if (cells := _cells(row))]
    if len(rows) == 1 and len(rows[0]) == SIDE**2:
        rows = [rows[0][:SIDE], rows[0][SIDE:]]
    if [len(cells) for cells in rows] != [SIDE] * SIDE:
        given = " and ".join(str(len(cells)) for cells in rows[:4]) or "no"
        raise ValueError(
            f"{len(rows)} row{'s' * (len(rows) != 1)} with {given} numbers: give two rows of two, such as "
            "`[[0.45, 0.3], [-0.25, 0.2]]`."
        )
    return tuple(_entry(cell, i, j) for i, cells in enumerate(rows, 1) for j, cell in enumerate(cells, 1))


def _rows(text: str) -> list[str]:
    """In brackets each, or a line each; or in one line, with semicolons between them."""
    if "[" in text:
        return re.findall(r"\[([^\[\]]*)\]", text.replace("\n", ";")) if text.count("[") > 1 else _lines(text)
    return _lines(text)


def _lines(text: str) -> list[str]:
    lines = [line for line in text.replace("[", " ").replace("]", " ").splitlines() if line.strip()]
    return lines[0].split(";") if len(lines) == 1 and lines[0].count(";") == 1 else lines


def _cells(row: str) -> list[str]:
    """Between tabs, semicolons or spaces, where a comma is a decimal one; else between commas."""
    row = row.strip().strip(";")
    if re.search(r"[\t;]", row):
        return [cell.strip().replace(",", ".") for cell in re.split(r"[\t;]+", row)]
    spaced = row.split()
    if len(spaced) > 1 and not any(cell.startswith(",") or cell.endswith(",") for cell in spaced):
        return [cell.replace(",", ".") for cell in spaced]
    return [cell.strip() for cell in row.split(",") if cell.strip()]


def _entry(cell: str, i: int, j: int) -> float:
    try:
        return parsed_number(cell)
    except ValueError as error:
        raise ValueError(f"Row {i}, column {j}, `{plain(cell, 20)}`: {error}") from None
