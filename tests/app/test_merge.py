"""Files of progress that students send: what is in one, and what many of them add up to."""

import csv
import io
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.classroom.merge import IN_OWN_WORDS, MOST_FILES, MOST_TOGETHER, as_csv, merged
from app.lessons.progress import (
    MOST_BYTES,
    MOST_OF_A_PERSON,
    LessonProgress,
    Progress,
    Told,
    as_file,
    dated,
    file_name,
    from_file,
    joined,
)
from app.lessons.shelf import shelf
from app.screens import SCREENS
from tests.app.pages import MAIN, own
from tests.app.test_learn import checked, opened

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


@pytest.mark.parametrize("data", [BEFORE, NAMED], ids=["before", "named"])
def test_files_of_each_kind_are_read_and_written_as_they_are(data):
    assert as_file(from_file(data)) == data.rstrip(b"\n")


def test_a_file_says_who_when_and_what_was_asked():
    found = from_file(NAMED)
    assert (found.name, found.saved) == ("Ada Lovelace", "2026-11-27T09:15Z")
    assert found.told["roulette"]["stray"].answer == "By 0.3 nats or more"
    old = from_file(BEFORE)
    assert (old.name, old.key, old.saved, old.told) == ("", "", "", {})
    assert old.lessons["roulette"].answers["stray"] == "tenth"


@pytest.mark.parametrize(
    "more",
    [
        {"told": []},
        {"told": {"a": []}},
        {"told": {"a": {"b": {"question": "?"}}}},
        {"told": {"a": {"b": {"question": 1, "answer": ""}}}},
        {"told": {"a": {"x" * 1000: {"question": "?", "answer": ""}}}},
        {"told": {f"{i}": {} for i in range(1000)}},
        {"told": {"a": {f"{i}": {"question": "?", "answer": ""} for i in range(1001)}}},
        {"name": 1},
        {"key": None},
        {"saved": []},
    ],
)
def test_what_is_none_is_refused(more):
    with pytest.raises(ValueError):
        from_file(json.dumps({"version": 1, "lessons": {}} | more).encode())


def test_texts_are_held_to_their_lengths():
    data = {"version": 1, "lessons": {}, "name": "x" * 10_000, "key": "k" * 500, "saved": "s" * 500}
    found = from_file(json.dumps(data).encode())
    assert (len(found.name), len(found.key), len(found.saved)) == (MOST_OF_A_PERSON, 64, 64)


def test_the_time_is_that_of_greenwich():
    now = datetime(2026, 11, 28, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert dated(Progress(), now).saved == "2026-11-27T23:30Z"


def test_no_two_people_have_files_of_one_name():
    now = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
    names = {
        file_name(dated(Progress(name=name, key=key), now)) for name in ("", "Zoë ../ß|") for key in ("ab12", "cd34")
    }
    assert len(names) == 4
    for name in names:
        assert name.endswith(".json")
        assert not set(name) & set('/\\:*?"<>| .'[:-1]) - {"."}
        assert ".." not in name


def test_joined_keeps_ones_own_name_and_key():
    mine, other = Progress(name="", key="mine"), from_file(NAMED)
    both = joined(mine, other)
    assert (both.key, both.name) == ("mine", "Ada Lovelace")
    assert both.told == other.told
    newer = Progress(told={"roulette": {"rare": Told("?", "0.1")}})
    assert joined(other, newer).told["roulette"]["rare"] == Told("?", "0.1")
    assert joined(other, newer).told["roulette"]["stray"] == other.told["roulette"]["stray"]


@pytest.mark.usefixtures("local_engine")
def test_what_is_committed_is_told_in_words():
    page = opened(lesson="roulette", step="one")
    checked(page.radio(key="lesson.roulette.stray").set_value("tenth").run())
    checked(page.button(key="lesson.roulette.stray.commit").click().run())
    told = own(page).progress.told["roulette"]["stray"]
    assert "0.6931" in told.question
    assert "{{" not in told.question
    assert told.answer == "By at least 0.05 and less than 0.3 nats"
    assert own(page).progress.key, "the page offers a file, which has one"


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


def test_a_question_that_is_asked_as_before_has_the_numbers_that_were_read():
    (asked,) = {row.question for row in merged([("a.json", BEFORE)], lessons()).rows if "How far" in row.question}
    read = asked.replace("…", "0.5961")
    assert read != asked
    told = {"roulette": {"stray": Told(read, "By 0.3 nats or more")}}
    found = merged([student(7, {"stray": "much"}, told=told)], lessons())
    assert [row.question for row in found.rows if row.people] == [read]


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
    "empty.json": b"",
    "photo.json": b"\xff\xd8\xff" * 100,
    "other.json": b'{"version": 9, "lessons": {}}',
    "large.json": b" " * (MOST_BYTES + 1),
    "nothing.json": as_file(Progress({"roulette": LessonProgress(["idea"])})),
    "list.json": b"[]",
}


def test_bad_files_are_named_with_the_reason_and_the_others_count():
    good = [student(i, {"stray": "much"}) for i in range(3)]
    bad = list(BAD.items())
    found = merged([bad[0], good[0], *bad[1:4], good[1], *bad[4:], good[2]], lessons())
    assert [(row.people) for row in found.rows] == [3]
    assert {one.file for one in found.left_out} == set(BAD)
    assert all(one.reason.endswith(".") for one in found.left_out)
    assert "9" in next(one.reason for one in found.left_out if one.file == "other.json")


def test_no_more_than_two_hundred_files_are_merged():
    found = merged((student(i, {"stray": "much"}) for i in range(MOST_FILES + 3)), lessons())
    assert found.rows[0].people == MOST_FILES
    assert [one.file for one in found.left_out] == [f"{MOST_FILES + i}.json" for i in range(3)]


def test_files_are_held_to_their_size_together():
    blank = as_file(Progress({"roulette": LessonProgress(answers={"thirty-why": "x" * (MOST_BYTES * 9 // 10)})}))
    fits = MOST_TOGETHER // len(blank)
    files = [(f"{i}.json", blank.replace(b"xx", f"{i:02}".encode(), 1)) for i in range(fits + 2)]
    found = merged(files, lessons())
    assert (len(found.sheets), len(found.left_out)) == (fits, 2)


@pytest.mark.parametrize(
    "text",
    [
        "[here](https://evil.example)",
        "=cmd()",
        "How far is one draw, {{truth}}?",
        "x" * 5000,
        "![](http://evil.example/a)",
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


def test_a_german_file_is_counted_with_the_others():
    german = student(2, {"stray": "much"}, told={"roulette": {"stray": Told("Wie weit?", "Um 0,3 nats oder mehr")}})
    found = merged([german, ("b.json", NAMED)], lessons())
    assert [(row.answer, row.people) for row in found.rows if "How far" in row.question] == [("By 0.3 nats or more", 2)]


def test_answers_that_are_none_of_the_options_are_counted_as_they_are():
    found = merged([student(1, {"stray": "gone"}), student(2, {"stray": 3.5}), student(3, {"rare": "many"})], lessons())
    assert sorted((row.answer, row.people, row.right) for row in found.rows) == [
        ("3.5", 1, None), ("gone", 1, None), ("many", 1, None),
    ]  # fmt: skip


def test_a_file_read_again_is_the_same_for_the_merge():
    one = from_file(NAMED)
    assert from_file(as_file(replace(one))) == one


# --- the teachers' page -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("local_engine")
def test_the_teachers_page_counts_the_files_of_a_class():
    page = AppTest.from_file(str(MAIN), default_timeout=600)
    page.query_params["lesson"] = "roulette"
    page.switch_page(SCREENS["teach"].script)
    checked(page.run())
    page.session_state["teach.section.roulette"] = "For a class"
    checked(page.run())
    files = [student(i, {"stray": "much"}) for i in range(3)] + [
        student(9, {"stray": "little"}),
        ("cut.json", NAMED[:50]),
    ]
    given = [(name, data, "application/json") for name, data in files]
    checked(page.file_uploader(key="teach.files.roulette").set_value(given).run())
    (counts, sheets) = page.table
    assert counts.value["People"].tolist() == [1, 3]
    assert len(sheets.value) == 4
    assert any("4 of 5" in text.value for text in page.markdown)
    assert any("cut.json" in warning.value for warning in page.warning)
