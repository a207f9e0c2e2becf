"""Lessons come true when they are acted out on the real core, and come to what they came to."""

import pytest

from app.lessons.shelf import shelf
from tests.golden import lessons
from tests.golden.stored import load

STORED = load(lessons.NAME)


@pytest.mark.thorough
@pytest.mark.parametrize("lesson", STORED)
def test_a_lesson_comes_to_what_it_came_to(lesson):
    problems, found = lessons.acted(lesson)
    assert not problems
    assert not lessons.differing(STORED[lesson], found)


def test_all_steps_of_all_lessons_are_acted_out():
    steps = {lesson.id: [step.id for step in lesson.steps] for lesson in shelf().originals.values()}
    assert {lesson: list(found) for lesson, found in STORED.items()} == steps
