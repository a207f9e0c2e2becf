"""When a check of a lesson may pass: all acts before it were done, and the last of them is so now. And what counts as
done of a lesson, where a truth comes late."""

from dataclasses import replace
from itertools import product

import pytest

from app.lessons.expression import Expression
from app.lessons.lesson import Check, Do, Explain, Predict
from app.lessons.looking import left, may_pass, share_done
from app.lessons.observables import Situation
from app.lessons.progress import LessonProgress
from app.lessons.shelf import shelf
from app.link import BENCHES

SO, NOT_SO = Expression("2 > 1"), Expression("1 > 2")


def step_with(first: Expression, last: Expression):
    """A step of a lesson with two acts before its check, which come true as is said."""
    kinds = {Do, Check}
    steps = (step for lesson in shelf().originals.values() for step in lesson.steps)
    step = next(step for step in steps if kinds <= {type(block) for block in step.blocks})
    act, check = (next(block for block in step.blocks if isinstance(block, kind)) for kind in (Do, Check))
    acts = replace(act, id="first", until=first), replace(act, id="last", until=last)
    return replace(step, blocks=(*acts, check)), check


@pytest.mark.parametrize(("first", "last"), product((SO, NOT_SO), repeat=2), ids=str)
def test_the_last_act_is_so_now_whatever_became_of_the_first(first, last):
    step, check = step_with(first, last)
    assert may_pass(step, check, LessonProgress(done=["first", "last"]), Situation()) is (last is SO)


def test_every_act_was_done():
    step, check = step_with(SO, SO)
    for done in ([], ["first"], ["last"]):
        assert not may_pass(step, check, LessonProgress(done=done), Situation())


def test_other_settings_have_nothing_of_what_was_drawn_and_measured():
    benches = {kind: kind() for kind in BENCHES.values()}
    kept = Situation(benches=benches, report=object(), coins="HT")
    changed = kept.changed({})
    assert (changed.report, changed.coins, len(changed.thrown), len(changed.counts)) == (None, "", 0, 0)


def finished(lesson):
    """All that a lesson asks for was answered and done, and every truth is known."""
    blocks = lesson.blocks.values()
    answers = {block.id: "an answer" for block in blocks if isinstance(block, Predict | Explain)}
    truths = {block.id: "the truth" for block in blocks if isinstance(block, Predict)}
    return LessonProgress(answers=answers, truths=truths, done=[b.id for b in blocks if isinstance(b, Do | Check)])


@pytest.mark.parametrize("lesson", shelf().originals.values(), ids=lambda lesson: lesson.id)
def test_a_prediction_is_done_where_its_truth_came_too_late(lesson):
    """On a busy server somebody may go on before the truth is known. The list said "begun" of such a lesson for ever,
    and its end said that all of it was done."""
    done = finished(lesson)
    assert not left(lesson, done)
    assert share_done(lesson, done) == 1
    for prediction in [*done.truths]:
        late = replace(done, truths={name: truth for name, truth in done.truths.items() if name != prediction})
        assert not left(lesson, late)
        assert share_done(lesson, late) == 1
        unmade = replace(late, answers={name: said for name, said in done.answers.items() if name != prediction})
        assert left(lesson, unmade)
        assert share_done(lesson, unmade) < 1
