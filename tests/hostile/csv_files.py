"""CSV files that are meant to take long or to break something: an entry of `ATTACKS` makes one of about `n` bytes."""

import codecs
import random
from collections.abc import Callable

from app.csv_file import CsvError, read_csv, table

SOUND = b"".join(b"%d.5,%d\n" % (i, i * i) for i in range(25))
MOST_COLUMNS_READ = 30


def last(cell: str) -> bytes:
    """A sound file whose last line begins with a cell."""
    return b"x,y\n" + SOUND + cell.encode() + b",2\n"


def numbered(line: Callable[[int], str], n: int, header: str = "x,y") -> bytes:
    """At least 25 lines by their numbers, until there are `n` bytes of them."""
    lines, size = [header], 0
    while size < n or len(lines) < 26:
        lines.append(line(len(lines)))
        size += len(lines[-1]) + 1
    return "\n".join(lines).encode()


ATTACKS: dict[str, Callable[[int], bytes]] = {
    "digits and a letter": lambda n: last("1" * n + "x"),
    "numbers of 101 digits": lambda n: numbered(lambda i: "1" * 101 + "," + "2" * 101, n),
    "minus signs": lambda n: last("\N{MINUS SIGN}" * (n // 3)),
    "one name for all columns": lambda n: b"\n".join([b",".join([b"x"] * (n // 60)), *[b"1," * (n // 60)] * 25]),
    "a longer line each time": lambda n: numbered(lambda i: "1," * i + "1", n),
    "all separators": lambda n: b",;\t" * (n // 3),
    "an odd quote in each line": lambda n: numbered(lambda i: '"1,2', n),
    "lone surrogates": lambda n: "\ud800,\udfff\n".encode("utf-8", "surrogatepass") * (n // 8),
    "UTF-16, half a character": lambda n: codecs.BOM_UTF16_LE + b"1\x00" * (n // 2) + b"1",
    "separator lines": lambda n: b"sep=;\n" * (n // 6),
    "overflows": lambda n: numbered(lambda i: "1e999,-1e999", n),
    "a label a line": lambda n: numbered(lambda i: f"{i}.5,{i * i % 997},n{i}", n, "x,y,label"),
    "20 labels": lambda n: numbered(lambda i: f"{i}.5,{i * i % 997},n{i % 20}", n, "x,y,label"),
    "random characters": lambda n: bytes(random.Random(n).choices(b'0123456789.,;\t\n\r"-+eEinfaN ', k=n)),
}


def answered(data: bytes) -> list[str]:
    """All that a page asks of a file; what was said of it. Raises nothing but what it should not."""
    said = []

    def asked(read, *columns):
        try:
            return read(*columns)
        except CsvError as error:
            said.append(str(error))

    file = asked(read_csv, "points.csv", data)
    if file is None:
        return said
    assert len(file.numeric) >= 2
    assert set(file.labels) <= set(file.cells)
    for column in [*file.cells][:MOST_COLUMNS_READ]:
        found = asked(file.numbers, column)
        assert found is None or len(found) == len(file.lines)
        groups = asked(file.groups, column)
        assert groups is None or (len(groups) == len(file.lines) and column in file.labels)
    for label in (None, *file.labels[:2]):
        data_set = asked(table, file, *file.numeric[:2], label)
        if data_set is not None and label is not None:
            classes = data_set.held_out_classes()
            assert 0 <= int(classes.min()) <= int(classes.max()) < len(data_set.classes)
    return said
