"""Lessons come to what they came to."""

import pytest

from tests.golden import lessons, subject_pages
from tests.golden.stored import load

STORED = load(lessons.NAME)
FAST = {"change", "series", "roulette", "variance", "bugs"}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "lesson", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in STORED["lessons"]]
)
def test_a_lesson_comes_to_what_it_came_to(lesson):
    assert not lessons.differences(STORED, lesson, subject_pages.acted(lesson))


def test_all_steps_of_all_lessons_are_stored():
    stored = {lesson: list(steps) for lesson, steps in STORED["lessons"].items()}
    assert stored == subject_pages.lessons()


def test_no_check_comes_out_differently_on_another_processor():
    """Training is chaotic in float32: a lesson's settings must leave its checks room."""
    for name, steps in STORED["lessons"].items():
        for step, acted in steps.items():
            for when in ("opened", "wrong", "solved"):
                verdicts = {k: v[0] if isinstance(v, list) else v for k, v in acted[when].items()}
                assert lessons.VARIES not in verdicts.values(), f"{name}, {step}, {when}: {verdicts}"
