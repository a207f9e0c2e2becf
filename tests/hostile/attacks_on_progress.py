"""Files of progress that somebody has tampered with: a registry of kinds."""

import json
from typing import Any

from app.lessons.progress import LessonProgress, Progress, as_file
from tests.hostile.attacks import ODD, Attack, cut, flipped, noise, put
from tests.hostile.names import MARK, NAMES

GOOD_PROGRESS = as_file(
    Progress(
        {
            "series": LessonProgress(
                ["start", "terms"], {"one": 0.3, "w": "Wörter", "slow": "same"}, {"one": 0.5}, ["m"]
            ),
            "roulette": LessonProgress(["many"], {"thirty": 90.0}, {}, []),
        }
    )
)


def progress() -> dict[str, Any]:
    return json.loads(GOOD_PROGRESS)


def whole_progress(random, n):
    for k in range(n):
        yield ODD[k % len(ODD)].encode("utf-8", "surrogatepass")


def a_version(random, n):
    for k in range(n):
        yield put(progress(), "version", ODD[k % len(ODD)]).encode()


def the_lessons(random, n):
    for k in range(n):
        yield put(progress(), "lessons", ODD[k % len(ODD)]).encode()


def a_part(random, n):
    for k in range(n):
        lesson = put(
            progress()["lessons"]["series"], random.choice(["seen", "answers", "truths", "done"]), ODD[k % len(ODD)]
        )
        yield put(progress(), "lessons", put({}, random.choice(["series", *NAMES.values()]), lesson)).encode()


def an_answer(random, n):
    for k in range(n):
        kind = random.choice(["answers", "truths"])
        inner = put({}, random.choice(["one", "slow", *NAMES.values()]), ODD[k % len(ODD)])
        lesson = put(progress()["lessons"]["series"], kind, inner)
        yield put(progress(), "lessons", put({}, "series", lesson)).encode()


def an_entry(random, n):
    for k in range(n):
        lesson = put(progress()["lessons"]["series"], random.choice(["seen", "done"]), f"[{ODD[k % len(ODD)]}]")
        yield put(progress(), "lessons", put({}, "series", lesson)).encode()


def many(random, n):
    """More lessons, entries and characters than anybody can have made."""
    lesson = {"seen": [], "answers": {}, "truths": {}, "done": []}
    for k in range(n):
        count = random.choice([150, 201, 999, 1001, 5000])
        lessons = [
            {f"{MARK}{i}": lesson for i in range(count)},
            {"a": lesson | {"seen": [f"{MARK}{i}" for i in range(count)]}},
            {"a": lesson | {"answers": {f"{MARK}{i}": i for i in range(count)}}},
            {"a": lesson | {"answers": {"w": MARK * 20 * count}}},
            {MARK * count: lesson},
        ]
        yield json.dumps({"version": 1, "lessons": lessons[k % 5]}).encode()


def written_otherwise(random, n):
    """Other encodings, marks at the beginning, halves of characters, and names that stand twice."""
    for k in range(n):
        text = GOOD_PROGRESS.decode()
        ways = [
            text.encode("utf-16"), text.encode("utf-32"), b"\xef\xbb\xbf" + GOOD_PROGRESS, text.encode("latin-1"),
            text.replace("W", "\ud800").encode("utf-8", "surrogatepass"), text.replace("W", r"\udc00\ud800").encode(),
            text.replace("series", r"\ud800").encode(), text.replace("{", '{"version": 2, ', 1).encode(),
            text.replace('"one"', '"w"').encode(), text.replace(":", "::").encode(), GOOD_PROGRESS.replace(b" ", b"\0"),
        ]  # fmt: skip
        yield ways[k % len(ways)]


PROGRESS: dict[str, tuple[Attack, int]] = {
    "flipped bytes": (flipped(GOOD_PROGRESS, 0, len(GOOD_PROGRESS)), 40),
    "cut": (cut(GOOD_PROGRESS), 15),
    "noise": (noise, 8),
    "whole": (whole_progress, len(ODD)),
    "a version": (a_version, len(ODD)),
    "the lessons": (the_lessons, len(ODD)),
    "a part of a lesson": (a_part, 2 * len(ODD)),
    "an answer": (an_answer, 2 * len(ODD)),
    "an entry": (an_entry, len(ODD)),
    "many": (many, 25),
    "written otherwise": (written_otherwise, 11),
}
