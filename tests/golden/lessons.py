"""Every lesson acted out without a page: what holds before and after each solution, and what was measured.

Training in float32 takes rounding errors far in some hundred steps. So `make` acts lessons out with other instruction
sets too, and notes how far each number moved; what moved too far is left out.
"""

import json
import math
import sys
from collections.abc import Iterator
from typing import Any

from tests.golden import subject_pages
from tests.golden.elsewhere import elsewhere
from tests.golden.stored import as_json, close, save

NAME = "lessons.json"
RELATIVE, MARGIN, MOST = 1e-6, 10, 0.3
"""Numbers, most of which are in single precision, are compared up to RELATIVE, or up to MARGIN times what they moved;
those for which this is above MOST are left out."""
VARIES = "varies"


def make() -> None:
    here, others = acted(), elsewhere("tests.golden.lessons")
    allowed = {at: tolerance for at, *values in _leaves(here, *others) if (tolerance := _tolerance(values)) > RELATIVE}
    tolerances = {at: tolerance for at, tolerance in allowed.items() if tolerance < math.inf}
    save(NAME, {"lessons": _without(here, allowed), "tolerances": tolerances}, open_levels=4)


def acted() -> dict[str, Any]:
    return {lesson: as_json(subject_pages.acted(lesson)) for lesson in subject_pages.lessons()}


def differences(stored: dict[str, Any], lesson: str, found: dict[str, Any]) -> list[str]:
    """Where what comes of a lesson is not what is stored."""
    wrong = []
    for at, before, now in _leaves(stored["lessons"][lesson], as_json(found), at=f"/{lesson}"):
        tolerance = stored["tolerances"].get(at, RELATIVE)
        numbers = all(isinstance(one, float) for one in (before, now))
        if before != VARIES and not (close(tolerance)(before, now) if numbers else before == now):
            wrong.append(f"{at}: stored {before!r}, found {now!r}")
    return wrong


def _leaves(first: Any, *others: Any, at: str = "") -> Iterator[tuple[Any, ...]]:
    """The place of each value, and the values there; None where there is none."""
    if isinstance(first, dict | list):
        pairs = first.items() if isinstance(first, dict) else enumerate(first)
        for name, part in pairs:
            yield from _leaves(part, *(_at(other, name) for other in others), at=f"{at}/{name}")
        for other in others:
            if type(other) is not type(first) or len(other) != len(first):
                yield f"{at}/*", len(first), *(None for _ in others)
    else:
        yield at, first, *others


def _at(value: Any, name: Any) -> Any:
    try:
        return value[name]
    except (LookupError, TypeError):
        return None


def _tolerance(values: list[Any]) -> float:
    """What is allowed of a number that has these values on different machines; infinite for what is left out."""
    if len({repr(value) for value in values}) == 1:
        return 0.0
    if not all(isinstance(value, float) for value in values):
        return math.inf
    moved = max(abs(value - values[0]) / max(abs(value), abs(values[0])) for value in values)
    power = 10.0 ** math.ceil(math.log10(MARGIN * moved)) if moved else 0.0
    return power if power <= MOST else math.inf


def _without(value: Any, allowed: dict[str, float], at: str = "") -> Any:
    """The same, without what is left out."""
    if isinstance(value, dict):
        return {name: _without(part, allowed, f"{at}/{name}") for name, part in value.items()}
    if isinstance(value, list):
        return [_without(part, allowed, f"{at}/{k}") for k, part in enumerate(value)]
    return VARIES if allowed.get(at) == math.inf else value


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    json.dump(acted(), sys.stdout)
