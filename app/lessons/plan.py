"""How a lesson is taught in 15, 45 or 90 minutes: from the minutes of its steps, and which of them are its core."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from app.lessons.lesson import Explain, Lesson, Step

OPENING, CLOSING = 2, 2
QUICKER = 1.5
"""How many times as quick a teacher is who shows a step, as a learner who does it alone and writes answers."""
CORE_MINUTES = int(QUICKER * (15 - OPENING - CLOSING))
"""What the core of a lesson may take a learner: a teacher can then show it in a quarter of an hour, with its beginning
and its end."""
LENGTHS = (15, 45, 90)
"""In minutes: a part of a lecture, a lesson at school, a double lesson."""


class Kind(Enum):
    """What a part of a plan is."""

    OPENING = auto()
    STEP = auto()
    DISCUSSION = auto()
    PAPER = auto()
    SOLUTIONS = auto()
    CLOSING = auto()


@dataclass(frozen=True)
class Part:
    """So many minutes of a plan; `step` is the one that is done in it."""

    kind: Kind
    minutes: int
    step: Step | None = None


@dataclass(frozen=True)
class Plan:
    """What is done in `minutes`, in order, and the steps that are left out."""

    minutes: int
    parts: tuple[Part, ...]
    skipped: tuple[Step, ...] = ()


def plan(lesson: Lesson, minutes: int) -> Plan:
    """The parts add up to `minutes`. In 15 minutes only the core is done, on the teacher's screen. In 45 the class does
    every step and votes. In 90 it also discusses, and works on paper. Raises ValueError for another length."""
    if minutes not in LENGTHS:
        raise ValueError(f"{minutes} minutes: there is a plan for {', '.join(map(str, LENGTHS))}.")
    around = {
        15: [(Kind.OPENING, OPENING), (Kind.CLOSING, CLOSING)],
        45: [(Kind.OPENING, 5), (Kind.CLOSING, 5)],
        90: [
            (Kind.OPENING, 5),
            (Kind.DISCUSSION, 10 if _explains(lesson) else 0),
            (Kind.PAPER, 20),
            (Kind.SOLUTIONS, 10),
            (Kind.CLOSING, 5),
        ],
    }[minutes]
    steps = core(lesson) if minutes == LENGTHS[0] else lesson.steps
    shares = apportioned(minutes - sum(part for _, part in around), [step.minutes or 1 for step in steps])
    done = [Part(Kind.STEP, share, step) for step, share in zip(steps, shares, strict=True)]
    begin, *end = (Part(kind, length) for kind, length in around if length)
    return Plan(minutes, (begin, *done, *end), tuple(step for step in lesson.steps if step not in steps))


def core(lesson: Lesson) -> tuple[Step, ...]:
    """The steps that a quarter of an hour has room for: those that the file says, or else the first."""
    return tuple(step for step in lesson.steps if step.core) or lesson.steps[:2]


def apportioned(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers >= 1 that add up to `total`, as near to the weights' shares as they can be (largest remainders).
    Raises ValueError where there are more parts than `total`."""
    if total < len(weights):
        raise ValueError(f"{total} minutes are too few for {len(weights)} parts.")
    left = total - len(weights)  # each has one to begin with
    exact = [max(0.0, total * weight / sum(weights) - 1) for weight in weights]
    scale = left / (sum(exact) or 1)
    shares = [int(scale * one) for one in exact]
    by_remainder = sorted(range(len(weights)), key=lambda at: shares[at] - scale * exact[at])
    for at in by_remainder[: left - sum(shares)]:
        shares[at] += 1
    return [1 + share for share in shares]


def _explains(lesson: Lesson) -> bool:
    return any(isinstance(block, Explain) for block in lesson.blocks.values())


def problem(lesson: Lesson) -> str:
    """What is wrong with the minutes of the steps, as a sentence, or "". A lesson that gives none is well."""
    given = [step.minutes for step in lesson.steps]
    if any(given) and not all(given):
        without = next(step.id for step in lesson.steps if not step.minutes)
        return f"the step `{without}` has no `minutes`: give them for all steps or for none."
    if any(given) and sum(given) != lesson.minutes:
        return f"the minutes of the steps add up to {sum(given)}: the lesson says `minutes: {lesson.minutes}`."
    chosen = [step.minutes for step in lesson.steps if step.core]
    if chosen and sum(chosen) > CORE_MINUTES:
        return f"the steps with `core: true` take {sum(chosen)} minutes: at most {CORE_MINUTES} fit into a short plan."
    return ""
