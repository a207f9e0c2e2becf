"""The bytes of a CSV file to its text, and the text to records of cells."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from itertools import islice

from app.csv_cells import MOST_IN_CELL, is_number
from app.text import plain

SEPARATORS = {"\t": "tab", ";": "semicolon", ",": "comma"}
_SEP_LINE = re.compile(r'"?sep=([^\r\n"])[;,\t "]*(?=[\r\n]|\Z)', re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_ROWS_TO_JUDGE_BY, _CHARACTERS_TO_JUDGE_BY = 200, 2**17
_FOREIGN = {
    b"PK\x03\x04": "a spreadsheet or a ZIP archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "compressed",
}
# It holds for the whole process, in which CSV is read only here. It also ends the search for a closing quote.
csv.field_size_limit(MOST_IN_CELL)


class CsvError(ValueError):
    """What is wrong with a file, where, and what to do about it: a sentence for the reader of the page."""


def decoded(data: bytes) -> str:
    """The text of a file. Raises CsvError."""
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


def records_of(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(line where it starts, stripped cells) of each record that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        for record in reader:
            yield line, [cell.strip().replace("\N{MINUS SIGN}", "-") for cell in record]
            line = reader.line_num + 1
    except csv.Error as error:
        if "field limit" in str(error):
            raise CsvError(
                f"Line {line}: a cell has more than {MOST_IN_CELL:,} characters. Shorten it. If it is not that long, a "
                "double quote is missing: add it."
            ) from error
        raise CsvError(
            f"Line {line}: the quotes cannot be read ({error}). Put texts that contain quotes or the separator between "
            "double quotes, and double the quotes inside."
        ) from error


def separated(text: str) -> tuple[str, str]:
    """The text and its separator. The line in which Excel names it is emptied and stays, so that lines count on."""
    asked = _SEP_LINE.match(text)
    if not asked:
        return text, _separator(text)
    if asked[1] not in SEPARATORS:
        raise CsvError(f"Line 1 asks for `{plain(asked[1])}` as separator. Use comma, semicolon or tab.")
    return text[asked.end() :], asked[1]


def _separator(text: str) -> str:
    """What separates most rows into two numbers or more; a comma separates only if nothing else does as well."""

    judged = _beginning(text)

    def rows(separator: str) -> int:
        found = 0
        try:
            for _, cells in islice(records_of(judged, separator), _ROWS_TO_JUDGE_BY):
                found += sum(map(is_number, cells)) >= 2
        except CsvError:
            return found if len(judged) < len(text) else 0  # what was cut off may have closed the quotes
        return found

    found = {separator: rows(separator) for separator in SEPARATORS}
    return max(SEPARATORS, key=found.get if any(found.values()) else text.count)


def _beginning(text: str) -> str:
    """The lines by which the separator is judged, without a part of a line."""
    if len(text) <= _CHARACTERS_TO_JUDGE_BY:
        return text
    cut = text[:_CHARACTERS_TO_JUDGE_BY]
    return cut[: 1 + max(cut.rfind("\n"), cut.rfind("\r"))] or cut
