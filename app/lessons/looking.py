"""What of a step can be seen, and what of it has come true: from its blocks, what was done, and what is known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.lessons.lesson import Block, Check, Do, Explain, Lesson, Observe, Predict, Step, Teacher, Text
from app.lessons.observables import Situation
from app.lessons.player import asked_by
from app.lessons.progress import LessonProgress
from app.lessons.prose import is_known

LEAST_OWN = 20
"""Characters of an answer in words with which the lesson's own may be compared: a short sentence."""

TRAINED = "trained"
"""The observable that is unknown until a flow was trained for so many steps."""

TASKS: tuple[tuple[type[Block], ...], ...] = ((Predict, Do), (Check,), (Explain,))
"""The kinds of tasks by their turn. A check is passed when what is done before it is done, and a question in words may
stay open."""


def look(step: Step, done: LessonProgress, at: Situation) -> None:
    """Note what came true since it was looked at last. Of a file of progress, what another version of the lesson asked
    is to be answered again."""
    for block in step.blocks:
        if isinstance(block, Do) and block.id not in done.done and _known(lambda of=block: of.until.of(at)):
            done.done.append(block.id)
        if isinstance(block, Predict) and not block.takes(done.answers.get(block.id)):
            done.answers.pop(block.id, None)
            done.truths.pop(block.id, None)
        if isinstance(block, Predict) and (block.id in done.held or waits_for_again(block, done)):
            continue
        if isinstance(block, Predict) and block.id in done.answers and not block.may_be(done.truths.get(block.id)):
            done.truths.pop(block.id, None)
            truth = _known(lambda of=block: of.found(at))
            if truth is not None:
                done.truths[block.id] = truth


def _known(ask: Callable[[], Any]) -> Any:
    """None too where the settings as somebody has changed them have no such thing."""
    try:
        return ask()
    except ValueError:
        return None


def is_done(block: Block, done: LessonProgress) -> bool:
    """Whether a block that waits for this one may be seen."""
    match block:
        case Predict():
            return block.id in done.truths
        case Do() | Check():
            return block.id in done.done
        case Explain():
            return bool(done.answers.get(block.id))
    return True


def is_open(block: Block, done: LessonProgress, at: Situation) -> bool:
    """Whether it comes true by itself, once the page is so, or a number in it is still to be known."""
    return (
        (isinstance(block, Do) and block.id not in done.done)
        or (isinstance(block, Predict) and _is_unmet(block, done))
        or (isinstance(block, Text | Observe | Do | Predict) and not _is_known(block, at))
    )


def _is_unmet(block: Predict, done: LessonProgress) -> bool:
    return block.id in done.answers and block.id not in done.truths and not waits_for_again(block, done)


def waits_for_again(block: Predict, done: LessonProgress) -> bool:
    """Whether its truth waits until the question is asked again."""
    return bool(block.told_with) and block.told_with not in done.answers


def _is_known(block: Block, at: Situation) -> bool:
    try:
        return is_known(block.text, at)
    except ValueError:  # it will not be
        return True


def shown(step: Step, done: LessonProgress) -> list[Block]:
    """The blocks up to the first prediction that is still to be made or whose truth a teacher holds back, without those
    that wait for another, and without what teachers read."""
    found: list[Block] = []
    for block in step.blocks:
        if isinstance(block, Teacher):
            continue
        if _waits(block, step, done):
            continue
        found.append(block)
        if isinstance(block, Predict) and not is_told(block, done):
            break
    return found


def is_told(block: Predict, done: LessonProgress) -> bool:
    """Whether what comes after a prediction may be seen: it is made, and no teacher holds its truth back. A question
    that is asked again later is no reason to wait."""
    if block.id not in done.answers:
        return False
    return block.id in done.truths or block.id not in done.held or waits_for_again(block, done)


def is_asked(step: Step, done: LessonProgress) -> bool:
    """Whether a prediction is still to be made."""
    return any(isinstance(block, Predict) and block.id not in done.answers for block in step.blocks)


@dataclass(frozen=True)
class Left:
    """What is still to be done: a block, and the step that it belongs to."""

    step: Step
    block: Block


def left(lesson: Lesson, done: LessonProgress) -> tuple[Left, ...]:
    """What of a lesson is still open, in its order, as far as it is shown."""
    return tuple(Left(step, block) for step in lesson.steps for block in left_in(step, done))


def left_in(step: Step, done: LessonProgress) -> tuple[Block, ...]:
    """The same of one step, of which nothing is told that is not shown yet: it could give away a prediction. A made one
    is not open, even where its truth comes later."""
    return tuple(block for block in shown(step, done) if _asks(block) and not _is_answered(block, done))


def still_asks(lesson: Lesson, step: Step, name: str, done: LessonProgress) -> bool:
    """Whether an observable or a setting is what a prediction asks for, in this step or in a later one, whose truth may
    not be seen yet. If another block speaks of it before, the lesson has told where it is seen."""
    to_come = lesson.steps[lesson.steps.index(step) :]
    speaking = ((at, block) for at in lesson.steps for block in at.blocks if name in asked_by(block))
    for at, block in speaking:
        if not isinstance(block, Predict):
            return False
        if at in to_come and not is_told(block, done):
            return True
    return False


def task(step: Step, done: LessonProgress) -> Block | None:
    """What is to be done next: the first prediction or act that is open, else the first check, else the first question
    in words. None where all of the step that is shown is done."""
    open_ = left_in(step, done)
    return next((block for kinds in TASKS for block in open_ if isinstance(block, kinds)), None)


def may_pass(step: Step, check: Check, done: LessonProgress, at: Situation) -> bool:
    """Whether all that a step asks for before a check was done, and the last of it is so now: a mean of four draws is
    no answer where ten are asked for, however good it is."""
    acts = [block for block in step.blocks[: step.blocks.index(check)] if isinstance(block, Do)]
    return not acts or (all(act.id in done.done for act in acts) and bool(_known(lambda: acts[-1].until.of(at))))


def is_undone(step: Step, done: LessonProgress, at: Situation) -> bool:
    """Whether the last act that was done in a step is not so any more: its flow is trained anew when the step is opened
    another day. Of a measurement that is still being taken nobody knows."""
    acts = [block for block in step.blocks if isinstance(block, Do) and block.id in done.done]
    if not acts:
        return False
    so = _known(lambda: acts[-1].until.of(at))
    return so is False or (so is None and any(name == TRAINED for name, _ in acts[-1].until.names))


def ours(step: Step, block: Explain, done: LessonProgress) -> Teacher | None:
    """The lesson's own answer to a question in words, once there is an answer to compare it with."""
    if len(str(done.answers.get(block.id, "")).strip()) < LEAST_OWN:
        return None
    return _answer_to(step, block)


def may_compare(step: Step, block: Explain) -> bool:
    """Whether the lesson has an answer of its own to a question in words."""
    return _answer_to(step, block) is not None


def _answer_to(step: Step, block: Explain) -> Teacher | None:
    return next((one for one in step.blocks if isinstance(one, Teacher) and one.after == block.id), None)


def _waits(block: Block, step: Step, done: LessonProgress) -> bool:
    return bool(block.after) and not is_done(step.block(block.after), done)


def share_done(lesson: Lesson, done: LessonProgress) -> float:
    """How much of what a lesson asks for is done, in [0, 1]. A prediction counts once it is made, even if somebody went
    on before its truth was known."""
    asked = [block for block in lesson.blocks.values() if _asks(block)]
    return sum(_is_answered(block, done) for block in asked) / max(len(asked), 1)


def _asks(block: Block) -> bool:
    return isinstance(block, Predict | Do | Check | Explain)


def _is_answered(block: Block, done: LessonProgress) -> bool:
    return block.id in done.answers if isinstance(block, Predict) else is_done(block, done)
