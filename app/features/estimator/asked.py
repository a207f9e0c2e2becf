"""What a lesson over the bench still asks, so that nothing on the screen tells it before."""

from app import session
from app.lessons import looking
from app.lessons.lesson import Predict
from app.lessons.player import asked_by


def is_open(observable: str) -> bool:
    """Whether the lesson first speaks of it in a prediction of this step or of a later one, which is still to be made
    or whose truth a teacher holds back. A lesson that speaks of it before it asks has already told where it is seen."""
    if not session.lies_under_lesson() or (lesson := session.lesson()) is None:
        return False
    passed = True  # whether the steps so far come before the one that is open
    for step in lesson.steps:
        passed = passed and step is not session.step_open()
        for block in step.blocks:
            if observable in asked_by(block):
                told = not isinstance(block, Predict) or looking.is_told(block, session.progress())
                return not (passed or told)
    return False
