"""A lesson whose browser is in a room: what is committed is a vote, truths wait for the teacher, and so do steps."""

import numpy as np
import pytest

from app.classroom import rooms
from app.classroom.asked import asked, draws_of, settings_of_draws
from app.classroom.rooms import Rooms
from app.estimates.settings import Bench
from app.lessons.lesson import Predict
from app.lessons.made import acted
from app.lessons.shelf import shelf
from app.session.page import InRoom
from tests.app.pages import keys, own, shown_step
from tests.app.test_learn import checked, opened

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
LESSON = "series"
TOKEN = "a" * 32


NOW = 1000.0
"""The rooms' clock stands still."""


def room_of(lesson_id, monkeypatch):
    """A room of a lesson, its teacher's side, with one member, and what its lesson asks."""
    monkeypatch.setattr(rooms, "ROOMS", Rooms(lambda: NOW))
    lesson = shelf().lesson(lesson_id)
    found = asked(acted(lesson).result())
    code, secret = rooms.ROOMS.open(lesson_id, "en", tuple(step.id for step in lesson.steps), found.questions)
    rooms.ROOMS.join(code, TOKEN)
    with rooms.ROOMS.teacher(code, secret) as room:
        return room, found  # without the lock, which the page's own thread needs


@pytest.fixture
def teacher(monkeypatch):
    room, _ = room_of(LESSON, monkeypatch)
    return room


def in_room(room, **query):
    page = opened(lesson=LESSON, **query)
    own(page).room = InRoom(room.code, TOKEN)
    return checked(page.run())


def first_prediction(lesson):
    return next((step, block) for step in lesson.steps for block in step.blocks if isinstance(block, Predict))


def commit(page, block):
    guess, widget = next(iter(block.options), block.low), f"lesson.{LESSON}.{block.id}"
    kind = page.radio if block.is_choice else page.slider if block.step else page.number_input
    kind(key=widget).set_value(guess)
    checked(page.run())
    checked(page.button(key=f"{widget}.commit").click().run())
    return guess


def test_what_is_committed_counts_and_its_truth_waits_for_the_teacher(teacher):
    step, block = first_prediction(shelf().lesson(LESSON))
    teacher.release(step.id)
    page = in_room(teacher, step=step.id)
    guess = commit(page, block)
    assert teacher.early[block.id] == {TOKEN: guess}
    assert block.id not in own(page).progress.of(LESSON).truths
    assert f"why-{block.id}" not in keys(page)
    later = step.blocks[step.blocks.index(block) + 1 :]
    assert not {f"lesson-{one.id}" for one in later} & set(keys(page))
    teacher.ask(block.id)
    assert teacher.answered(NOW) == (1, 1)
    teacher.reveal()
    checked(page.run())
    assert block.id in own(page).progress.of(LESSON).truths
    assert f"why-{block.id}" in keys(page)


def test_steps_open_when_the_teacher_opens_them_and_everybody_is_brought(teacher):
    steps = shelf().lesson(LESSON).steps
    fresh = opened(lesson=LESSON)
    own(fresh).room = InRoom(teacher.code, TOKEN)
    checked(fresh.run())
    assert shown_step(fresh) == steps[0]
    assert fresh.button(key="lesson.next").disabled
    teacher.bring(steps[1].id)
    checked(fresh.run())
    assert own(fresh).lesson.step == steps[1].id
    assert teacher.places(NOW)[steps[1].id] == 1


@pytest.fixture
def drawing(monkeypatch):
    """A room whose class draws in the step `many` of the lesson on the roulette."""
    room, found = room_of("roulette", monkeypatch)
    room.release(None)
    room.gather(settings_of_draws(found.benches["many"]), "many")
    return room


def test_draws_of_the_bench_are_pooled_once_and_those_of_something_else_are_left_out(drawing):
    page = opened(lesson="roulette", step="many")
    own(page).room = InRoom(drawing.code, TOKEN)
    checked(page.run())
    page = checked(checked(page.button(key="throw.100").click().run()).run())
    bench = own(page).benches[Bench]
    np.testing.assert_array_equal(drawing.pool.all(), draws_of(bench, bench.seed, 100))
    ours = drawing.pool.settings
    for settings, step in ((settings_of_draws(Bench(probe="sphere")), "many"), (ours, "one")):
        drawing.gather(settings, step)
        checked(page.run())
        assert not len(drawing.pool.all()), "the class draws something else, or in another step"
