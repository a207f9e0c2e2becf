"""Text in our messages: what somebody else typed, and numbers; and rows of both as a table."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any


def plain(text: str, most: int = 40) -> str:
    """`text` fit to be shown between backticks: short, printable, and without Markdown's quotes."""
    return "".join(c for c in text[:most] if c.isprintable() and c != "`")


def signed(text: str) -> str:
    """Text with a minus sign for the hyphen of each number in it, exponents too."""
    return re.sub(r"-(?=[\d.\N{INFINITY}])", "\N{MINUS SIGN}", text)


def markdown_table(rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells as Markdown: the headings first, then how their columns are aligned."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def csv_of(rows: Iterable[dict[str, Any]]) -> bytes:
    """Rows as a file; one that lacks a column has an empty cell there."""
    rows = list(rows)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(name for row in rows for name in row)), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()
