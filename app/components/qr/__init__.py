"""A text as a QR code, which a button opens as large as the window: one Streamlit component."""

from dataclasses import dataclass
from pathlib import Path

import segno

from app.components.component import declared

__all__ = ["MOST_BYTES", "Code", "code_of", "qr_code"]

MOST_BYTES = 2_953
"""What the largest QR code holds (version 40, level L)."""
QUIET = 4
"""Modules of white that the standard wants around a code."""

_qr = declared(Path(__file__).parent)


@dataclass(frozen=True)
class Code:
    """A QR code as an SVG picture, in an address of its own, and how many modules wide it is with its margin."""

    image: str
    modules: int


def code_of(text: str) -> Code | None:
    """The code with the fewest modules, of as much redundancy as has room in it; None if the text is too long."""
    try:
        made = segno.make_qr(text, error="l")
    except segno.DataOverflowError:
        return None
    return Code(made.svg_data_uri(border=QUIET, light="#fff", omitsize=True), int(made.symbol_size(border=QUIET)[0]))


def qr_code(code: Code, *, key: str) -> None:
    _qr(data={"image": code.image, "modules": code.modules}, key=key)
