"""CSV files that are meant to take long or to break something: an entry of `ATTACKS` makes one of about `n` bytes."""

import codecs
import random
from collections.abc import Callable

SOUND = b"".join(b"%d.5,%d\n" % (i, i * i) for i in range(25))


def filled(part: str | bytes, n: int) -> bytes:
    """A part as often as it goes into `n` bytes, at least once."""
    part = part.encode() if isinstance(part, str) else part
    return part * max(1, n // len(part))


def rows(part: str | bytes, n: int, header: bytes = b"x,y\n") -> bytes:
    """A line again and again, below a header; at least 25 times."""
    part = part.encode() if isinstance(part, str) else part
    return header + (part + b"\n") * max(25, n // (len(part) + 1))


def last(cell: str | bytes) -> bytes:
    """A sound file whose last line begins with a cell."""
    return b"x,y\n" + SOUND + (cell.encode() if isinstance(cell, str) else cell) + b",2\n"


def numbered(line: Callable[[int], str], n: int, header: str = "x,y") -> bytes:
    """Lines by their numbers, until there are `n` bytes of them."""
    lines, size = [header], 0
    while size < n or len(lines) < 26:
        lines.append(line(len(lines)))
        size += len(lines[-1]) + 1
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def wide(name: Callable[[int], str], n: int, cell: str = "1") -> bytes:
    """A header of as many columns as there is room for, and the same again as 25 lines of cells."""
    columns = max(2, n // (25 * (len(cell) + 1) + len(name(0)) + 1))
    line = ",".join([cell] * columns)
    return "\n".join([",".join(map(name, range(columns))), *[line] * 25]).encode()


def square(n: int) -> bytes:
    """As many columns as lines."""
    columns = min(1_000, max(25, int((n / 2) ** 0.5)))
    return "\n".join([",".join(["1"] * columns)] * max(25, n // (2 * columns))).encode()


def taken(n: int) -> bytes:
    """Names that are what the copies of another would be called."""
    columns = max(4, n // 60)
    names = [f"x ({k})" for k in range(2, columns // 2)] + ["x"] * (columns - columns // 2 + 2)
    return "\n".join([",".join(names), *[",".join(["1"] * len(names))] * 25]).encode()


def chance(pool: bytes) -> Callable[[int], bytes]:
    return lambda n: bytes(random.Random(n).choices(pool, k=n))


def below(header: bytes, make: Callable[[int], bytes]) -> Callable[[int], bytes]:
    return lambda n: header + SOUND + make(n)


def labelled(label: Callable[[int], str]) -> Callable[[int], bytes]:
    """Three columns, of which the last one may name groups."""
    return lambda n: numbered(lambda i: f"{i}.5,{i * i % 997},{label(i)}", n, "x,y,label")


ATTACKS: dict[str, Callable[[int], bytes]] = {
    "digits": lambda n: last("1" * n),
    "digits and a letter": lambda n: last("1" * n + "x"),
    "digits, a point, digits and a letter": lambda n: last("1" * (n // 2) + "." + "1" * (n // 2) + "x"),
    "a point, digits and a letter": lambda n: last("." + "1" * n + "x"),
    "digits with a comma and a letter": lambda n: b"x;y\n" + SOUND.replace(b",", b";") + b"1" * n + b",5x;2\n",
    "a long exponent": lambda n: last("1e" + "9" * n),
    "a long exponent and a letter": lambda n: last("1e-" + "9" * n + "x"),
    "whole numbers as labels, long": lambda n: numbered(lambda i: f"{i},{i * i},{'1' * (n // 30)}{i % 2}", n, "x,y,g"),
    "whole numbers with noughts and a letter": lambda n: numbered(lambda i: f"{i},{i * i},1.{'0' * 90}x", n, "x,y,g"),
    "numbers of 20,000 digits": lambda n: rows("1" * min(20_000, n // 50) + "," + "2" * min(20_000, n // 50), n),
    "numbers of 100 digits": lambda n: rows("1" * 100 + ",." + "2" * 99, n),
    "numbers of 99 digits and a letter": lambda n: rows("1" * 99 + "x," + "2" * 99 + "y", n),
    "numbers of 101 digits": lambda n: rows("1" * 101 + "," + "2" * 101, n),
    "points": lambda n: last("." * n),
    "points and digits": lambda n: last("1." * (n // 2)),
    "signs": lambda n: last("+-" * (n // 2)),
    "exponents": lambda n: last("1e" * (n // 2)),
    "commas in a cell": lambda n: b"x;y\n" + SOUND.replace(b",", b";") + b"1," * (n // 2) + b";2\n",
    "minus signs": lambda n: last("\N{MINUS SIGN}" * (n // 3)),
    "digits of other scripts": lambda n: last("\u0661" * (n // 2)),
    "many columns": lambda n: wide(lambda i: f"c{i}", n),
    "many columns in one line": lambda n: filled("1,", n),
    "as many columns as lines": square,
    "one name for all columns": lambda n: wide(lambda i: "x", n),
    "two names for all columns": lambda n: wide(lambda i: "xy"[i % 2], n),
    "names of copies before the names": taken,
    "no names": lambda n: wide(lambda i: "", n),
    "names that are quotes": lambda n: wide(lambda i: '""""""', n),
    "a long name": lambda n: b"x" * n + b",y\n" + SOUND,
    "long names": lambda n: wide(lambda i: "n" * 300, n),
    "missing cells": lambda n: wide(lambda i: f"c{i}", n, "NA"),
    "a longer line each time": lambda n: numbered(lambda i: "1," * i + "1", n),
    "one line that is longer": lambda n: b"x,y\n" + SOUND + filled("1,", n) + b"1\n",
    "commas": lambda n: filled(",", n),
    "semicolons": lambda n: filled(";", n),
    "tabs": lambda n: filled("\t", n),
    "all separators": lambda n: filled(",;\t", n),
    "separators below": below(b"x,y\n", lambda n: filled(",", n)),
    "line ends": lambda n: filled("\n", n),
    "carriage returns": lambda n: filled("\r", n),
    "blank lines below": below(b"x,y\n", lambda n: filled("\n", n)),
    "blank lines between": lambda n: (filled("\n", n // 30)).join([b"x,y", *SOUND.split()]),
    "spaces": lambda n: last(" " * n + "1" + " " * n),
    "a number a line": lambda n: filled("1\n", n),
    "two numbers a line": lambda n: numbered(lambda i: f"{i % 10},{i * i % 10}", n),
    "two numbers a line, with semicolons": lambda n: numbered(lambda i: f"{i % 10},5;{i * i % 10},5", n, "x;y"),
    "quotes": lambda n: filled('"', n),
    "an odd quote below": below(b"x,y\n", lambda n: b'"' + filled("1,2\n", n)),
    "an odd quote above": lambda n: b'"x,y\n' + filled("1,2\n", n),
    "an odd quote in each line": lambda n: rows('"1,2', n),
    "a quote inside each cell": lambda n: rows('1"2,3"4', n),
    "quoted cells": lambda n: rows('"1","2"', n),
    "quoted quotes": lambda n: last('"' + '""' * (n // 2) + '"'),
    "a quote and more": lambda n: last('"1"' * (n // 3)),
    "NULs": lambda n: filled(b"\0", n),
    "a NUL below": below(b"x,y\n", lambda n: filled("1,2\n", n) + b"\0"),
    "control characters": lambda n: filled("\x01\x02", n),
    "lone surrogates": lambda n: filled("\ud800,\udfff\n".encode("utf-8", "surrogatepass"), n),
    "UTF-16": lambda n: numbered(lambda i: f"{i},{i * i}", n // 2).decode().encode("utf-16"),
    "UTF-16, big-endian": lambda n: b"\xfe\xff" + "".join(f"{i}.5,1\n" for i in range(n // 16)).encode("utf-16-be"),
    "UTF-16 with lone surrogates": lambda n: codecs.BOM_UTF16_LE + filled(b"\x00\xd8,\x00\n\x00", n),
    "UTF-16, half a character": lambda n: codecs.BOM_UTF16_LE + filled(b"1\x00", n) + b"1",
    "UTF-16 without its mark": lambda n: filled("1,2\n".encode("utf-16-le"), n),
    "UTF-32": lambda n: filled("1,2\n", n // 4).decode().encode("utf-32"),
    "UTF-8 that is Windows-1252": lambda n: rows("\u00e9,1".encode("cp1252"), n),
    "a separator line": lambda n: b"sep=;\n" + filled("1;2\n", n),
    "a separator line of separators": lambda n: b"sep=;" + filled(";", n),
    "a separator line of separators and a letter": lambda n: b"sep=;" + filled(';,\t "', n) + b"x\n1;2",
    "separator lines": lambda n: filled("sep=;\n", n),
    "a separator line that is none": lambda n: b"sep=|\n" + filled("1|2\n", n),
    "a giant cell": lambda n: last("n" * n),
    "a giant cell in quotes": lambda n: last('"' + "n,\n" * (n // 3) + '"'),
    "long cells": lambda n: numbered(lambda i: f"{i},{i * i},{'t' * 2_000}{i}", n, "x,y,text"),
    "both decimal marks": lambda n: numbered(lambda i: f"{i}.5;{i},5", n, "x;y"),
    "a decimal mark at the end": lambda n: numbered(lambda i: f"{i};{i * i}", n, "x;y") + b"\n1.5;2,5\n",
    "thousands": lambda n: numbered(lambda i: f"1,{i:03};2.{i:03}", n, "x;y"),
    "infinities": lambda n: rows("inf,-Infinity", n),
    "an infinity below": below(b"x,y\n", lambda n: filled("1,2\n", n) + b"inf,1\n"),
    "overflows": lambda n: rows("1e999,-1e999", n),
    "the largest numbers": lambda n: numbered(lambda i: f"{'-' * (i % 2)}1e100,{i}e99", n),
    "the smallest numbers": lambda n: numbered(lambda i: f"{i}e-320,{i * i}e-310", n),
    "numbers that differ by rounding": lambda n: numbered(lambda i: f"1.{'0' * 15}{i % 7},1.{'0' * 14}{i % 5}", n),
    "one point": lambda n: rows("1,2", n),
    "one line": lambda n: numbered(lambda i: f"{i},{2 * i}", n),
    "an outlier": lambda n: numbered(lambda i: f"{i % 10},{1e99 if i == 9 else i % 7}", n),
    "long labels": labelled(lambda i: "n" * 5_000 + str(i % 5)),
    "labels of 200 characters": labelled(lambda i: "n" * 199 + str(i % 5)),
    "labels of 201 characters": labelled(lambda i: "n" * 200 + str(i % 5)),
    "a label a line": labelled(lambda i: f"n{i}"),
    "21 labels": labelled(lambda i: f"n{i % 21}"),
    "20 labels": labelled(lambda i: f"n{i % 20}"),
    "labels of backticks": labelled(lambda i: "`*[$_" * (1 + i % 3)),
    "labels in other scripts": labelled(lambda i: "\u202e\u0300\U0001f600"[i % 3]),
    "labels by whole numbers": labelled(lambda i: f"{i % 3}.{'0' * 50}"),
    "labels by numbers": labelled(lambda i: f"{i % 3}.5"),
    "underscores": lambda n: rows("1_000,2", n),
    "random bytes": chance(bytes(range(256))),
    "random characters": chance(bytes(range(32, 127))),
    "random characters of a table": chance(b'0123456789.,;\t\n\r"-+eEinfaN '),
    "random characters below": below(b"x,y\n", chance(b'0123456789.,;\t\n"-+eE')),
    "random digits and commas": chance(b"0123456789,\n"),
}  # fmt: skip
