"""The lessons that there are: a file of `lessons/` each."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from app.lessons import words
from app.lessons.lesson import Check, Lesson
from app.lessons.raw import Wrong
from app.lessons.reading import NAME, read
from app.lessons.words import FOLDER, ORIGINAL

DEMONSTRATION = FOLDER / "demonstration.md"
"""Ten minutes before a class, in steps as those of lessons; in no list."""


@dataclass(frozen=True)
class Shelf:
    """Lessons by language and id, in the order of their numbers, and what is wrong with those that cannot be read."""

    lessons: dict[str, dict[str, Lesson]]
    problems: tuple[str, ...] = ()

    @property
    def originals(self) -> dict[str, Lesson]:
        return self.lessons.get(ORIGINAL, {})

    def languages(self, lesson: str) -> tuple[str, ...]:
        """Those that a lesson is there in, the original first."""
        return tuple(language for language, lessons in self.lessons.items() if lesson in lessons)

    @property
    def spoken(self) -> tuple[str, ...]:
        """All languages, the original first."""
        return tuple(language for language, lessons in self.lessons.items() if lessons)

    def lesson(self, id: str, language: str = "") -> Lesson | None:
        """In this language where it is there, else as it was written."""
        return self.lessons.get(language, {}).get(id) or self.originals.get(id)


def shelf(folder: Path = FOLDER) -> Shelf:
    """All lessons as the files are now."""
    files = sorted(path for path in folder.glob("*.md") if NAME.match(path.name))
    return _shelf(tuple((path, path.stat().st_mtime_ns) for path in files))


@lru_cache(maxsize=4)
def _shelf(files: tuple[tuple[Path, int], ...]) -> Shelf:
    found: dict[str, dict[str, Lesson]] = {ORIGINAL: {}}
    problems: list[str] = []
    for path, _ in files:
        try:
            lesson = read(path)
        except Wrong as wrong:
            problems.append(str(wrong))
            continue
        there = found.setdefault(NAME.match(path.name)["language"] or ORIGINAL, {})
        if lesson.id in there:
            problems.append(f"{path.name}:1: `{lesson.id}` is the name of {there[lesson.id].path.name} too.")
            continue
        there[lesson.id] = lesson
    for lesson in found[ORIGINAL].values():
        problems += [
            f"{lesson.path.name}:1: there is no lesson `{other}` that could come before."
            for other in lesson.prerequisites
            if other not in found[ORIGINAL]
        ]
    for language in found.keys() - {ORIGINAL}:
        problems += words.problems(language)
    return Shelf(found, tuple(problems))


def measured(lessons: Iterable[Lesson]) -> set[str]:
    """The observables that checks of these lessons name beside their number."""
    checks = (block for lesson in lessons for block in lesson.blocks.values() if isinstance(block, Check))
    return {check.observable.names[0][0] for check in checks if check.observable.is_plain} - {"answer"}
