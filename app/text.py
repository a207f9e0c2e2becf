"""Text in our messages: what somebody else typed, and numbers; and rows of both as a table."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

EXPONENT = re.compile(r"(?<=\d)e([+-]\d+)\b")
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def plain(text: str, most: int = 40) -> str:
    """`text` fit to be shown between backticks: short, printable, and without Markdown's quotes."""
    return "".join(c for c in text[:most] if c.isprintable() and c != "`")


def signed(text: str) -> str:
    """Text with its numbers as they are written by hand: with a minus sign, and 3.8·10⁻⁵ for 3.8e-05."""
    return re.sub(r"-(?=[\d.\N{INFINITY}])", "\N{MINUS SIGN}", EXPONENT.sub(_power_of_ten, text))


def unbroken(text: str) -> str:
    """Text that no line breaks."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _power_of_ten(found: re.Match) -> str:
    return f"·10{str(int(found[1])).translate(RAISED)}"


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
