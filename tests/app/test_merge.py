"""Files of progress that students send: what is in one, and what many of them add up to."""

import csv
import io
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from app.classroom.merge import IN_OWN_WORDS, as_csv, merged
from app.lessons.progress import (
    MOST_BYTES,
    LessonProgress,
    Progress,
    Told,
    as_file,
    dated,
    from_file,
    joined,
)
from app.lessons.shelf import shelf

SAMPLES = Path(__file__).with_name("progress_files")
BEFORE, NAMED = ((SAMPLES / f"{name}.json").read_bytes() for name in ("before", "named"))
OPTIONS = ["little", "tenth", "much"]  # of the question `stray` of lesson 5


def lessons():
    return shelf().originals


def student(number, answers, lesson="roulette", saved="2026-11-28T10:00Z", **more):
    truths = {"stray": "much", "rare": 0.5**7}
    one = LessonProgress(answers=answers, truths={id: truths[id] for id in answers if id in truths})
    return f"{number}.json", as_file(Progress({lesson: one}, key=f"{number:016x}", saved=saved, **more))


# --- a file -----------------------------------------------------------------------------------------------------------


def test_the_time_is_that_of_greenwich():
    now = datetime(2026, 11, 28, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert dated(Progress(), now).saved == "2026-11-27T23:30Z"


def test_joined_keeps_ones_own_name_and_key():
    mine, other = Progress(name="", key="mine"), from_file(NAMED)
    both = joined(mine, other)
    assert (both.key, both.name) == ("mine", "Ada Lovelace")
    assert both.told == other.told
    newer = Progress(told={"roulette": {"rare": Told("?", "0.1")}})
    assert joined(other, newer).told["roulette"]["rare"] == Told("?", "0.1")
    assert joined(other, newer).told["roulette"]["stray"] == other.told["roulette"]["stray"]


# --- many of them -----------------------------------------------------------------------------------------------------


def test_counts_are_those_that_were_sent():
    rng = np.random.default_rng(0)
    choices, guesses = rng.choice(OPTIONS, 30), rng.choice([0.001, 0.008, 0.05], 30)
    found = merged(
        (
            student(i, {"stray": str(a), "rare": float(b)})
            for i, (a, b) in enumerate(zip(choices, guesses, strict=True))
        ),
        lessons(),
    )
    assert (len(found.sheets), found.left_out) == (30, ())
    counts, numbers = Counter(choices.tolist()), Counter(guesses.tolist())
    stray = [row for row in found.rows if "How far is one draw" in row.question]
    assert [row.people for row in stray] == [counts[key] for key in OPTIONS]
    assert [row.right for row in stray] == [False, False, True]
    rare = [row for row in found.rows if "tenth term" in row.question]
    assert [(float(row.answer), row.people) for row in rare] == sorted(numbers.items())
    assert [row.right for row in rare] == [False, True, False]
    assert found.rows.index(rare[0]) < found.rows.index(stray[0]), "in the order of the lesson"
    read = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert [int(row["people"]) for row in read] == [row.people for row in found.rows]
    assert sum(row["right"] == "yes" for row in read) == 2


def test_old_and_new_files_are_counted_together():
    found = merged([("a.json", BEFORE), ("b.json", NAMED)], lessons())
    stray = {row.answer: row.people for row in found.rows if "How far is one draw" in row.question}
    assert stray == {"By at least 0.05 and less than 0.3 nats": 1, "By 0.3 nats or more": 1}
    asked = {row.question for row in found.rows if "How far is one draw" in row.question}
    assert len(asked) == 1 and "0.5961" not in asked.pop(), "as it is asked by now"
    assert [(row.answer, row.people) for row in found.rows if row.answer == IN_OWN_WORDS] == [(IN_OWN_WORDS, 1)]
    assert "distribution?" not in as_csv(found), "nobody's own words"
    assert [(one.file, one.name, one.answers) for one in found.sheets] == [
        ("a.json", "", 3),
        ("b.json", "Ada Lovelace", 2),
    ]


def test_the_same_file_twice_counts_once_and_of_one_person_the_newer():
    found = merged([("a.json", BEFORE), ("copy.json", BEFORE), ("b.json", NAMED), ("b (1).json", NAMED)], lessons())
    assert [one.name for one in found.sheets] == ["", "Ada Lovelace"]
    assert len(found.left_out) == 2
    newer = student(7, {"stray": "much"}, saved="2026-11-28T10:05Z")
    older = student(7, {"stray": "little"}, saved="2026-11-28T10:00Z")
    for files in ([newer, older], [older, newer]):
        found = merged([(f"{i}.json", data) for i, (_, data) in enumerate(files)], lessons())
        assert [(row.answer, row.people) for row in found.rows] == [("By 0.3 nats or more", 1)]
        assert len(found.left_out) == 1


BAD = {
    "cut.json": NAMED[:100],
    "photo.json": b"\xff\xd8\xff" * 100,
    "other.json": b'{"version": 9, "lessons": {}}',
    "large.json": b" " * (MOST_BYTES + 1),
}


def test_bad_files_are_named_with_the_reason_and_the_others_count():
    good = [student(i, {"stray": "much"}) for i in range(3)]
    first, *others = BAD.items()
    found = merged([first, good[0], *others, *good[1:]], lessons())
    assert [row.people for row in found.rows] == [3]
    assert {one.file for one in found.left_out} == set(BAD)
    assert all(one.reason.endswith(".") for one in found.left_out)
    assert "9" in next(one.reason for one in found.left_out if one.file == "other.json")


@pytest.mark.parametrize(
    "text",
    [
        "[here](https://evil.example)",
        "=cmd()",
    ],
)
def test_made_up_texts_do_not_stand_in_a_lessons_question(text):
    told = {"roulette": {"stray": Told(text, text)}, "own": {"lesson": Told(text, text)}}
    name, data = student(1, {"stray": "much"}, told=told)
    more = from_file(data)
    more.lessons["own"] = LessonProgress(answers={"lesson": "=1+1"})
    found = merged([(name, as_file(more))], lessons())
    (known,) = [row for row in found.rows if row.known]
    assert "How far is one draw typically" in known.question
    assert known.answer == "By 0.3 nats or more"
    (unknown,) = [row for row in found.rows if not row.known]
    assert unknown.question == text
    assert all(not cell.startswith("=") for row in csv.reader(io.StringIO(as_csv(found))) for cell in row)


# --- the teachers' page -----------------------------------------------------------------------------------------------
