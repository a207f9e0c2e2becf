"""Every lesson acted out without a page: what holds before and after each solution, and what was measured.

Training in float32 takes rounding errors far in some hundred steps. So `make` acts lessons out with other instruction
sets too, and notes how far each number moved; what moved too far is left out.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tests.golden import subject_pages
from tests.golden.stored import as_json, close, save

NAME = "lessons.json"
OTHERS = ({"ATEN_CPU_CAPABILITY": "default"}, {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"})
"""Environments in which the same machine rounds in other ways."""
RELATIVE, MARGIN, MOST = 1e-9, 10, 0.3
"""Numbers are compared up to RELATIVE, or up to MARGIN times what they moved; those for which this is above MOST are
left out."""
VARIES = "varies"


def make() -> None:
    here, others = acted(), [_elsewhere(environment) for environment in OTHERS]
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


def _elsewhere(environment: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.golden.lessons"]
    return json.loads(subprocess.run(command, env=os.environ | environment, capture_output=True, check=True).stdout)


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
    print(json.dumps(acted()))
