"""Where rooms are found, below the app's own path: for each function of `served` its paths and what they take; and what
somebody types there for a code."""

from app.classroom.rooms import CODE_LENGTH, LETTERS

PATHS: dict[str, tuple[tuple[str, ...], str]] = {
    "phone": (("r", "r/{code}"), "GET"),
    "wall": (("wall/{code}",), "GET"),
    "open_room": (("rooms",), "POST"),
    "told": (("rooms/{code}",), "GET"),
    "act": (("rooms/{code}",), "POST"),
    "exported": (("rooms/{code}/{name}.csv", "rooms/{code}/{name}.py"), "GET"),
}

_LENGTHS = f"{{{CODE_LENGTH - 1},{CODE_LENGTH + 1}}}"
TYPED_CODE = f"(?:[A-Z]{_LENGTHS}|[{LETTERS}{LETTERS.lower()}]{_LENGTHS})"
"""A regular expression of codes, also with a letter too few or too many, so that a room says what is wrong. A page of
the app has an address in small letters, and a vowel in it."""
