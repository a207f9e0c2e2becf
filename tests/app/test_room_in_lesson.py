"""A lesson whose browser is in a room: what is committed is a vote, truths wait for the teacher, and so do steps."""

import pytest

from app.classroom import rooms
from app.classroom.asked import asked
from app.classroom.rooms import Rooms
from app.lessons.lesson import Predict
from app.lessons.made import acted
from app.lessons.progress import as_file, from_file
from app.lessons.shelf import shelf
from app.session.page import InRoom
from tests.app.pages import keys, own, shown_step
from tests.app.test_learn import checked, opened

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
LESSON = "series"
TOKEN = "a" * 32


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
    assert teacher.answered() == (1, 1)
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
    assert teacher.places()[steps[0].id] + teacher.places()[steps[1].id] == 1


def test_a_free_pace_tells_at_once(teacher):
    step, block = first_prediction(shelf().lesson(LESSON))
    teacher.release(None)
    page = in_room(teacher, step=step.id)
    commit(page, block)
    assert block.id in own(page).progress.of(LESSON).truths


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
