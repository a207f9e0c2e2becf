"""What comes of a step: how far it is in its lesson, a prediction beside its truth, and what a check found."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from app.lessons.lesson import Check, Lesson, Outcome, Predict, Step
from app.lessons.observables import Situation
from app.lessons.progress import LessonProgress

DIGITS = 4
"""Of guesses and truths, as they are shown."""


@dataclass(frozen=True)
class Standing:
    """How far a page is in a lesson. All numbers count from 1."""

    lesson: int
    step: int
    steps: int  # in the lesson


def standing(lesson: Lesson, step: Step) -> Standing:
    return Standing(lesson.number, lesson.steps.index(step) + 1, len(lesson.steps))


@dataclass(frozen=True)
class Met:
    """A prediction that is committed, and its truth: two numbers in the block's unit, or two keys of its options."""

    block: str  # its id
    guess: Any
    truth: Any  # None: not known yet
    possible: bool = True  # False: with the settings as they are it has no truth
    answer: str = ""  # which of the block's answers it is, once the truth is known
    right: bool = False

    @property
    def off(self) -> float:
        """Guess minus truth, of numbers. Both are rounded first, so that the difference is that of what is shown."""
        return _rounded(self.guess) - _rounded(self.truth)


def met(block: Predict, done: LessonProgress, at: Situation) -> Met:
    """Of a prediction that was answered."""
    guess, truth = done.answers[block.id], done.truths.get(block.id)
    if truth is None:
        return Met(block.id, guess, None, _has_truth(block, at))
    return Met(block.id, guess, truth, answer=block.answer(guess, truth), right=block.is_right(guess, truth))


def _has_truth(block: Predict, at: Situation) -> bool:
    """Whether it has one now, or still may."""
    try:
        block.found(at)
    except ValueError:
        return False
    return True


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


class Verdict(Enum):
    """What is said of a check."""

    PASSED = auto()
    PASSED_BEFORE = auto()  # with other settings or draws
    TOO_FEW = auto()  # draws
    UNKNOWN = auto()
    FAILED = auto()


@dataclass(frozen=True)
class Checked:
    """What a check finds on the page as it is."""

    block: str  # its id
    outcome: Outcome
    passed_once: bool
    problem: str = ""  # why nothing can be found with the settings as they are

    @property
    def verdict(self) -> Verdict:
        if self.outcome.passed:
            return Verdict.PASSED
        if self.passed_once:
            return Verdict.PASSED_BEFORE
        if self.outcome.needed:
            return Verdict.TOO_FEW
        return Verdict.UNKNOWN if self.outcome.passed is None else Verdict.FAILED


def outcome(block: Check, at: Situation) -> tuple[Outcome, str]:
    """Of a check, and the problem of `Checked`."""
    try:
        return block.outcome(at), ""
    except ValueError as error:
        return Outcome(None), str(error)
