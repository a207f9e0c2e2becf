"""A question that is asked again: it is written once, its truth waits for the second time, and a room compares both."""

import csv
import io
import time

import pytest

from app.classroom import export, state
from app.classroom.asked import asked
from app.classroom.rooms import Rooms
from app.lessons.lesson import Predict
from app.lessons.looking import is_open, is_told, left_in, look, share_done, shown
from app.lessons.made import acted
from app.lessons.observables import Situation
from app.lessons.progress import LessonProgress
from app.lessons.raw import Wrong
from app.lessons.reading import read
from app.lessons.shelf import shelf
from app.screens import SCREENS  # noqa: F401  lessons ask of all screens
from tests.app.pages import keys, own
from tests.app.test_learn import checked, opened

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
GERMAN = """---
title: Eine Lektion
level: alle
objectives: [Eins]
key_points: [Eins]
---
::: step first
title: Eins
:::
::: predict before
options: {yes: So ist es, no: Nein}
why: {yes: So ist es., no: Doch.}
---
Ist 2 größer als 1?
:::
"""


@pytest.fixture
def lesson(tmp_path):
    file = tmp_path / "01-any.md"
    file.write_text(LESSON.format(AGAIN))
    (tmp_path / "01-any.de.md").write_text(GERMAN)
    return read(file)


def test_it_is_written_once_in_each_language(lesson, tmp_path):
    for one in (lesson, read(tmp_path / "01-any.de.md")):
        before, after = one.blocks["before"], one.blocks["after"]
        assert (before.text, before.options, before.when, before.why) == (
            after.text, after.options, after.when, after.why,
        )  # fmt: skip
        assert (before.told_with, after.again, before.again, after.told_with) == ("after", "before", "", "")
    assert read(tmp_path / "01-any.de.md").blocks["after"].text == "Ist 2 größer als 1?"


@pytest.mark.parametrize(
    ("last", "named"),
    [
        ("::: predict after\nagain: nothing\n:::\n", "nothing"),
        ("::: predict after\nagain: after\n:::\n", "after"),
        ("::: predict after\nagain: more\n:::\n", "more"),
        ("::: predict after\nagain: before\nnear: 1\n:::\n", "before"),
        ("::: predict after\nagain: before\n---\nWhat?\n:::\n", "before"),
        (AGAIN + "::: predict third\nagain: before\n:::\n", "after"),
        (AGAIN + "::: predict third\nagain: after\n:::\n", "after"),
        ("::: predict after\ntold_with: before\n:::\n", "told_with"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, last, named):
    file = tmp_path / "01-any.md"
    file.write_text(LESSON.format(last))
    with pytest.raises(Wrong, match=r"^01-any.md:\d+: ") as refused:
        read(file)
    assert f"`{named}" in str(refused.value) or f": {named}`" in str(refused.value)


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


def test_a_teacher_who_holds_truths_back_does_not_stop_the_lesson_at_the_first_time(lesson):
    first, last = lesson.steps
    done = LessonProgress(answers={"before": "no"})
    done.held = frozenset({"before", "after"})
    assert [block.id for block in shown(first, done)] == ["before", "more"]
    done.answers["after"] = "no"
    look(last, done, Situation())
    assert done.truths == {} and not is_told(lesson.blocks["after"], done)


# --- in a room --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found():
    return asked(acted(shelf().lesson("roulette")).result())


@pytest.fixture
def room(found):
    rooms = Rooms()
    code, secret = rooms.open("roulette", "en", tuple(step.id for step in found.lesson.steps), found.questions)
    for k in range(10):
        rooms.join(code, f"token-{k}")
    with rooms.teacher(code, secret) as room:
        return room


def voted(room, question, answers):
    room.ask(question)
    for k, answer in enumerate(answers):
        room.vote(f"token-{k}", answer, time.monotonic() + 10 * len(room.asked))


def pair(found):
    """A question that is asked again, the later one, the right answer and a wrong one."""
    after = next(question for question in found.questions.values() if question.again)
    right = found.truths[after.id].value
    return after.again, after.id, right, next(name for name in after.options if name != right)


def compared(room, found):
    return state.for_wall(room, found)["question"].get("before_and_after")


def test_the_wall_compares_before_and_after_once_the_truth_is_revealed(room, found):
    before, after, right, wrong = pair(found)
    voted(room, before, [right, wrong, wrong, wrong])
    room.show()
    assert room.waits(before) and compared(room, found) is None
    voted(room, after, [right, right, right, right, wrong])
    assert compared(room, found) is None, "it would tell the truth"
    room.show()
    room.vote_again()
    for k in range(6):
        room.vote(f"token-{k}", right if k else wrong, time.monotonic() + 100)
    room.reveal()
    assert compared(room, found) == [{"right": 1, "people": 4}, {"right": 5, "people": 6}]
    assert not room.waits(before) and not room.waits(after)


def test_answers_in_the_lesson_count_as_before(room, found):
    before, after, right, wrong = pair(found)
    for k, answer in enumerate([right, wrong, wrong]):
        room.answer(f"token-{k}", before, answer, time.monotonic())
    voted(room, after, [right, right])
    room.reveal()
    assert compared(room, found) == [{"right": 1, "people": 3}, {"right": 2, "people": 2}]


def test_without_answers_before_nothing_is_compared(room, found):
    _, after, right, _ = pair(found)
    voted(room, after, [right])
    room.reveal()
    assert compared(room, found) is None


def test_the_export_tells_both_times_apart(room, found):
    before, after, right, _ = pair(found)
    for question in (before, after):
        voted(room, question, [right] * 5)
    questions = {row["question"] for row in csv.DictReader(io.StringIO(export.counts(room)))}
    assert len(questions) == 2


# --- lesson 5 ---------------------------------------------------------------------------------------------------------


def test_lesson_5_asks_the_same_two_questions_in_its_first_and_its_last_step():
    lesson = shelf().lesson("roulette")
    first, last = lesson.steps[0], lesson.steps[-1]
    again = [block for block in last.blocks if isinstance(block, Predict)]
    assert len(again) == 2 and all(first.block(block.again).told_with == block.id for block in again)
    assert [block.id for block in first.blocks if isinstance(block, Predict)][:2] == [block.again for block in again]


@pytest.mark.thorough
@pytest.mark.usefixtures("local_engine")
def test_the_page_tells_no_truth_before_the_second_time():
    lesson = shelf().lesson("roulette")
    page = opened(lesson="roulette", step=lesson.steps[0].id)
    before = next(block for block in lesson.steps[0].blocks if isinstance(block, Predict))
    widget = f"lesson.roulette.{before.id}"
    checked(page.radio(key=widget).set_value(next(iter(before.options))).run())
    checked(page.button(key=f"{widget}.commit").click().run())
    assert before.id not in own(page).progress.of("roulette").truths and f"why-{before.id}" not in keys(page)
    own(page).progress.of("roulette").answers[before.told_with] = next(iter(before.options))
    checked(page.run())
    assert f"why-{before.id}" in keys(page)
