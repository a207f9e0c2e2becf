"""Stored answers: what the benches open with, measured once and kept with what made it.

Each is a JSON file of this folder. `EVIDENCE` says how it comes about, and what its sentence rests on; `app.screens`
fills it. `python -m app.evidence` measures all of it anew.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from resflow_core.data import DATASETS

FOLDER = Path(__file__).parent
DIGITS = 6


@dataclass(frozen=True)
class Made:
    """What was measured, with all that it depends on: `settings` and `seeds`, and the `backend` that computed it.
    `found` has numbers, texts, lists, dicts by texts, and arrays."""

    found: Mapping[str, Any]
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]
    backend: str


@dataclass(frozen=True)
class Evidence:
    """`make` measures all of it or, where it is asked for a `small` part, what takes a minute at most and must say the
    same. `claims` are what the sentence says, in words, and whether it follows from what was found."""

    make: Callable[[bool], Made]
    claims: Callable[[Mapping[str, Any]], Mapping[str, bool]]


@dataclass(frozen=True)
class Stored:
    """As `Made`; lists are arrays no more. `date` is the day on which it was measured."""

    name: str
    found: Mapping[str, Any]
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]
    backend: str
    date: str

    @property
    def source(self) -> str:
        """What made it, in a line."""
        seeds = f"{len(self.seeds)} seeds" if len(self.seeds) > 1 else "one seed" if self.seeds else "nothing random"
        data = DATASETS.get(self.settings.get("data", ""))
        of = f"{data.title}, " if data else ""
        return f"Measured on {self.date}: {of}{seeds}, {self.backend}. `python -m app.evidence --only {self.name}`"


EVIDENCE: dict[str, Evidence] = {}
"""By the names of the files. `app.screens` fills it."""


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.json"


@lru_cache(maxsize=64)
def stored(name: str) -> Stored:
    """Raises FileNotFoundError where nothing of that name is stored."""
    told = json.loads(path_of(name).read_text(encoding="utf-8"))
    return Stored(name, **{**told, "seeds": tuple(told["seeds"])})


def store(name: str, made: Made, date: str) -> None:
    """Keep it, in the place of what was kept before."""
    told = {
        "date": date,
        "backend": made.backend,
        "seeds": list(made.seeds),
        "settings": plain(made.settings),
        "found": plain(made.found),
    }
    path_of(name).write_text(json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    stored.cache_clear()


def plain(value: Any) -> Any:
    """As JSON has it, numbers with `DIGITS` digits."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
