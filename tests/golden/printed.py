"""Numbers as they are printed, whatever the words around them."""

import re

SIGNS = str.maketrans("\N{MINUS SIGN}⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789")
NUMBER = re.compile(
    r"(?<![\w.])(?:[-\N{MINUS SIGN}](?=\d))?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+|·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?(?:[\s\u00a0]?%)?"
)
TIMED = re.compile(NUMBER.pattern + r"(?:\*\*)?[\s\u00a0]*(?:steps/s|s|ms|µs|seconds?|minutes?)\b")
TIME = re.compile(r"second|\btime\b|\bms\b|steps/s|/ s\b", re.IGNORECASE)
UNKNOWN = "varies"
ROUNDING = 1e-12


def numbers(text: str) -> list[str]:
    """The numbers of a text in order, such as 1,234, -0.5, 3.8e-5 and 95%; without times, and without the columns of
    tables that are about time."""
    lines = [line for part in _parts(text) for line in part]
    return [_plain(found) for line in lines for found in NUMBER.findall(TIMED.sub(" ", line))]


def agree(stored: str, found: str) -> bool:
    """Whether two are equal, up to one unit of the last printed digit: of whole numbers, if they are percentages. Both
    must be printed with as many digits. Of numbers that are printed in full the last digits are the processor's."""
    if stored in (found, UNKNOWN):
        return True
    if not any(mark in one for one in (stored, found) for mark in ".e%"):
        return False
    (a, unit), (b, other) = _read(stored), _read(found)
    if max(unit, other) < ROUNDING * abs(a):
        return abs(a - b) <= ROUNDING * abs(a)
    return unit == other and abs(a - b) <= 1.001 * unit


def _parts(text: str) -> list[list[str]]:
    """The lines of a text; those of each Markdown table without its columns about time."""
    parts, table = [], []
    for line in [*text.split("\n"), ""]:
        if line.lstrip().startswith("|"):
            table.append(line)
            continue
        parts += [_without_times(table), [line]]
        table = []
    return parts


def _without_times(table: list[str]) -> list[str]:
    rows = [line.strip().strip("|").split("|") for line in table]
    timed = {k for k, heading in enumerate(rows[0]) if TIME.search(heading)} if rows else set()
    return [" | ".join(cell for k, cell in enumerate(row) if k not in timed) for row in rows]


def _plain(number: str) -> str:
    return re.sub(r"[\s\u00a0]", "", number).replace("·10", "e").translate(SIGNS)


def _read(number: str) -> tuple[float, float]:
    """A printed number, and one unit of its last digit."""
    mantissa, _, exponent = number.rstrip("%").replace(",", "").partition("e")
    _, _, decimals = mantissa.partition(".")
    power = 10.0 ** int(exponent or 0)
    return float(mantissa) * power, 10.0 ** -len(decimals) * power
