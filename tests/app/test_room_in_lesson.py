"""A lesson whose browser is in a room: what is committed is a vote, truths wait for the teacher, and so do steps."""

import time

import numpy as np
import pytest

from app.classroom import pool, rooms
from app.classroom.asked import asked, draws_of, settings_of_draws
from app.classroom.rooms import Rooms
from app.estimates.settings import Bench
from app.lessons.lesson import Predict
from app.lessons.made import acted
from app.lessons.progress import as_file, from_file
from app.lessons.shelf import shelf
from app.lessons.words import wording
from app.session.page import InRoom
from tests.app.pages import keys, own, shown_step
from tests.app.test_learn import checked, opened

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
LESSON = "series"
TOKEN = "a" * 32
MOST_DRAWS = 150
"""Of a member, where there are to be fewer than were made."""


@pytest.fixture
def teacher(monkeypatch):
    """A room of the lesson: its teacher's side, and one member."""
    monkeypatch.setattr(rooms, "ROOMS", Rooms())
    lesson = shelf().lesson(LESSON)
    found = asked(acted(lesson).result())
    code, secret = rooms.ROOMS.open(LESSON, "en", tuple(step.id for step in lesson.steps), found.questions)
    rooms.ROOMS.join(code, TOKEN)
    with rooms.ROOMS.teacher(code, secret) as room:
        return room  # without the lock, which the page's own thread needs


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
    assert teacher.answered(time.monotonic()) == (1, 1)
    teacher.reveal()
    checked(page.run())
    assert block.id in own(page).progress.of(LESSON).truths
    assert f"why-{block.id}" in keys(page)


def test_a_truth_is_held_back_from_the_first_draw_on(teacher):
    """Also where the progress has just come from the browser, and says nothing of the room."""
    step, block = first_prediction(shelf().lesson(LESSON))
    teacher.release(step.id)
    page = in_room(teacher, step=step.id)
    commit(page, block)
    own(page).progress = from_file(as_file(own(page).progress))
    checked(page.run())
    assert block.id in own(page).progress.of(LESSON).answers
    assert block.id not in own(page).progress.of(LESSON).truths


def test_a_vote_on_the_wall_is_counted_once(teacher):
    step, block = first_prediction(shelf().lesson(LESSON))
    teacher.release(step.id)
    teacher.ask(block.id)
    page = in_room(teacher, step=step.id)
    guess = commit(page, block)
    assert teacher.asked[block.id].rounds[0].answers == {TOKEN: guess}
    assert teacher.results() == []


def test_steps_open_when_the_teacher_opens_them_and_everybody_is_brought(teacher):
    steps = shelf().lesson(LESSON).steps
    page = in_room(teacher, step=steps[2].id)
    page.query_params["step"] = steps[2].id
    assert page.button(key="lesson.next").disabled or shown_step(page) is not steps[0]
    fresh = opened(lesson=LESSON)
    own(fresh).room = InRoom(teacher.code, TOKEN)
    checked(fresh.run())
    assert shown_step(fresh) == steps[0]
    assert fresh.button(key="lesson.next").disabled
    teacher.bring(steps[1].id)
    checked(fresh.run())
    assert own(fresh).lesson.step == steps[1].id
    teacher.release(None)
    checked(opened(lesson=LESSON))
    assert sum(teacher.places(time.monotonic())[step.id] for step in steps[:2]) == 1


def test_a_free_pace_tells_at_once(teacher):
    step, block = first_prediction(shelf().lesson(LESSON))
    teacher.release(None)
    page = in_room(teacher, step=step.id)
    commit(page, block)
    assert block.id in own(page).progress.of(LESSON).truths


@pytest.fixture
def drawing(monkeypatch):
    """A room whose class draws in the step `many` of the lesson on the roulette."""
    monkeypatch.setattr(rooms, "ROOMS", Rooms())
    lesson = shelf().lesson("roulette")
    found = asked(acted(lesson).result())
    code, secret = rooms.ROOMS.open("roulette", "en", tuple(step.id for step in lesson.steps), found.questions)
    rooms.ROOMS.join(code, TOKEN)
    with rooms.ROOMS.teacher(code, secret) as room:
        room.release(None)
        room.gather(settings_of_draws(found.benches["many"]), "many")
        return room


def with_draws(room, seed):
    """A page of the room at the step `many`, on which a hundred draws with this seed were made."""
    page = opened(lesson="roulette", step="many")
    own(page).room = InRoom(room.code, TOKEN)
    checked(page.run())
    checked(page.number_input(key="bench.seed").set_value(seed).run())
    return checked(page.button(key="throw.100").click().run())


def says(page, key, **values):
    return any(wording().say(key, **values) in caption.value for caption in page.caption)


@pytest.mark.slow
def test_draws_of_the_bench_are_pooled(drawing, monkeypatch):
    monkeypatch.setattr(pool, "MOST_DRAWS", MOST_DRAWS)
    page = checked(with_draws(drawing, 7).run())
    np.testing.assert_array_equal(drawing.pool.all(), draws_of(own(page).benches[Bench], 7, 100))
    assert says(page, "in_room_draws", n=100)
    version = drawing.pool.version
    checked(page.run())
    assert drawing.pool.version == version, "the same draws are put once"
    page = checked(checked(page.button(key="throw.100").click().run()).run())
    np.testing.assert_array_equal(drawing.pool.all(), draws_of(own(page).benches[Bench], 7, MOST_DRAWS))
    assert says(page, "in_room_draws", n=MOST_DRAWS)
    page = checked(page.number_input(key="bench.seed").set_value(8).run())
    assert len(drawing.pool.all()) == MOST_DRAWS, "what was drawn stays until something else is"
    page = checked(checked(page.button(key="throw.100").click().run()).run())
    np.testing.assert_array_equal(drawing.pool.all(), draws_of(own(page).benches[Bench], 8, 100))


def test_draws_with_a_seed_that_somebody_has_are_left_out(drawing):
    drawing.join("b" * 32, 0.0)
    drawing.bench_draws("b" * 32, drawing.pool.settings, 7, draws_of(Bench(), 7, 10))
    page = checked(with_draws(drawing, 7).run())
    assert len(drawing.pool.all()) == 10
    assert says(page, "in_room_same_seed")


def test_draws_of_something_else_are_left_out(drawing):
    drawing.gather(drawing.pool.settings, "one")
    page = checked(with_draws(drawing, 7).run())
    assert not len(drawing.pool.all()), "the class draws in another step"
    assert not says(page, "in_room_other_settings")
    drawing.gather(settings_of_draws(Bench(probe="sphere")), "many")
    assert says(checked(page.run()), "in_room_other_settings")
    assert not len(drawing.pool.all())


def test_another_room_or_none_holds_nothing_back(teacher):
    step, block = first_prediction(shelf().lesson(LESSON))
    page = opened(lesson=LESSON, step=step.id)
    own(page).room = InRoom("ZZZZZ", TOKEN)
    checked(page.run())
    assert own(page).room is None
    commit(page, block)
    assert block.id in own(page).progress.of(LESSON).truths


def test_what_is_held_back_is_in_no_file(teacher):
    page = in_room(teacher)
    progress = own(page).progress
    assert progress.of(LESSON).held
    assert from_file(as_file(progress)).of(LESSON).held == frozenset()
