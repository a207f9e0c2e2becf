"""What a class has thrown with real coins, as it is typed."""

import re

import numpy as np

from app.text import plain

COINS = "coins.results"
"""The widget that it is typed into."""

MOST_RESULTS, MOST_CHARACTERS = 2000, 20_000
MINUS = "\N{MINUS SIGN}"


def parsed(text: str, least: int) -> tuple[np.ndarray, np.ndarray]:
    """N and the product of the two signs of each throw. Raises ValueError, naming the entry that cannot be read."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"The draws have {len(text):,} characters: use at most {MOST_CHARACTERS:,}.")
    entries = re.split(r"[\s,;]+", text.strip().replace(MINUS, "-")) if text.strip() else []
    if len(entries) > MOST_RESULTS:
        raise ValueError(f"{len(entries):,} draws: use at most {MOST_RESULTS:,}.")
    for number, entry in enumerate(entries, 1):
        if not re.fullmatch(r"[0-9]{1,2}[+-]", entry):
            raise ValueError(f"Draw {number}, `{plain(entry, 20)}`: write N and the sign, such as `{least + 1}+`.")
        if int(entry[:-1]) < least:
            raise ValueError(f"Draw {number}, `{entry}`: N is at least {least}, the number of exact terms.")
    n = np.array([int(entry[:-1]) for entry in entries], int)
    return n, np.array([1.0 if entry.endswith("+") else -1.0 for entry in entries])
