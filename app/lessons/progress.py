"""What a learner has done: answers, predictions with the truth that they met, and checks; as a file and back."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

VERSION = 1
MOST_BYTES = 2**20
# Lessons have about thirty blocks.
MOST_LESSONS, MOST_ENTRIES, MOST_OF_A_NAME = 200, 1000, 200
# All explanations of all lessons, typed as long as they may be, fit into a file.
MOST_TYPED = 5000


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


@dataclass
class Progress:
    """Of all lessons, by their ids."""

    lessons: dict[str, LessonProgress] = field(default_factory=dict)

    def of(self, lesson: str) -> LessonProgress:
        return self.lessons.setdefault(lesson, LessonProgress())


def as_file(progress: Progress) -> bytes:
    """JSON that people can read."""
    lessons = {name: asdict(one) for name, one in progress.lessons.items()}
    text = json.dumps({"version": VERSION, "lessons": lessons}, indent=1, ensure_ascii=False)
    return text.encode(errors="replace")


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
        return Progress({_name(name): _lesson(one) for name, one in lessons})
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
    both = Progress(lessons)
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
