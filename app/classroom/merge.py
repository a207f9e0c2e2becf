"""The files of progress that students send to their teacher, merged: how many gave which answer to which question."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.classroom.export import table
from app.lessons.lesson import Explain, Lesson, Predict
from app.lessons.progress import Progress, Told, from_file
from app.lessons.prose import PLACEHOLDER, UNKNOWN

MOST_FILES = 200
MOST_TOGETHER = 50 * 2**20
"""Bytes of all files. One of a student who answered everything has about 50,000."""
IN_OWN_WORDS = "(in own words)"
NUMBER = r" ?[-+−\d.,e%∞… ]{1,40} ?"
"""In the place of a number of a lesson's text, in a text that was read."""

Id = tuple[str, str]  # of a lesson and of a block in it


@dataclass(frozen=True)
class Sheet:
    """A file that counts. `saved` and `name` are empty where the file does not say them."""

    file: str
    name: str
    saved: str
    answers: int


@dataclass(frozen=True)
class LeftOut:
    """A file that does not count, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Row:
    """An answer to a question, and how many gave it. `right` is None where that cannot be said. The texts are Markdown
    of the lesson where it has this question (`known`), else whatever the files say."""

    lesson: str  # its id
    question: str
    answer: str
    people: int
    right: bool | None
    known: bool = True


@dataclass(frozen=True)
class Merged:
    """`rows` are in the order of the lessons, of their questions, and of the answers."""

    sheets: tuple[Sheet, ...]
    left_out: tuple[LeftOut, ...]
    rows: tuple[Row, ...]


def merged(files: Iterable[tuple[str, bytes]], lessons: Mapping[str, Lesson]) -> Merged:
    """Of files by their names. Of two files of one person the newer counts; of two that say the same, one."""
    kept: dict[str, tuple[str, Progress]] = {}
    left_out: list[LeftOut] = []
    together = 0
    for number, (name, data) in enumerate(files, 1):
        together += len(data)
        try:
            if number > MOST_FILES:
                raise ValueError(f"it is file number {number}: at most {MOST_FILES} are merged.")
            if together > MOST_TOGETHER:
                raise ValueError(f"with it there are more than {MOST_TOGETHER:,} bytes: merge fewer files at once.")
            found = from_file(data)
            if not any(one.answers for one in found.lessons.values()):
                raise ValueError("it has no answers.")
        except ValueError as error:
            left_out.append(LeftOut(name, str(error)))
            continue
        person = found.key or repr(_answers(found))
        if before := kept.get(person):
            old, new = sorted([before, (name, found)], key=lambda one: one[1].saved)
            left_out.append(LeftOut(old[0], f"it is by the same person as {new[0]}, and not newer."))
            kept[person] = new
        else:
            kept[person] = name, found
    sheets = tuple(Sheet(name, one.name, one.saved, len(_answers(one))) for name, one in kept.values())
    return Merged(sheets, tuple(left_out), tuple(_rows([one for _, one in kept.values()], lessons)))


def as_csv(found: Merged) -> str:
    """A row for each answer."""
    said = {True: "yes", False: "no", None: ""}
    rows = ([row.lesson, row.question, row.answer, row.people, said[row.right]] for row in found.rows)
    return table(["lesson", "question", "answer", "people", "right"], rows)


def _answers(of: Progress) -> dict[Id, Any]:
    return {(lesson, block): answer for lesson, one in of.lessons.items() for block, answer in one.answers.items()}


def _rows(sheets: Sequence[Progress], lessons: Mapping[str, Lesson]) -> Iterator[Row]:
    counts: dict[Id, Counter[Any]] = {}
    told: dict[Id, list[Told]] = {}
    truths: dict[Id, Any] = {}  # of each the first that a file has
    for sheet in sheets:
        for id, answer in _answers(sheet).items():
            counts.setdefault(id, Counter())[answer] += 1
        for lesson, of in sheet.told.items():
            for name, one in of.items():
                told.setdefault((lesson, name), []).append(one)
        for lesson, done in sheet.lessons.items():
            for name, truth in done.truths.items():
                if truth is not None:
                    truths.setdefault((lesson, name), truth)
    blocks = {
        (lesson.id, block.id): block for lesson in lessons.values() for step in lesson.steps for block in step.blocks
    }
    order = {id: place for place, id in enumerate(blocks)}
    for id in sorted(counts, key=lambda id: (order.get(id, len(order)), id)):
        block = blocks.get(id)
        read = told.get(id, [])
        question = _as_read(block.text if block else "", (one.question for one in read)) or id[1]
        if isinstance(block, Predict) and block.again:
            question = f"{question} (asked again)"
        if isinstance(block, Explain):
            written = sum(people for text, people in counts[id].items() if str(text).strip())
            yield Row(id[0], question, IN_OWN_WORDS, written, None)
            continue
        choice = list(block.options) if isinstance(block, Predict) else []
        for answer in sorted(counts[id], key=lambda one: _place(one, choice)):
            shown = _answer(answer, block, (one.answer for one in read))
            right = _right(answer, truths.get(id, _told_later(id, block, truths)), block)
            yield Row(id[0], question, shown, counts[id][answer], right, block is not None)


def _told_later(id: Id, block: Any, truths: Mapping[Id, Any]) -> Any:
    """The truth of a question that is asked again, as it was met there."""
    return truths.get((id[0], block.told_with)) if isinstance(block, Predict) else None


def _place(answer: Any, choice: list[str]) -> tuple[int, float, str]:
    """Options in their order, then numbers by their size, then what else there is."""
    if answer in choice:
        return choice.index(answer), 0.0, ""
    if isinstance(answer, str):
        return len(choice) + 1, 0.0, answer
    return len(choice), float(answer), ""


def _answer(answer: Any, block: Any, told: Iterable[str]) -> str:
    if not isinstance(block, Predict):
        return str(answer)
    if answer in block.options:
        return _as_read(block.options[answer], told)
    return f"{answer:g} {block.unit}".strip() if isinstance(answer, int | float) else str(answer)


def _as_read(text: str, told: Iterable[str]) -> str:
    """A text of the lesson with its numbers, as the first who has read it tells, or without them: what is told may be
    of another version, in another language, or made up. Without a text of the lesson, what is told."""
    parts = [re.escape(" ".join(part.split())) for part in PLACEHOLDER.sub("\0", text).split("\0")]
    pattern = re.compile(NUMBER.join(parts))
    for one in told:
        line = " ".join(one.split())
        if not text or pattern.fullmatch(line):
            return line
    return " ".join(PLACEHOLDER.sub(UNKNOWN, text).split())


def _right(answer: Any, truth: Any, block: Any) -> bool | None:
    if not isinstance(block, Predict) or not block.takes(answer) or not block.may_be(truth):
        return None
    return bool(block.is_right(answer, truth))
