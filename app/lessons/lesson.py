"""A lesson as frozen values: steps over the app's screens, and the blocks of each."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.estimates.false_alarm import Rate, normal_tail
from app.estimates.power import draws_needed
from app.lessons.expression import Expression, Unknown
from app.lessons.observables import OBSERVABLES, Observable, Situation
from app.lessons.words import Wording, wording


@dataclass(frozen=True, kw_only=True)
class Block:
    """`text` is Markdown with {{expressions}}; `after` is the block that must be done before this one is shown."""

    id: str
    line: int
    text: str = ""
    after: str = ""


class Text(Block):
    """What is to be read."""


class Observe(Block):
    """What is to be seen."""


class Explain(Block):
    """A question that the learner answers in words of their own, which are kept."""


class Hint(Block):
    """What helps those who ask for it."""


class Teacher(Block):
    """What only teachers read. One that waits for a question in words (`after`) is the lesson's own answer to it, which
    learners may compare with theirs."""


LOW, RIGHT, HIGH = SIDES = ("low", "right", "high")
"""What a guessed number is beside the truth."""


@dataclass(frozen=True, kw_only=True)
class Predict(Block):
    """A guess, locked once it is made, and the truth: a number, or the one option whose condition holds. Where it is of
    what is still to be done, it is known `once` that holds. A question that is asked `again` is an earlier one, of this
    id, and the earlier one is `told_with` the later: its truth is not told before that one is answered."""

    options: Mapping[str, str] = field(default_factory=dict)  # of a choice: key -> text
    when: Mapping[str, Expression] = field(default_factory=dict)
    truth: Expression | None = None  # of a number
    once: Expression | None = None
    low: float = -math.inf
    high: float = math.inf
    step: float | None = None  # of a slider
    unit: str = ""
    cover: bool = False  # whether the screen, which shows the truth, is hidden until the prediction is made
    near: float = 0.0  # how far from the truth a number is right
    share: bool = False  # whether `near` is a share of the truth
    why: Mapping[str, str] = field(default_factory=dict)  # what is said of each answer: by the option, or by `SIDES`
    again: str = ""
    told_with: str = ""

    @property
    def is_choice(self) -> bool:
        return bool(self.options)

    def takes(self, guess: Any) -> bool:
        """Whether this is an answer to it."""
        return self.may_be(guess) and (self.is_choice or (math.isfinite(guess) and self.low <= guess <= self.high))

    def may_be(self, truth: Any) -> bool:
        """Whether this could be its truth: an option, or a number."""
        return truth in self.options if self.is_choice else isinstance(truth, int | float)

    @property
    def answers(self) -> tuple[str, ...]:
        """The kinds of answers that people give: the options, or `SIDES`."""
        return tuple(self.options) if self.is_choice else SIDES

    def answer(self, guess: Any, truth: Any) -> str:
        """Which of `answers` a guess is."""
        if self.is_choice:
            return guess
        # A guess on the edge is right, whatever the last digit of a float64 is.
        if abs(guess - truth) <= self.margin(truth) * (1 + 1e-9):
            return RIGHT
        return LOW if guess < truth else HIGH

    def margin(self, truth: float) -> float:
        """How far from the truth a number is right, in the unit of the prediction."""
        return self.near * abs(truth) if self.share else self.near

    def said_margin(self, words: Wording) -> str:
        """The same, as it is said: a share is one of the truth."""
        margin = words.number(f"{100 * self.near if self.share else self.near:g}")
        if self.unit == "%" and not self.share:
            return words.say("points", margin=margin)
        return f"{margin} {'%' if self.share else self.unit}".strip()

    def is_right(self, guess: Any, truth: Any) -> bool:
        return self.answer(guess, truth) == (truth if self.is_choice else RIGHT)

    def may_answer(self, answer: str, truth: Any) -> bool:
        """Whether somebody can give such an answer: nobody is too low below the least number that is taken."""
        if self.is_choice or answer == RIGHT:
            return True
        margin = self.margin(truth)
        return self.low < truth - margin if answer == LOW else truth + margin < self.high

    def found(self, at: Situation) -> Any:
        """The truth: a number or the key of an option; None where it is not known yet. Raises ValueError where not
        exactly one option is true."""
        if self.once and not self.once.of(at):
            return None
        if self.truth:
            return self.truth.of(at)
        holds = {key: condition.of(at) for key, condition in self.when.items()}
        if None in holds.values():
            return None
        true = [key for key, value in holds.items() if value]
        if len(true) != 1:
            raise ValueError(f"{len(true)} options are true ({', '.join(true) or 'none'}): exactly one must be.")
        return true[0]


@dataclass(frozen=True, kw_only=True)
class Do(Block):
    """What is to be done; it is once `until` holds."""

    until: Expression


@dataclass(frozen=True)
class Action:
    """One of `set` (name -> text), `throw` (a number), `train` (steps), `coins` (what a class has thrown) and `answer`
    (block -> value)."""

    kind: str
    value: Any


@dataclass(frozen=True)
class Outcome:
    """Of a check: None while the observable is not known, or is of fewer draws than the check needs; `tolerance` in the
    observable's unit."""

    passed: bool | None
    value: Any = None
    wanted: Any = None
    tolerance: float = 0.0
    draws: int = 0
    needed: int = 0  # draws, where there are fewer

    def __str__(self) -> str:
        if self.needed:
            return f"it needs {self.needed} draws, and there are {self.draws}"
        if self.passed is None:
            return "it is not known yet"
        give_or_take = f" give or take {self.tolerance:g}" if self.tolerance else ""
        return f"found {self.value}, compared with {self.wanted}{give_or_take}"


@dataclass(frozen=True)
class Remark:
    """What is said where a condition holds."""

    when: Expression
    text: str


@dataclass(frozen=True, kw_only=True)
class Check(Block):
    """`observable compare value`, give or take a tolerance, which may be a number of standard errors. A larger or
    smaller one must be so by more than the tolerance. Where it fails, the first of `remarks` whose condition holds is
    said, and `fails` where none does. `wrong` are actions after which it must fail. A check of draws says which
    difference it `sees`, in the observable's unit, or how many `draws` it needs: with fewer it finds nothing, because
    it would find the same where something is wrong."""

    observable: Expression
    compare: str
    value: Any  # an Expression, or a word
    tolerance: float = 0.0
    errors: bool = False  # whether the tolerance is in standard errors
    passes: str
    fails: str
    remarks: tuple[Remark, ...] = ()
    wrong: tuple[Action, ...]
    false_alarm: float | None = None
    sees: Expression | None = None
    draws: int = 0

    @property
    def of(self) -> Observable:
        """The observable that it is about."""
        return OBSERVABLES[self.observable.names[0][0]]

    def needed(self, at: Situation) -> int | None:
        """How many draws it needs; 0: it is not about draws; None: not known. Raises ValueError if no number of draws
        is enough."""
        if self.sees is None:
            return self.draws
        difference, deviation = self.sees.of(at), Expression(self.of.deviation).of(at)
        if difference is None or deviation is None:
            return None
        by = {"errors": self.tolerance} if self.errors else {"limit": self.tolerance}
        return draws_needed(difference, deviation, **by)

    @property
    def chance(self) -> float:
        """How often it goes wrong by chance alone: fails though both sides are equal, or tells them apart though they
        are. Of a normal mean."""
        return normal_tail(self.tolerance, self.compare)

    @property
    def by_chance(self) -> float | None:
        """`chance` where the tolerance is in standard errors; else as the lesson states it, or None."""
        return self.chance if self.errors else self.false_alarm

    def rate(self, at: Situation) -> Rate | None:
        """`by_chance` with as many draws as there are now."""
        if self.errors and (alarm := self.of.alarm):
            try:
                return alarm(at, self.tolerance, self.compare)
            except Unknown:
                return Rate(self.chance)
        return None if self.by_chance is None else Rate(self.by_chance)

    def failure(self, at: Situation) -> str:
        """What is said of a page on which it fails. Raises ValueError where a condition cannot be had."""
        return next((remark.text for remark in self.remarks if remark.when.of(at)), self.fails)

    def outcome(self, at: Situation) -> Outcome:
        found = self.observable.of(at)
        wanted = self.value.of(at) if isinstance(self.value, Expression) else self.value
        if found is None or wanted is None:
            return Outcome(None)
        if self.of.draws and (needed := self.needed(at)) != 0:
            draws = self.of.draws(at)
            if needed is None or draws < needed:
                return Outcome(None, draws=draws, needed=needed or 0)
        if isinstance(wanted, str | bool):
            return Outcome((found == wanted) == (self.compare == "is"), found, wanted)
        tolerance = self.tolerance
        if self.errors:
            error = Expression(self.of.error).of(at)
            if error is None:
                return Outcome(None)
            tolerance *= error
        gap = found - wanted
        passed = {"is": abs(gap) <= tolerance, "below": gap < -tolerance, "above": gap > tolerance}[self.compare]
        return Outcome(passed, found, wanted, tolerance)


@dataclass(frozen=True, kw_only=True)
class Solution(Block):
    """What to do, in words and as actions; with these, all that the step asks for is done and every check passes."""

    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Step:
    """A screen with settings by their names in links. Of whom nothing is named stays as it is; what goes together with
    a named one begins from its defaults. A flow that has taken fewer than `trained` steps is trained up to there. Only
    `controls` are shown. It takes a learner so many `minutes` (0: the file does not say), and a short plan for teachers
    has it if it belongs to the lesson's `core`."""

    id: str
    line: int
    title: str
    screen: str
    settings: Mapping[str, str]
    trained: int
    controls: tuple[str, ...]
    blocks: tuple[Block, ...]
    minutes: int = 0
    core: bool = False

    def block(self, id: str) -> Block:
        return next(block for block in self.blocks if block.id == id)


@dataclass(frozen=True, kw_only=True)
class Lesson:
    id: str
    number: int
    path: Path
    language: str
    title: str
    level: str
    minutes: int
    objectives: tuple[str, ...]
    prerequisites: tuple[str, ...]  # ids of lessons
    key_points: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def words(self) -> Wording:
        """What the panel says, in the language of the lesson."""
        return wording(self.language)

    @property
    def blocks(self) -> dict[str, Block]:
        return {block.id: block for step in self.steps for block in step.blocks}
