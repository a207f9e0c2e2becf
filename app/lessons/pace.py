"""How long a learner takes for a step: what is read, and what is done. Pure.

The numbers are those of readers who met the lessons for the first time, alone and in a browser.
"""

import re

from app.lessons.lesson import Block, Check, Do, Explain, Hint, Lesson, Predict, Solution, Step, Teacher

WORDS_A_MINUTE = 160
FORMULA = 3  # words that take as long to read
TAKES: dict[type[Block], float] = {Predict: 0.9, Do: 0.9, Check: 0.3, Explain: 1.6}
"""Minutes beside reading: to think, to act on the screen and wait for it, to write."""
UNREAD = (Hint, Solution, Teacher)
"""What most learners do not open."""
_FORMULAS = re.compile(r"\$\$.+?\$\$|\$[^$]+\$", re.DOTALL)


def minutes(step: Step) -> float:
    """For one that meets the step for the first time."""
    read = [block for block in step.blocks if not isinstance(block, UNREAD)]
    return sum(_words(block) for block in read) / WORDS_A_MINUTE + sum(TAKES.get(type(block), 0.0) for block in read)


def of_lesson(lesson: Lesson) -> float:
    """For all of its steps."""
    return sum(map(minutes, lesson.steps))


def _words(block: Block) -> float:
    """All answers that may be chosen are read, and of their reasons one. A question that is asked again was read
    before, and its reason is read where it is told."""
    if not isinstance(block, Predict):
        return _length(block.text)
    reasons = 0.0 if block.told_with else sum(map(_length, block.why.values())) / max(len(block.why), 1)
    if block.again:
        return reasons
    return _length(block.text) + sum(map(_length, block.options.values())) + reasons


def _length(text: str) -> float:
    return len(_FORMULAS.sub(" ", text).split()) + FORMULA * len(_FORMULAS.findall(text))
