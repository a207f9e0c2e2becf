"""What a lesson asks for, numbered as on paper: the same numbers on the exercise sheet and on its solutions."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.lessons.acted import Acted
from app.lessons.lesson import Block, Do, Explain, Lesson, Observe, Predict, Solution, Step, Teacher, Text
from app.lessons.words import Wording
from app.numbers import number_text
from app.text import signed

LINES = {Explain: 4, Do: 1}
"""Lines to write on."""


@dataclass(frozen=True)
class Question:
    """A block that asks for something, with its number in the lesson."""

    number: int
    step: Step
    block: Block


def questions(lesson: Lesson) -> tuple[Question, ...]:
    """All of a lesson that is predicted, done or explained, in its order."""
    asked = (
        (step, block) for step in lesson.steps for block in step.blocks if isinstance(block, Predict | Do | Explain)
    )
    return tuple(Question(number, step, block) for number, (step, block) in enumerate(asked, 1))


def context(step: Step) -> Iterator[Block]:
    """What is read before the step's first prediction: all that comes later may give its answer away."""
    for block in step.blocks:
        if isinstance(block, Predict):
            return
        if isinstance(block, Text | Observe) and not block.after:
            yield block


def answer(acted: Acted, step: Step, block: Predict) -> str:
    """The right one, as Markdown: an option, or a number with its unit and how far from it is right."""
    truth = acted.truths[block.id]
    if block.is_choice:
        return acted.after(step, block.options[truth])
    words = acted.lesson.words
    found = f"{words.number(signed(f'{truth:.4g}'))} {block.unit}".strip()
    return words.say("paper_right_within", answer=found, margin=block.said_margin(words))


def wrong(acted: Acted, step: Step, block: Predict) -> Iterator[tuple[str, str]]:
    """Each answer that is not right, and what to say to it."""
    truth = acted.truths[block.id]
    for name in block.answers:
        is_right = name == truth if block.is_choice else name == "right"
        if is_right or not block.may_answer(name, truth) or not block.why.get(name):
            continue
        yield given(acted, step, block, name), acted.after(step, block.why[name])


def why_right(acted: Acted, step: Step, block: Predict) -> str:
    """What is said of the right answer."""
    name = acted.truths[block.id] if block.is_choice else "right"
    return acted.after(step, block.why.get(name, ""))


def given(acted: Acted, step: Step, block: Predict, name: str) -> str:
    """A kind of answer in words."""
    if block.is_choice:
        return acted.after(step, block.options[name])
    return acted.lesson.words.say({"low": "paper_too_low", "high": "paper_too_high"}[name])


def room(block: Predict, words: Wording) -> str:
    """Between which numbers an answer lies, where its slider says so."""
    if block.step is None:
        return ""
    low, high = (words.number(signed(number_text(limit))) for limit in (block.low, block.high))
    return words.say("paper_between", low=low, high=high)


def solutions(step: Step) -> list[Solution]:
    return [block for block in step.blocks if isinstance(block, Solution)]


def notes(step: Step) -> list[Teacher]:
    """For teachers: what to ask, and what is wanted of the questions in words."""
    return [block for block in step.blocks if isinstance(block, Teacher)]
