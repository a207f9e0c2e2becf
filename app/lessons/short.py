"""A place in the lessons as a few letters that fit on a board: 5 is lesson 5 from its beginning, 5.2 its second step,
and 5.2.de the same in German. They count as the list of lessons does, so that no server has to remember them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the server reads `PLACE` before anything of lessons is needed
    from app.lessons.lesson import Lesson, Step

PLACE = r"[0-9]{1,2}(\.[0-9]{1,2})?(\.[a-z]{2})?"
"""A regular expression of all of them."""


def short(lesson: "Lesson", step: "Step | None" = None, language: str = "") -> str:
    """A step of a lesson, or its beginning; `language` "" is the lessons' own."""
    number = str(lesson.steps.index(step) + 1) if step else ""
    return ".".join(filter(None, (str(lesson.number), number, language)))


def place(text: str, lessons: "Mapping[str, Lesson]") -> dict[str, str]:
    """What the address of a lesson asks for (`lesson`, `step`, `lang`), from a text that matches `PLACE`. A lesson that
    is not there is asked for by its number, so that the page says so; a step that is not there is the first."""
    number, *rest = text.split(".")
    found = next((one for one in lessons.values() if one.number == int(number)), None)
    step = next((int(part) for part in rest if part.isdigit()), 0)
    query = {"lesson": found.id if found else number}
    if found and 1 <= step <= len(found.steps):
        query["step"] = found.steps[step - 1].id
    if rest and not rest[-1].isdigit():
        query["lang"] = rest[-1]
    return query
