"""As `subject.py`, of what has a page: lessons and screens, over an engine whose clock hardly moves.

While flows move, much is measured by the clock. With one that adds a microsecond whenever it is asked, flows are
measured before they move and once they rest, on every machine.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any
from unittest.mock import patch

from streamlit.testing.v1 import AppTest

from app import engine
from app.engine.clocks import Clocks
from app.engine.local import LocalEngine
from app.engine.training.measurements import masses
from app.lessons import player as players
from app.lessons.lesson import Block, Check, Do, Lesson, Predict, Solution, Step
from app.lessons.observables import Situation
from app.lessons.prose import expressions
from app.lessons.shelf import shelf
from tests.app.pages import link
from tests.golden.subject import MAIN

MOST_SECONDS = 300.0
TICK = 1e-6


def steady_engine(*_: Any) -> LocalEngine:
    """The engine of this process."""
    ticks = count()

    def clock() -> float:
        return TICK * next(ticks)

    return LocalEngine(MOST_SECONDS, clocks=Clocks(clock, clock, clock))


# Lessons


def lessons() -> dict[str, list[str]]:
    """The steps of each lesson, by their names."""
    return {lesson.id: [step.id for step in lesson.steps] for lesson in shelf().originals.values()}


def acted(lesson: str) -> dict[str, Any]:
    """What comes of each step of a lesson: as it opens, after what each check calls wrong, and after its solution."""
    with patch.object(players, "LocalEngine", steady_engine):
        return dict(_steps(shelf().lesson(lesson), players.Player()))


def _steps(lesson: Lesson, player: players.Player) -> Iterator[tuple[str, dict[str, Any]]]:
    for step in lesson.steps:
        wrong = {block.id: _wrong(player, step, block) for block in step.blocks if isinstance(block, Check)}
        at, truths = _begun(player, step), {}
        before = _found(step, at)
        for block in step.blocks:
            _meet(step, at, truths)
            for action in block.actions if isinstance(block, Solution) else ():
                player.act(action)
                _meet(step, at := player.situation(players.wanted_by(step)), truths)
        yield (
            step.id,
            {
                "screen": step.screen,
                "controls": step.controls,
                "opened": before,
                "wrong": wrong,
                "solved": _found(step, at),
                "truths": truths,
                "read": {block.id: read for block in step.blocks if (read := _read(block, at))},
            },
        )


def _begun(player: players.Player, step: Step) -> Situation:
    player.reset()
    player.open(step)
    return player.situation(players.wanted_by(step))


def _wrong(player: players.Player, step: Step, check: Check) -> list[Any]:
    """What a check finds after what it calls wrong; the flow of the one who does right is not trained by that."""
    if any(action.kind == "train" for action in check.wrong):
        player = player.untrained()
    _begun(player, step)
    for action in check.wrong:
        player.act(action)
    return _outcome(check, player.situation(players.wanted_by(step)))


def _found(step: Step, at: Situation) -> dict[str, Any]:
    """Of each check and of what is to be done, whether it is so."""
    done = {block.id: block.until.of(at) for block in step.blocks if isinstance(block, Do)}
    return done | {block.id: _outcome(block, at) for block in step.blocks if isinstance(block, Check)}


def _outcome(check: Check, at: Situation) -> list[Any]:
    outcome = check.outcome(at)
    return [outcome.passed, plain(outcome.value), plain(outcome.wanted), outcome.tolerance]


def _meet(step: Step, at: Situation, truths: dict[str, Any]) -> None:
    """Note the truth of each prediction once it is known."""
    for block in step.blocks:
        if isinstance(block, Predict) and truths.get(block.id) is None:
            truths[block.id] = plain(block.found(at))


def _read(block: Block, at: Situation) -> list[Any]:
    """The values in the prose of a block."""
    return [plain(one.of(at)) for text in players.texts(block) for one, _ in expressions(text)]


def plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


# Screens

SCREENS = (
    *("home", "learn", "explore", "stretch", "estimator", "lipschitz"),
    *("activations", "compare", "joint", "dimensions", "glossary"),
)
BUTTONS = {
    "100 steps": "steps",
    "1 step": "step",
    "100 throws": "throw.100",
    "10,000 throws": "throw.10000",
    "Use a trained flow": "example",
    "Choose your own": "compare.own",
}
"""What the names of some buttons are, or begin with where a screen has several such."""


@contextmanager
def steady() -> Iterator[None]:
    """Pages have the engine of this process, and a rough mass meter."""
    local = steady_engine()
    with (
        patch.dict(masses.CELLS, fine=masses.CELLS["rough"]),
        patch.object(engine, "get_engine", lambda: local),
    ):
        yield


def press(page: AppTest, button: str) -> AppTest:
    """The page after a press of the last of these buttons."""
    name = BUTTONS[button]
    *_, key = (one.key for one in page.button if one.key and f"{one.key}.".startswith(f"{name}."))
    return page.button(key=key).click().run()


def address(page: AppTest) -> dict[str, str]:
    """The query of the page's own address."""
    return link(page)


def opened(screen: str, query: Mapping[str, str]) -> AppTest:
    """A screen, with a link in its address."""
    page = AppTest.from_file(MAIN, default_timeout=MOST_SECONDS)
    for name, value in query.items():
        page.query_params[name] = value
    page.switch_page(f"features/{screen}/{screen}.py")
    return page.run()
