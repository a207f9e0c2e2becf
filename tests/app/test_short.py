"""Short addresses of lessons and rooms: each place has one, each leads there and back, and none is another page's."""

import re

import pytest

from app.classroom.paths import PATHS, TYPED_CODE
from app.classroom.rooms import MOST_ROOMS, Rooms
from app.lessons.shelf import shelf
from app.lessons.short import PLACE, place, short
from app.screens import SCREENS

ORIGINALS = shelf().originals
PLACES = [(lesson, step) for lesson in ORIGINALS.values() for step in (None, *lesson.steps)]


@pytest.mark.parametrize("language", ["", "de"])
def test_every_step_has_a_short_address_that_leads_to_it(language):
    found = [short(lesson, step, language) for lesson, step in PLACES]
    assert len(set(found)) == len(PLACES) and max(map(len, found)) <= len("10.6.de")
    for text, (lesson, step) in zip(found, PLACES, strict=True):
        assert re.fullmatch(PLACE, text)
        asked = {"lesson": lesson.id} | ({"step": step.id} if step else {}) | ({"lang": language} if language else {})
        assert place(text, ORIGINALS) == asked


def test_they_are_counted_from_one_as_the_list_does():
    series = ORIGINALS["series"]
    assert short(series) == "4" and short(series, series.steps[1]) == "4.2"
    assert place("4.2.de", ORIGINALS) == {"lesson": "series", "step": series.steps[1].id, "lang": "de"}


@pytest.mark.parametrize("text", ["4.0", "4.99"])
def test_a_step_that_is_not_there_is_the_lessons_beginning(text):
    assert place(text, ORIGINALS) == {"lesson": "series"}


def test_a_lesson_that_is_not_there_is_asked_for_by_its_number():
    assert place("77.1.de", ORIGINALS) == {"lesson": "77", "lang": "de"}


@pytest.mark.parametrize(
    "text", [*SCREENS, "learn", "papers", "4x", "4.", ".4", "4.2.xyz", "4.2.d", "444", "4/2", "-4"]
)
def test_no_other_address_is_taken_for_one(text):
    assert not re.fullmatch(PLACE, text)


# --- codes of rooms ---------------------------------------------------------------------------------------------------


def test_every_code_is_taken_as_it_may_be_typed():
    rooms = Rooms()
    for _ in range(MOST_ROOMS):
        code, _ = rooms.open("coins", "en", (), {})
        for typed in (code, code.lower(), code.capitalize(), code[1:], code + code[0], f"A{code[1:]}"):
            assert re.fullmatch(TYPED_CODE, typed)


@pytest.mark.parametrize(
    "text",
    [
        *SCREENS,
        *(former for screen in SCREENS.values() for former in screen.former),
        *(path.split("/")[0] for paths, _ in PATHS.values() for path in paths),
        *("papers", "static", "media", "component", "_stcore", "favicon.png", "5", "5.2.de", "BCD", "BCDFGHJ", "BCD/F"),
    ],
)
def test_no_address_of_the_app_is_taken_for_a_code(text):
    assert not re.fullmatch(TYPED_CODE, text)
