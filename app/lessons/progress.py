"""What a learner has done: answers, predictions with the truth that they met, and checks; as a file and back.

A file says by itself what was asked: it holds the texts of the questions and of the answers, the time, and a name if
one was given. Files of before have none of these, and are read as well.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

VERSION = 1
MOST_BYTES = 2**20
# Lessons have about thirty blocks.
MOST_LESSONS, MOST_ENTRIES, MOST_OF_A_NAME = 200, 1000, 200
# All explanations of all lessons, typed as long as they may be, fit into a file.
MOST_TYPED = 5000
MOST_OF_A_PERSON = 60
"""Characters of a name."""
LONGEST_KEY = 64
MOST_TOLD = 5000
"""Characters of a question, and of an answer to it."""


@dataclass
class LessonProgress:
    """Of one lesson, by the ids of its blocks. `seen` are the steps that were opened, the last of them at the end."""

    seen: list[str] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)  # predictions, choices and words
    truths: dict[str, Any] = field(default_factory=dict)  # what predictions met
    done: list[str] = field(default_factory=list)  # what was to be done, and checks that passed

    def __post_init__(self) -> None:
        # Predictions whose truth waits for a teacher. They are of a page, and in no file: this is no field.
        self.held: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Told:
    """A question as it was read, and what was answered, in words."""

    question: str
    answer: str


@dataclass
class Progress:
    """Of all lessons, by their ids. `told` has the questions that were answered, by lesson and block. `key` is drawn by
    lot, once: by it two files are known to be of one person, whoever that is."""

    lessons: dict[str, LessonProgress] = field(default_factory=dict)
    told: dict[str, dict[str, Told]] = field(default_factory=dict)
    name: str = ""  # of the person, if it was given
    key: str = ""
    saved: str = ""  # when, such as 2026-11-28T18:30Z; "" of what is in no file yet

    def of(self, lesson: str) -> LessonProgress:
        return self.lessons.setdefault(lesson, LessonProgress())


def as_file(progress: Progress) -> bytes:
    """JSON that people can read."""
    lessons = {name: asdict(one) for name, one in progress.lessons.items()}
    told = {lesson: {name: asdict(one) for name, one in of.items()} for lesson, of in progress.told.items()}
    about = {"name": progress.name, "key": progress.key, "saved": progress.saved, "told": told}
    known = {name: value for name, value in about.items() if value}
    text = json.dumps({"version": VERSION, "lessons": lessons, **known}, indent=1, ensure_ascii=False)
    return text.encode(errors="replace")


def dated(progress: Progress, now: datetime) -> Progress:
    """As it is saved now, to the minute."""
    return replace(progress, saved=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ"))


def file_name(progress: Progress) -> str:
    """Of a file of one person on one day: no two people's are the same, so that a teacher can keep all in one folder.
    Letters, digits and hyphens alone: every file system takes them."""
    parts = ["residual-flows-lessons", progress.name, progress.saved[:10], progress.key[:6]]
    text = "".join(letter if letter.isalnum() else " " for letter in " ".join(parts))
    return "-".join(text.split()) + ".json"


def from_file(data: bytes) -> Progress:
    """Raises ValueError, with a sentence, where it is no such file. Numbers that are not finite are left out, for what
    they answer is asked again; half a character is replaced."""
    if len(data) > MOST_BYTES:
        raise ValueError(f"it has {len(data):,} bytes, and a file of progress has at most {MOST_BYTES:,}.")
    try:
        read = json.loads(data, parse_int=_number)
        version, lessons = read["version"], read["lessons"].items()
        if type(version) is not int:
            raise TypeError
        if version != VERSION:
            raise ValueError(f"it has version {version}, and only version {VERSION} can be read.")
        if len(lessons) > MOST_LESSONS:
            raise ValueError(f"it has {len(lessons):,} lessons, and {MOST_LESSONS} are allowed.")
        return Progress(
            {_name(name): _lesson(one) for name, one in lessons},
            _told(read.get("told", {})),
            _short(read.get("name", ""), MOST_OF_A_PERSON),
            _short(read.get("key", ""), LONGEST_KEY),
            _short(read.get("saved", ""), LONGEST_KEY),
        )
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError("this is not a file of progress. Use a file that was downloaded here.") from error


def joined(old: Progress, new: Progress) -> Progress:
    """Both; where both have an answer, the new one. Raises ValueError where they could not be a file together."""
    lessons = dict(old.lessons)
    for name, one in new.lessons.items():
        known = lessons.get(name, LessonProgress())
        lessons[name] = LessonProgress(
            [*(step for step in known.seen if step not in one.seen), *one.seen],  # the last that was opened stays last
            known.answers | one.answers,
            known.truths | one.truths,
            list(dict.fromkeys([*known.done, *one.done])),
        )
    told = {name: old.told.get(name, {}) | new.told.get(name, {}) for name in old.told | new.told}
    both = Progress(lessons, told, old.name or new.name, old.key or new.key)
    try:
        from_file(as_file(both))
    except ValueError as error:
        raise ValueError(f"with what you did here, {error} Reload the page, and load this file alone.") from error
    return both


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) < 16 else float(digits)


def _lesson(read: Mapping[str, Any]) -> LessonProgress:
    if any(len(read[name]) > MOST_ENTRIES for name in ("seen", "answers", "truths", "done")):
        raise ValueError(f"it has a lesson with more than {MOST_ENTRIES:,} entries of a kind.")
    return LessonProgress(_names(read["seen"]), _values(read["answers"]), _values(read["truths"]), _names(read["done"]))


def _told(read: Any) -> dict[str, dict[str, Told]]:
    if type(read) is not dict:
        raise TypeError
    if len(read) > MOST_LESSONS or any(len(of) > MOST_ENTRIES for of in read.values()):
        raise ValueError(f"it tells more than {MOST_LESSONS} lessons, or {MOST_ENTRIES:,} questions of one.")
    return {_name(lesson): {_name(name): _told_of(one) for name, one in of.items()} for lesson, of in read.items()}


def _told_of(read: Any) -> Told:
    return Told(_short(read["question"], MOST_TOLD), _short(read["answer"], MOST_TOLD))


def _short(read: Any, most: int) -> str:
    return _text(read)[:most]


def _names(read: Any) -> list[str]:
    if type(read) is not list:
        raise TypeError
    return [_name(one) for one in read]


def _name(read: Any) -> str:
    """The id of a lesson, a step or a block."""
    name = _text(read)
    if len(name) > MOST_OF_A_NAME:
        raise ValueError(f"it has a name of {len(name):,} characters, and {MOST_OF_A_NAME} are allowed.")
    return name


def _values(read: Any) -> dict[str, Any]:
    if type(read) is not dict:
        raise TypeError
    kept = {}
    for name, value in read.items():
        if type(value) is str:
            kept[_name(name)] = _text(value)
        elif type(value) not in (int, float, bool):
            raise TypeError
        elif math.isfinite(value):
            kept[_name(name)] = value
    return kept


def _text(read: Any) -> str:
    """JSON can hold one half of a character that UTF-16 writes as two, which nothing else can write."""
    if type(read) is not str:
        raise TypeError
    return read.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
