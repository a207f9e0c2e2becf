"""A lesson acted out on the real core, for what is printed of it: the truth of each prediction and the numbers in its
texts, at the beginning of each step and at its end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.lessons.lesson import Block, Lesson, Predict, Solution, Step
from app.lessons.observables import Situation
from app.lessons.player import Player, wanted_by
from app.lessons.prose import is_known, rendered


@dataclass(frozen=True, eq=False)
class Acted:
    """What a lesson comes to: by the ids of its steps what was known when each was opened and when all of it was done,
    and by the ids of its predictions their truths."""

    lesson: Lesson
    opened: Mapping[str, Situation]
    ended: Mapping[str, Situation]
    truths: Mapping[str, Any]

    def before(self, step: Step, text: str) -> str:
        """A text as it is read when the step is opened; numbers that are not known yet are those of its end. Raises
        ValueError."""
        at = self.opened[step.id]
        return rendered(text, at, self.lesson.words) if is_known(text, at) else self.after(step, text)

    def after(self, step: Step, text: str) -> str:
        """A text as it is read once all of the step is done. Raises ValueError."""
        return rendered(text, self.ended[step.id], self.lesson.words)

    def read(self, step: Step, block: Block) -> str:
        """The text of a block when it is read first: one that waits for another is read at the end."""
        return self.after(step, block.text) if block.after else self.before(step, block.text)


def act_out(lesson: Lesson) -> Acted:
    """Open every step and do what its solution says. Takes up to half a minute where a flow is trained. Raises
    ValueError."""
    player = Player()
    opened: dict[str, Situation] = {}
    ended: dict[str, Situation] = {}
    truths: dict[str, Any] = {}
    try:
        for step in lesson.steps:
            wants = wanted_by(step)
            player.reset()
            player.open(step)
            opened[step.id] = player.situation(wants)
            _note(step, opened[step.id], truths)
            for block in step.blocks:
                for action in block.actions if isinstance(block, Solution) else ():
                    player.act(action)
                    if any(isinstance(one, Predict) and one.id not in truths for one in step.blocks):
                        _note(step, player.situation(wants), truths)
            ended[step.id] = player.situation(wants)
            _note(step, ended[step.id], truths)
    finally:
        player.close()
    return Acted(lesson, opened, ended, truths)


def _note(step: Step, at: Situation, truths: dict[str, Any]) -> None:
    """The truths that are known by now, each when it is known first."""
    for block in step.blocks:
        if isinstance(block, Predict) and block.id not in truths and (truth := block.found(at)) is not None:
            truths[block.id] = truth
