"""What a learner has done: answers, predictions with the truth that they met, and checks; as a file and back."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

VERSION = 1
MOST_BYTES = 2**20


@dataclass
class LessonProgress:
    """Of one lesson, by the ids of its blocks. `seen` are the steps that were opened, the last of them at the end."""

    seen: list[str] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)  # predictions, choices and words
    truths: dict[str, Any] = field(default_factory=dict)  # what predictions met
    done: list[str] = field(default_factory=list)  # what was to be done, and checks that passed


@dataclass
class Progress:
    """Of all lessons, by their ids."""

    lessons: dict[str, LessonProgress] = field(default_factory=dict)

    def of(self, lesson: str) -> LessonProgress:
        return self.lessons.setdefault(lesson, LessonProgress())


def as_file(progress: Progress) -> bytes:
    """JSON that people can read."""
    lessons = {name: asdict(one) for name, one in progress.lessons.items()}
    return json.dumps({"version": VERSION, "lessons": lessons}, indent=1, ensure_ascii=False).encode()


def from_file(data: bytes) -> Progress:
    """Raises ValueError, with a sentence, where it is no such file."""
    if len(data) > MOST_BYTES:
        raise ValueError(f"it has {len(data):,} bytes: a file of progress has at most {MOST_BYTES:,}.")
    try:
        read = json.loads(data, parse_int=_number)
        if read["version"] != VERSION:
            raise ValueError(f"it is of version {read['version']}: version {VERSION} can be read.")
        return Progress({str(name): _lesson(one) for name, one in read["lessons"].items()})
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError("this is no file of progress. Take one that was downloaded here.") from error


def joined(old: Progress, new: Progress) -> Progress:
    """Both; where both have an answer, the new one."""
    lessons = dict(old.lessons)
    for name, one in new.lessons.items():
        known = lessons.get(name, LessonProgress())
        lessons[name] = LessonProgress(
            list(dict.fromkeys([*known.seen, *one.seen])),
            known.answers | one.answers,
            known.truths | one.truths,
            list(dict.fromkeys([*known.done, *one.done])),
        )
    return Progress(lessons)


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) < 16 else float(digits)


def _lesson(read: Mapping[str, Any]) -> LessonProgress:
    kinds = {"seen": list, "answers": dict, "truths": dict, "done": list}
    if any(type(read[name]) is not kind for name, kind in kinds.items()):
        raise TypeError
    plain = str | int | float | bool
    if not all(isinstance(value, plain) for name in kinds for value in _values(read[name])):
        raise TypeError
    return LessonProgress(**{name: read[name] for name in kinds})


def _values(of: list | dict) -> list:
    return of if isinstance(of, list) else list(of.values())
