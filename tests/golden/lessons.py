"""Every lesson acted out without a page by the app's own player: what it finds untrue, and what holds at each moment
with the numbers that are measured and read.

Training in float32 takes rounding errors far in some hundred steps. So `make` acts lessons out with other instruction
sets too, and leaves out what these move by more than `STEADY`.
"""

import json
import os
import subprocess
import sys
from itertools import count
from typing import Any
from unittest.mock import patch

import torch

from app import screens  # noqa: F401  # it fills the registries
from app.engine.clocks import Clocks
from app.engine.local import LocalEngine
from app.lessons import player as players
from app.lessons.lesson import Block, Check, Do, Predict, Step
from app.lessons.observables import Situation
from app.lessons.prose import expressions
from app.lessons.shelf import shelf
from tests.golden.stored import as_json, close, differences, save

NAME = "lessons.json"
MOST_SECONDS, TICK = 300.0, 1e-6
STEADY, RELATIVE = 1e-6, 1e-5
"""Numbers that are the same in single precision on all processors, and how far they may be from the stored ones."""
VARIES = "varies"
COARSE = {"STEPS_GRID": 8, "STARTS": 6, "WALK_STEPS": 20, "MOST_STEPS": 60}
"""Of the picture of an inverse, which is measured again and again, less: all comes true with this too."""
ELSEWHERE = ({"ATEN_CPU_CAPABILITY": "default"}, {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"})
"""What PyTorch and its linear algebra take to be the processor's instruction set."""

Moments = dict[str, list[dict[str, Any]]]


def make() -> None:
    here, command = acted_all(), [sys.executable, "-m", "tests.golden.lessons"]
    for other in ELSEWHERE:
        run = subprocess.run(command, env=os.environ | other, stdout=subprocess.PIPE, check=True)
        here = _steady(here, json.loads(run.stdout))
    save(NAME, here, open_levels=3)


def acted_all() -> dict[str, Moments]:
    found = {}
    for lesson in shelf().originals:
        problems, found[lesson] = acted(lesson)
        if problems:
            raise ValueError(f"{lesson}: {problems}")
    return as_json(found)


def acted(lesson: str) -> tuple[list[str], Moments]:
    """What of a lesson does not come true, and what is so in each step after each thing that is done in it: first what
    its checks call wrong, then its solutions. The last entry is what is read at the end."""
    watched: list[tuple[Step, Situation]] = []

    class Watched(players.Player):
        """Measures once what is asked for several times between two actions."""

        def open(self, step: Step) -> None:
            self.step, self.known = step, None
            super().open(step)

        def act(self, action: Any) -> None:
            self.known = None
            super().act(action)

        def reset(self) -> None:
            self.known = None
            super().reset()

        def situation(self, wants: Any) -> Situation:
            if self.known is None:
                self.known = super().situation(wants)
                watched.append((self.step, self.known))
            return self.known

    inversion = sys.modules["resflow_core.measure.inversion"]  # a function of this name hides it in its package
    with patch.multiple(inversion, **COARSE), patch.multiple(players, Player=Watched, LocalEngine=_steady_engine):
        problems = [str(problem) for problem in players.problems(shelf().lesson(lesson))]
    found: Moments = {}
    for step, at in watched:
        found.setdefault(step.id, []).append(_so(step, at))
    for step, at in {step.id: (step, at) for step, at in watched}.values():
        found[step.id].append({block.id: read for block in step.blocks if (read := _read(block, at))})
    return problems, found


def _so(step: Step, at: Situation) -> dict[str, Any]:
    """Of each check and of what is to be done whether it is so, with the numbers, and the truths that are known."""
    done = {block.id: block.until.of(at) for block in step.blocks if isinstance(block, Do)}
    truths = {block.id: _truth(block, at) for block in step.blocks if isinstance(block, Predict)}
    outcomes = {block.id: block.outcome(at) for block in step.blocks if isinstance(block, Check)}
    checks = {
        name: [one.passed, *map(_plain, (one.value, one.wanted, one.tolerance))] for name, one in outcomes.items()
    }
    return done | {name: truth for name, truth in truths.items() if truth is not None} | checks


def _truth(block: Predict, at: Situation) -> Any:
    """None where it is not known, or where none of its options is so: after what is wrong that may be."""
    try:
        return _plain(block.found(at))
    except ValueError:
        return None


def _read(block: Block, at: Situation) -> list[Any]:
    """The values in the prose of a block."""
    return [_plain(one.of(at)) for text in players.texts(block) for one, _ in expressions(text)]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def differing(stored: Moments, found: Moments) -> list[str]:
    """Where what comes of a lesson is not what is stored."""
    return differences(stored, _but_varying(as_json(found), stored), close(RELATIVE))


def _but_varying(found: Any, stored: Any) -> Any:
    """What is found, with `VARIES` where that is stored."""
    if stored == VARIES:
        return VARIES
    if isinstance(found, dict) and isinstance(stored, dict):
        return {name: _but_varying(part, stored.get(name)) for name, part in found.items()}
    if isinstance(found, list) and isinstance(stored, list) and len(found) == len(stored):
        return [_but_varying(*parts) for parts in zip(found, stored, strict=True)]
    return found


def _steady(here: Any, there: Any) -> Any:
    """What is the same here and there, and `VARIES` for numbers that are not. Raises ValueError for a verdict: training
    is chaotic, and a lesson's settings must leave its checks room."""
    if isinstance(here, dict):
        return {name: _steady(part, there[name]) for name, part in here.items()}
    if isinstance(here, list):
        return [_steady(*parts) for parts in zip(here, there, strict=True)]
    if here == VARIES or not differences([here], [there], close(STEADY)):
        return here
    if not isinstance(here, float):
        raise ValueError(f"{here!r} here and {there!r} with other instructions.")
    return VARIES


def _steady_engine(*_: Any) -> LocalEngine:
    """While flows move, much is measured by the clock. With one that adds a microsecond whenever it is asked, flows are
    measured before they move and once they rest, on every machine."""
    ticks = count()

    def clock() -> float:
        return TICK * next(ticks)

    return LocalEngine(MOST_SECONDS, clocks=Clocks(clock, clock, clock))


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump(acted_all(), sys.stdout)
