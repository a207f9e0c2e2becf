"""What a cell of a CSV file is: a number, a missing value, or a text. A longer cell than `MOST_DIGITS` is a text."""

import re

MOST_DIGITS = 100
"""Characters of a number; a float64 that is written out in full has at most 24."""
MOST_IN_LABEL = 200
"""Characters of a label of rows."""
MOST_IN_CELL = 32_767
"""Characters of any cell; no spreadsheet has longer ones."""

MARKS = {".": "decimal point", ",": "decimal comma"}

# Two runs of digits with nothing between them, as in \d+\.?\d*, would share a long one in every way there is.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+([.,]0*)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?"})


def has_point(cell: str) -> bool:
    """Whether it is a number, with a decimal point if with any mark."""
    return len(cell) <= MOST_DIGITS and bool(_NUMBER.fullmatch(cell))


def has_comma(cell: str) -> bool:
    """Whether it is a number with a decimal comma."""
    return len(cell) <= MOST_DIGITS and bool(_DECIMAL_COMMA.fullmatch(cell))


def is_number(cell: str, comma_separates: bool = False) -> bool:
    """Whether it is a number; with a decimal comma only where no comma separates the cells."""
    return has_point(cell) or (not comma_separates and has_comma(cell))


def is_whole(cell: str) -> bool:
    """Whether it is a whole number, perhaps written as 1.0."""
    return len(cell) <= MOST_DIGITS and bool(_WHOLE.fullmatch(cell))


def is_infinite(cell: str) -> bool:
    return len(cell) <= MOST_DIGITS and bool(_INFINITE.fullmatch(cell))


def is_missing(cell: str) -> bool:
    return len(cell) <= MOST_DIGITS and cell.lower() in _MISSING
