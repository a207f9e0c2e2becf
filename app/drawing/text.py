"""Strokes as the text of a link, and back: URL-safe base64 without padding.

The bytes: version, CRC-32 of the rest, then for each stroke one byte (kind and brush), the count of its places, the
first of them in three bytes, and each other one as two signed bytes, its distance from the one before. The count
takes seven bits a byte, the lowest first. A text is read once from its beginning to its end.
"""

import base64
import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

from app.drawing.strokes import MOST_DOTS, DrawingError, Stroke, checked

VERSION = 1
MOST_IN_LINK = 4_096
"""Characters of a drawing in a link; a longer one is a file."""

_HEAD = 7  # bytes: version, CRC-32, and how many bytes follow
_KIND_BITS = 0b11
_PLACE_BYTES, _PLACE_BITS, _PLACE = 3, 10, 0b1111111111
_MORE, _SEVEN = 0b10000000, 0b01111111
_MOST_COUNT_BYTES = 3


def to_text(strokes: Sequence[Stroke]) -> str:
    """The text of these strokes, of any length."""
    body = b"".join(map(_to_bytes, strokes))
    head = bytes([VERSION]) + zlib.crc32(body).to_bytes(4, "big") + len(body).to_bytes(2, "big")
    return base64.urlsafe_b64encode(head + body).decode("ascii").rstrip("=")


def fits(strokes: Sequence[Stroke]) -> bool:
    """Whether a link holds their text; without making it where there are far too many."""
    return sum(2 * len(stroke.dots) + 3 for stroke in strokes) <= MOST_IN_LINK and len(to_text(strokes)) <= MOST_IN_LINK


def from_text(text: str) -> tuple[Stroke, ...]:
    """The strokes of a text. Raises DrawingError, and nothing else."""
    if len(text) > MOST_IN_LINK:
        raise DrawingError(
            f"The drawing has {len(text):,} characters, and a link holds {MOST_IN_LINK:,}. Save it as a CSV file, and "
            "open that."
        )
    if not re.fullmatch("[A-Za-z0-9_-]+", text):
        raise DrawingError(
            "The drawing is empty or has characters other than A-Z, a-z, 0-9, - and _. Copy the whole link again."
        )
    if len(text) % 4 == 1:
        raise _cut(len(text))
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if data[0] != VERSION:
        raise DrawingError(
            f"The drawing has version {data[0]}, and only version {VERSION} can be read. Copy the whole link again."
        )
    body, size = data[_HEAD:], int.from_bytes(data[5:_HEAD], "big")
    if len(data) < _HEAD or len(body) < size:
        raise _cut(len(text), _characters(_HEAD + size) if len(data) >= _HEAD else None)
    if len(body) > size or zlib.crc32(body) != int.from_bytes(data[1:5], "big"):
        raise DrawingError(
            f"The drawing of {len(text):,} characters was changed: its checksum is wrong. Copy the whole link again."
        )
    return checked(list(_strokes(body)))


def _characters(count: int) -> int:
    """Of the text of so many bytes."""
    return (4 * count + 2) // 3


def _cut(found: int, wanted: int | None = None) -> DrawingError:
    of = f" of {wanted:,}" if wanted else ""
    return DrawingError(
        f"The drawing is cut off: the link has {found:,}{of} characters of it. Copy the whole link again."
    )


def _to_bytes(stroke: Stroke) -> bytes:
    (x, y), count = stroke.dots[0], len(stroke.dots)
    counted = bytearray()
    while count > _SEVEN:
        counted.append(_MORE | count & _SEVEN)
        count >>= 7
    counted.append(count)
    steps = bytes((to[i] - was[i]) & 0xFF for was, to in pairwise(stroke.dots) for i in range(2))
    head = bytes([stroke.kind | stroke.brush << 2])
    return head + bytes(counted) + (x << _PLACE_BITS | y).to_bytes(_PLACE_BYTES, "big") + steps


def _strokes(body: bytes) -> Iterator[Stroke]:
    at, dots = 0, 0
    while at < len(body):
        head, at = body[at], at + 1
        count, at = _count(body, at)
        end = at + _PLACE_BYTES + 2 * (count - 1)
        dots += count
        if count < 1 or end > len(body) or dots > MOST_DOTS:
            raise DrawingError("The drawing was forged: a stroke has no end. Copy the link of its owner again.")
        place = int.from_bytes(body[at : at + _PLACE_BYTES], "big")
        x, y = place >> _PLACE_BITS, place & _PLACE
        found = [(x, y)]
        for k in range(at + _PLACE_BYTES, end, 2):
            x, y = x + _signed(body[k]), y + _signed(body[k + 1])
            found.append((x, y))
        at = end
        yield Stroke(head & _KIND_BITS, head >> 2, tuple(found))


def _count(body: bytes, at: int) -> tuple[int, int]:
    """A count, and where it ends; 0 where it has no end."""
    count = 0
    for k, byte in enumerate(body[at : at + _MOST_COUNT_BYTES]):
        count |= (byte & _SEVEN) << 7 * k
        if not byte & _MORE:
            return count, at + k + 1
    return 0, at


def _signed(byte: int) -> int:
    return byte - 256 if byte > _SEVEN else byte
