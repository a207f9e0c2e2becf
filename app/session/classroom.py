"""The room that a page is in, as its browser says: what it commits is its vote, and the teacher sets the pace."""

from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from app.classroom import rooms
from app.classroom.asked import settings_of_draws
from app.classroom.pool import SeedTaken
from app.classroom.room import Closed, Room
from app.lessons.lesson import Lesson, Step
from app.session.estimator import sample
from app.session.lesson import open_step, progress
from app.session.page import InRoom, current


class Unpooled(Enum):
    """Why a page's draws are not in the class's pool."""

    SAME_SEED = auto()  # as somebody else's
    OTHER_SETTINGS = auto()


@dataclass(frozen=True)
class Pooled:
    """How many of a page's draws are in the class's pool."""

    n: int


@dataclass(frozen=True)
class Followed:
    """What a lesson's panel says of its room. `last` is the last step that is open to the class. `draws` is None where
    the class does not draw in the step that is open, or nothing is drawn yet."""

    code: str
    last: Step
    draws: Pooled | Unpooled | None = None


def enter_room(code: str, token: str) -> None:
    """The browser is a member of this room, with this token; without a code it is in none."""
    page = current()
    before = (page.room.code, page.room.token) if page.room else ("", "")
    if (code, token) != before:
        page.room, page.stale = InRoom(code, token) if code else None, True


def follow_room(lesson: Lesson, step: Step) -> Followed | None:
    """Tell the room where the page is, and do as its teacher says: hold truths back, and go to the step that everybody
    is called to. None where the page is in no room of this lesson."""
    page, done = current(), progress(lesson.id)
    if page.room is None:
        done.held = frozenset()
        return None
    try:
        with rooms.ROOMS.member(page.room.code, page.room.token) as (room, now):
            if room.lesson != lesson.id:
                done.held = frozenset()
                return None
            room.at(page.room.token, step.id, now)
            held = frozenset(name for name in room.questions if room.waits(name))
            calls, called, last = room.calls, room.called, room.released or room.steps[-1]
            draws = _pooled(room, page.room.token, step)
    except Closed:
        page.room, done.held = None, frozenset()
        return None
    done.held = held
    steps = {one.id: one for one in lesson.steps}
    if calls > page.room.calls:
        page.room.calls = calls
        if called in steps and called != step.id:
            open_step(lesson.id, called)
    return Followed(page.room.code, steps.get(last, lesson.steps[-1]), draws)


def _pooled(room: Room, token: str, step: Step) -> Pooled | Unpooled | None:
    """Put the bench's draws into the pool, where the class draws in this step."""
    if room.pool is None or room.drawing != step.id or not len(values := sample().values):
        return None
    of = sample().bench
    try:
        room.bench_draws(token, settings_of_draws(of), of.seed, values)
    except SeedTaken:
        return Unpooled.SAME_SEED
    except Closed:
        return Unpooled.OTHER_SETTINGS
    return Pooled(room.pool.of(token).n)


def vote(question: str, answer: Any) -> None:
    """Let what was committed count in the room, where the page is in one. One answer a question counts, and one that
    comes too late does not."""
    page = current()
    if page.room:
        with suppress(ValueError), rooms.ROOMS.member(page.room.code, page.room.token) as (room, now):
            room.answer(page.room.token, question, answer, now)
