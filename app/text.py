"""Text in our messages: what somebody else typed, and numbers; and rows of both as a table.

What comes from a link or a file is shown through one of four functions: `plain` where text is drawn as it is, and
between backticks; `quoted` as code in Markdown; `escaped` within its sentences; `distinct` as names to choose from.
Streamlit reads labels, captions, messages and help as Markdown.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

NOTHING = "?"
# More is not looked at: a file may hold a text of megabytes.
MOST_READ = 1000
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
# No escape stops what Streamlit looks for in the text that is left: addresses, `:smile:` and `:material/face:`.
ADDRESS = re.compile(r"(:|@|www(?=\\\.))", re.IGNORECASE)
JOINER = "\N{WORD JOINER}"
# A spreadsheet takes a cell that begins so for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
EXPONENT = re.compile(r"(?<=\d)e([+-]\d+)\b")
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def plain(text: str, most: int = 40) -> str:
    """`text` in one short line, to be drawn as it is or between backticks: at most so many characters, all of them
    printable, without Markdown's quotes, and at least one. Where it goes on, it ends with three dots. What is plain
    stays as it is."""
    readable = (c for c in text[:MOST_READ] if (c.isprintable() or c.isspace()) and c != "`")
    seen = " ".join("".join(readable).split())
    goes_on = len(seen) > most or len(text) > MOST_READ
    return f"{seen[: most - 1]}…" if goes_on else seen or NOTHING


def quoted(text: str, most: int = 40) -> str:
    """`text` as code in Markdown; not for tables, which a `|` divides even there."""
    return f"`{plain(text, most)}`"


def escaped(text: str, most: int = 40) -> str:
    """`text` within a sentence of Markdown, where it reads as it is: no link, picture, formula, sign or colour comes of
    it. Invisible joiners break what Markdown's own escapes would leave an address or an icon."""
    return ADDRESS.sub(rf"\1{JOINER}", PUNCTUATION.sub(r"\\\1", plain(text, most)))


def distinct(texts: Iterable[str], most: int = 40) -> dict[str, str]:
    """What each text is called where one of them is chosen: `plain`, and numbered where two would read alike."""
    found, taken, copies = {}, set(), Counter()
    for text in texts:
        if text in found:
            continue
        name = base = plain(text, most)
        while name in taken:
            copies[base] += 1
            name = f"{base} ({copies[base] + 1})"
        taken.add(name)
        found[text] = name
    return found


def file_name(text: str) -> str:
    """`text` as the name of a file to save: letters, digits, and a few signs that no system minds."""
    return re.sub(r"[^\w.() -]+", "_", plain(text)).strip(" .") or "_"


def listed(parts: Sequence[str]) -> str:
    """Parts in a sentence: "a", "a and b", "a, b and c"."""
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]


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
    """Rows as a file; one that lacks a column has an empty cell there. A text that a spreadsheet would take for a
    formula begins with an apostrophe; numbers stay numbers."""
    rows = [{_cell(name): _cell(value) for name, value in row.items()} for row in rows]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(name for row in rows for name in row)), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
