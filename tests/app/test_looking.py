"""What of a lesson can be seen, what of it is done and what comes next: when a check may pass, and what is told of a
question that is asked again. Without a page."""

from dataclasses import replace
from itertools import product

import pytest

from app.lessons import pace
from app.lessons.expression import Expression
from app.lessons.lesson import Check, Do, Explain, Hint, Predict, Teacher, Text
from app.lessons.looking import (
    LEAST_OWN,
    is_open,
    is_told,
    is_undone,
    left,
    left_in,
    look,
    may_pass,
    ours,
    share_done,
    shown,
    task,
)
from app.lessons.observables import Situation
from app.lessons.progress import LessonProgress
from app.lessons.reading import read
from app.lessons.shelf import shelf
from app.link import BENCHES
from app.screens import SCREENS  # noqa: F401  lessons ask of all screens

SO, NOT_SO = Expression("2 > 1"), Expression("1 > 2")


# --- acts and checks --------------------------------------------------------------------------------------------------


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
    done = LessonProgress(done=["first", "last"])
    assert may_pass(step, check, done, Situation()) is (last is SO)
    assert is_undone(step, done, Situation()) is (last is NOT_SO)
    assert not is_undone(step, LessonProgress(), Situation())


def test_what_is_to_be_done_next():
    step, check = step_with(SO, NOT_SO)
    words = Explain(id="words", line=1, text="Why?")
    step = replace(step, blocks=(words, *step.blocks))
    for done, found in (([], "first"), (["first"], "last"), (["first", "last"], check.id)):
        assert task(step, LessonProgress(done=done)).id == found
    done = LessonProgress(done=["first", "last", check.id])
    assert task(step, done) is words
    assert task(step, replace(done, answers={"words": "So."})) is None


def test_other_settings_have_nothing_of_what_was_drawn_and_measured():
    benches = {kind: kind() for kind in BENCHES.values()}
    kept = Situation(benches=benches, report=object(), coins="HT")
    changed = kept.changed({})
    assert (changed.report, changed.coins, len(changed.thrown), len(changed.counts)) == (None, "", 0, 0)


# --- what is still open -----------------------------------------------------------------------------------------------


def test_what_is_open_is_named_in_its_order():
    series = shelf().lesson("series")
    done = LessonProgress(answers={"one": 0.1, "budget": "Mine"}, truths={"one": 0.05}, done=["more"])
    found = [(one.step.id, one.block.id) for one in left(series, done)]
    assert found == [("terms", "slow"), ("steep", "how-many"), ("which-way", "which")], "no more than is shown"
    done.answers |= {"slow": "same", "which": "negative"}
    done.truths |= {"slow": "factor", "which": "negative"}
    found = [(one.step.id, one.block.id) for one in left(series, done)]
    assert found == [
        ("terms", "enough"), ("steep", "how-many"),
        ("which-way", "flatter"), ("which-way", "flattered"), ("which-way", "consequence"),
    ]  # fmt: skip
    cost = shelf().lesson("saturation").steps[-1]
    assert [block.id for block in left_in(cost, LessonProgress())] == ["relu-gap"], "the others wait for it"


@pytest.mark.parametrize("id", ["series", "roulette"])
def test_a_prediction_is_done_where_its_truth_came_too_late(id):
    """On a busy server somebody may go on before the truth is known."""
    lesson = shelf().lesson(id)
    blocks = lesson.blocks.values()
    done = LessonProgress(
        answers={block.id: "an answer" for block in blocks if isinstance(block, Predict | Explain)},
        truths={block.id: "the truth" for block in blocks if isinstance(block, Predict)},
        done=[block.id for block in blocks if isinstance(block, Do | Check)],
    )
    assert not left(lesson, done) and share_done(lesson, done) == 1
    for prediction in [*done.truths]:
        late = replace(done, truths={name: truth for name, truth in done.truths.items() if name != prediction})
        assert not left(lesson, late) and share_done(lesson, late) == 1
        unmade = replace(late, answers={name: said for name, said in done.answers.items() if name != prediction})
        assert left(lesson, unmade) and share_done(lesson, unmade) < 1


def test_an_answer_that_another_version_of_a_lesson_took_is_asked_for_again():
    start, terms, steep, _ = shelf().lesson("series").steps
    for guess in ("a word", 1e400, 7.0):
        done = LessonProgress(answers={"one": guess, "slow": "gone", "how-many": 7.0}, truths={"how-many": "many"})
        for step in (start, terms, steep):
            look(step, done, Situation())
        assert done.answers == {"how-many": 7.0} and "how-many" not in done.truths


def test_the_lessons_own_answer_comes_after_one_of_some_length():
    step = next(step for step in shelf().lesson("series").steps if step.id == "steep")
    (asked,) = [block for block in step.blocks if isinstance(block, Explain)]
    short, long = ("x" * n for n in (LEAST_OWN - 1, LEAST_OWN))
    for answer, found in (("", None), (short + "   ", None), (long, "budget-answer")):
        own = ours(step, asked, LessonProgress(answers={asked.id: answer}))
        assert (own and own.id) == found
    assert not any(isinstance(block, Teacher) for block in shown(step, LessonProgress()))


def test_a_step_takes_its_words_and_its_tasks():
    words, formula = (Text(id="text", line=1, text=text) for text in ("one " * 160, "$a + b$ and $$c$$ " * 10))
    hidden = Hint(id="hint", line=1, text="one " * 160)
    told = Predict(id="guess", line=1, options={"a": "b " * 80, "b": "c " * 80}, why={"a": "d " * 320, "b": ""})
    step = shelf().lesson("change").steps[0]
    assert pace.minutes(replace(step, blocks=(words, hidden))) == 1
    assert pace.minutes(replace(step, blocks=(formula,))) == pytest.approx(70 / 160)
    assert pace.minutes(replace(step, blocks=(told,))) == pytest.approx(2 + pace.TAKES[Predict])
    twice = (replace(told, told_with="later"), replace(told, id="later", again="guess"))
    assert pace.minutes(replace(step, blocks=twice)) == pytest.approx(2 + 2 * pace.TAKES[Predict])


# --- a question that is asked again -----------------------------------------------------------------------------------

LESSON = """---
title: A lesson
level: any
minutes: 15
objectives: [One]
prerequisites: []
key_points: [One]
---
::: step first
title: One
screen: estimator
:::
::: predict before
options: {{yes: So it is, no: Not so}}
when: {{yes: 2 > 1, no: 2 < 1}}
why: {{yes: It is so., no: It is so after all.}}
---
Is 2 larger than 1?
:::
::: text more
Read on.
:::
::: step last
title: Two
screen: estimator
:::
{0}
"""
AGAIN = "::: predict after\nagain: before\n:::\n"


@pytest.fixture
def lesson(tmp_path):
    file = tmp_path / "01-any.md"
    file.write_text(LESSON.format(AGAIN))
    return read(file)


def test_the_truth_waits_for_the_second_time_and_the_lesson_does_not(lesson):
    first, last = lesson.steps
    done, at = LessonProgress(), Situation()
    assert [block.id for block in shown(first, done)] == ["before"]
    done.answers["before"] = "no"
    look(first, done, at)
    assert done.truths == {} and is_told(lesson.blocks["before"], done)
    assert [block.id for block in shown(first, done)] == ["before", "more"]
    assert left_in(first, done) == () and not is_open(lesson.blocks["before"], done, at)
    done.answers["after"] = "yes"
    for step in (last, first):
        look(step, done, at)
    assert done.truths == {"before": "yes", "after": "yes"} and share_done(lesson, done) == 1
