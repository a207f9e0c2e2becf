"""Short addresses of lessons and rooms: each place has one, each leads there and back, and none is another page's."""

import re

import pytest

from app.classroom.paths import PATHS, TYPED_CODE
from app.classroom.rooms import Rooms
from app.lessons.shelf import shelf
from app.lessons.short import PLACE, place, short
from app.screens import SCREENS

ORIGINALS = shelf().originals
PLACES = [(lesson, step) for lesson in ORIGINALS.values() for step in (None, *lesson.steps)]


@pytest.mark.parametrize("language", ["", "de"])
def test_every_step_has_a_short_address_that_leads_to_it(language):
    found = [short(lesson, step, language) for lesson, step in PLACES]
    assert len(set(found)) == len(PLACES)
    for text, (lesson, step) in zip(found, PLACES, strict=True):
        assert re.fullmatch(PLACE, text)
        asked = {"lesson": lesson.id} | ({"step": step.id} if step else {}) | ({"lang": language} if language else {})
        assert place(text, ORIGINALS) == asked


def test_steps_are_counted_from_one_and_one_that_is_not_there_is_the_lessons_beginning():
    series = ORIGINALS["series"]
    assert short(series) == "4" and short(series, series.steps[1]) == "4.2"
    assert place("4.2.de", ORIGINALS) == {"lesson": "series", "step": series.steps[1].id, "lang": "de"}
    assert place("4.0", ORIGINALS) == place("4.99", ORIGINALS) == {"lesson": "series"}
    assert place("77.1.de", ORIGINALS) == {"lesson": "77", "lang": "de"}


def test_no_other_address_is_taken_for_one():
    for text in (*SCREENS, "learn", "papers", "4x", "4.", ".4", "4.2.xyz", "4.2.d", "444", "4/2", "-4"):
        assert not re.fullmatch(PLACE, text), text


def test_codes_of_rooms_are_taken_as_they_are_typed_and_no_address_of_the_app_is_one():
    rooms = Rooms()
    for _ in range(20):
        code, _ = rooms.open("coins", "en", (), {})
        for typed in (code, code.lower(), code.capitalize()):
            assert re.fullmatch(TYPED_CODE, typed)
    former = (former for screen in SCREENS.values() for former in screen.former)
    paths = (path.split("/")[0] for paths, _ in PATHS.values() for path in paths)
    others = ("papers", "static", "media", "component", "_stcore", "favicon.png", "5.2.de", "BCD", "BCDFGHJ", "BCD/F")
    for text in (*SCREENS, *former, *paths, *others):
        assert not re.fullmatch(TYPED_CODE, text), text
