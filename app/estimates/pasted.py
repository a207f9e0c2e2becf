"""A square matrix as it comes from a spreadsheet, from Python or from MATLAB."""

import re

from app.estimates.settings import MOST_SIDE, SIDES
from app.numbers import parsed_number
from app.text import plain

MOST_CHARACTERS = 2000


def matrix(text: str) -> tuple[float, ...]:
    """The entries, row by row. Raises ValueError, which says what was given and what to do."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"{len(text):,} characters: use at most {MOST_CHARACTERS:,}.")
    rows = [cells for row in _rows(text) if (cells := _cells(row))]
    if len(rows) == 1 and (side := SIDES.get(len(rows[0]))):
        rows = [rows[0][i : i + side] for i in range(0, side**2, side)]
    if len(rows) not in SIDES.values() or any(len(cells) != len(rows) for cells in rows):
        given = " and ".join(str(len(cells)) for cells in rows[:MOST_SIDE]) or "no"
        raise ValueError(
            f"{len(rows)} row{'s' * (len(rows) != 1)} with {given} numbers: give two rows of two, such as `[[0.45, "
            f"0.3], [-0.25, 0.2]]`, or another square matrix with up to {MOST_SIDE} rows."
        )
    return tuple(_entry(cell, i, j) for i, cells in enumerate(rows, 1) for j, cell in enumerate(cells, 1))


def _rows(text: str) -> list[str]:
    """In brackets each, or a line each; or in one line, with semicolons between them."""
    if "[" in text:
        return re.findall(r"\[([^\[\]]*)\]", text.replace("\n", ";")) if text.count("[") > 1 else _lines(text)
    return _lines(text)


def _lines(text: str) -> list[str]:
    lines = [line for line in text.replace("[", " ").replace("]", " ").splitlines() if line.strip()]
    if len(lines) != 1:
        return lines
    rows = lines[0].strip().strip(";").split(";")
    return rows if len(rows) == 2 or all(len(_cells(row)) == len(rows) for row in rows) else lines


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
