"""Numbers of stored measurements, in words. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.evidence import Stored
from app.text import signed
from app.ui.bands import Band
from resflow_core.data import DATASETS

PLACES = "abcdefgh"
"""What the places of numbers end with where a sentence says several things of a kind."""


def placed(says: str, numbers: Mapping[str, str], place: str) -> tuple[str, dict[str, str]]:
    """A sentence and its numbers with places of their own among others of the kind."""
    return re.sub(r"{(\w+)}", rf"{{\1_{place}}}", says), {f"{name}_{place}": text for name, text in numbers.items()}


def settings(stored: Stored) -> dict[str, str]:
    """What was trained, how long and how often."""
    return {
        "seeds": str(len(stored.seeds)),
        "steps": f"{stored.settings['steps']:,}",
        "data": title(stored.settings["data"]),
    }


def title(data: str) -> str:
    return DATASETS[data].title


def last(arms: Sequence[Mapping[str, Any]], curve: str) -> list[float]:
    """The newest value of a curve, seed by seed."""
    return [float(arm["curves"][curve][-1]) for arm in arms]


def ends(values: Sequence[float], digits: int) -> str:
    """From the smallest to the largest."""
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def percent(found: Band) -> str:
    digits = 0 if found.low >= 10 else 1
    return f"{found.mean:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def nats(found: Band) -> str:
    """With so many decimals that a KL of almost 0 is told from 0."""
    mean, low, high = (signed(f"{value:.4f}") for value in (found.mean, found.low, found.high))
    return mean if low == high else f"{mean} ({low} to {high})"


def points(found: Band) -> str:
    return signed(f"{found.mean:.1f} ({found.low:.1f} to {found.high:.1f})")


def megabytes(size: float) -> str:
    return f"{size / 1e6:.3g}"
