"""Where a page is in a lesson, what it has done there, and the screen and settings of each step."""

import secrets
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import streamlit as st

from app.classroom import rooms
from app.engine.reports import MOVING
from app.estimates.sample import Sample, thrown_settings
from app.estimates.settings import Bench
from app.lessons.lesson import Action, Do, Lesson, Predict, Step
from app.lessons.looking import is_told, shown, still_asks, task
from app.lessons.observables import Moved, Situation
from app.lessons.player import speaks_of_curves
from app.lessons.progress import MOST_OF_A_PERSON, LessonProgress, Progress, Told, dated, joined
from app.lessons.settings import changed, prefix_in
from app.lessons.shelf import shelf
from app.lessons.words import wording
from app.link import BENCHES
from app.session.address import PLACE, new_entry
from app.session.benches import choose, show_bench
from app.session.estimator import sample
from app.session.kept import remember
from app.session.page import AsLeft, Place, Resumed, current, show
from app.session.run import start
from app.session.run import step as train
from app.session.settings import change
from app.setup import Setup
from app.text import plain


def place() -> Place | None:
    """Where the page is in a lesson."""
    return current().lesson


def lesson() -> Lesson | None:
    """The lesson that is open."""
    at = place()
    return shelf().lesson(at.lesson, at.language) if at else None


def step_open() -> Step | None:
    """The step that is open; the first one where there is none of that name any more."""
    found = lesson()
    if found is None:
        return None
    return next((step for step in found.steps if step.id == place().step), found.steps[0])


def step_over(screen: str) -> Step | None:
    """The step that is open, if it lies over this screen."""
    found = step_open()
    return found if found and found.screen == screen else None


def lie_under_lesson(lies: bool) -> None:
    """Let the screen that is shown know whether a lesson lies over it."""
    current().lies_under_lesson = lies


def lies_under_lesson() -> bool:
    """Whether a lesson lies over the screen that is shown."""
    return "page" in st.session_state and current().lies_under_lesson


def is_about_curves() -> bool:
    """Whether a lesson over the screen speaks of the course of the loss."""
    return lies_under_lesson() and (found := step_open()) is not None and speaks_of_curves(found)


def predicts() -> bool:
    """Whether a lesson over the screen waits for a prediction."""
    if not lies_under_lesson() or not (found := step_open()):
        return False
    return any(isinstance(block, Predict) and not is_told(block, progress()) for block in shown(found, progress())[-1:])


def asks() -> bool:
    """The same, or for an act, which it names."""
    if not lies_under_lesson() or not (found := step_open()):
        return False
    return predicts() or isinstance(task(found, progress()), Do)


def is_still_asked(name: str) -> bool:
    """Whether a lesson over the screen still asks for an observable or a setting, which the screen is not to tell."""
    if not lies_under_lesson() or not (over := lesson()) or not (found := step_open()):
        return False
    return still_asks(over, found, name, progress())


def open_step(lesson_id: str, step_id: str = "", language: str | None = None, anew: bool = False) -> None:
    """Go to a step, or to where somebody was last, with its screen and its settings; benches and throws are as they
    were left there, unless the step is set up `anew`. A flow with these settings goes on from step to step; it is
    another one, untrained and at rest, in another lesson and where the step is set up `anew`."""
    page, restores = current(), not anew
    anew = anew or page.lesson is None or page.lesson.lesson != lesson_id
    language = spoken() if language is None else language
    found = shelf().lesson(lesson_id, language)
    if found is None:
        wrong = [problem for problem in shelf().problems if f"-{lesson_id}." in problem]
        page.notice = " ".join([f"There is no lesson `{plain(lesson_id)}`. Choose one from the list.", *wrong])
        return
    leave_step()
    done = progress(lesson_id)
    chosen = _opened(found, _chosen(found, step_id, done))
    enters = page.lesson is None or page.lesson.lesson != lesson_id
    page.resumed = _resumed(done) if enters and chosen.id in done.seen else None
    page.began = not step_id and not done.seen
    if page.lesson != (there := Place(found.id, chosen.id, language)):
        new_entry()
    page.lesson, page.turned, page.stale = there, chosen.screen, True
    page.notice = ""
    done.seen = [*(one for one in done.seen if one != chosen.id), chosen.id]
    setup, benches = changed(page.setup, page.benches, chosen.settings, anew=True)
    if any(not prefix_in(name) for name in chosen.settings):
        if not setup.same_run(page.setup):
            page.plays = False
        elif anew:
            remember()
            page.plays = False
            start(setup)
    was = page.as_left.get((found.id, chosen.id)) if restores else None
    _become(setup, benches | dict(was.benches) if was else benches)
    page.sample = was.sample if was else Sample(thrown_settings(page.benches[Bench]))
    left = chosen.trained - (page.report.arms[0].step if page.report.arms else 0)
    if left > 0:
        train(left)


def leave_step() -> None:
    """Keep the benches of the step that is open, and its throws, for whoever comes back to it."""
    page = current()
    if page.lesson and page.lesson.opened and (step := step_open()):
        benches = {kind: page.benches[kind] for kind in _benches_of(step)}
        page.as_left[page.lesson.lesson, step.id] = AsLeft(benches, sample())


def _benches_of(step: Step) -> list[type]:
    """Those that a step sets, or offers controls of."""
    prefixes = {prefix_in(name) for name in (*step.settings, *step.controls)}
    return [kind for prefix, kind in BENCHES.items() if prefix in prefixes]


def _chosen(lesson: Lesson, step_id: str, done: LessonProgress) -> Step:
    """The step of this name; where there is none, the one that was open last, or the first."""
    steps = {step.id: step for step in lesson.steps}
    return next((steps[one] for one in (step_id, *done.seen[-1:]) if one in steps), lesson.steps[0])


def _opened(lesson: Lesson, chosen: Step) -> Step:
    """This step; in a room whose teacher has not opened it yet, the last one that is open."""
    page = current()
    if page.room is None:
        return chosen
    with suppress(ValueError), rooms.ROOMS.member(page.room.code, page.room.token) as (room, _):
        if room.lesson == lesson.id and not room.may_open(chosen.id):
            return next((step for step in lesson.steps if step.id == room.released), chosen)
    return chosen


def _resumed(done: LessonProgress) -> Resumed:
    return Resumed(bool(done.answers or done.done))


def resumed() -> Resumed | None:
    """Whether the step that is open is where somebody was before."""
    return current().resumed


def resume(kept: Progress) -> None:
    """Go to where somebody was in the lesson that is open, by what the browser has kept of it: it is known a moment
    after the page was opened."""
    page = current()
    if not page.lesson or (was := kept.lessons.get(page.lesson.lesson)) is None or not was.seen:
        return
    if page.began and was.seen[-1] != page.lesson.step and not progress().answers:
        progress().seen = []
        open_step(page.lesson.lesson, was.seen[-1])
    if page.lesson.step in was.seen:
        page.resumed, page.stale = _resumed(was), True


def moves() -> bool:
    """Whether the page's flow trains."""
    return current().report.state in MOVING


def arrive(screen: str) -> None:
    """Open the step that the address asks for, unless its settings came with it; in the lesson that is open already
    the flow goes on."""
    page, query = current(), st.query_params
    page.screen, at = screen, page.lesson
    if at and not (at.opened and lesson()):
        page.lesson = None
    if screen == "learn" and "lesson" in query:
        lesson_id, step_id, language = (query.get(name) for name in PLACE)
        query.clear()
        open_step(lesson_id, step_id or "", language)
    elif at and not page.lesson:
        open_step(at.lesson, at.step, at.language)
    elif at and step_open().id not in progress().seen:
        progress().seen.append(step_open().id)


def go_back() -> None:
    """To the screen of the step that is open, as it was left."""
    if found := step_open():
        current().turned, current().stale = found.screen, True


def spoken() -> str:
    """The language of the lesson that is open, or that was chosen before; "": the lessons' own."""
    page = current()
    return page.lesson.language if page.lesson else page.language


def speak(language: str) -> None:
    """Go on in this language, in the lesson that is open and in those to come."""
    page = current()
    page.language, page.stale = language, True
    if page.lesson:
        page.lesson = replace(page.lesson, language=language)


def typed(widget: str) -> Any:
    """What a widget holds now: it may have been changed and a button pressed at once, since it was drawn."""
    return st.session_state.get(widget)


def fill(widget: str, value: Any) -> None:
    """Let a widget that is yet to be drawn hold this."""
    if typed(widget) != value:
        st.session_state[widget] = value


def holding(widget: str, value: Any) -> str:
    """The key of a widget that has `value` as its first one: a new key where the widget holds something else, because a
    file was loaded or the browser told what it kept. A value that is set instead can be lost: if the run that sends it
    is broken off, the browser tells of an empty field, as if somebody had emptied it."""
    times = current().renewed
    key = _renewed(widget, times.get(widget, 0))
    if st.session_state.get(key, value) != value:
        times[widget] = times.get(widget, 0) + 1
    return _renewed(widget, times.get(widget, 0))


def _renewed(widget: str, times: int) -> str:
    return f"{widget}.{times}" if times else widget


def found() -> dict[str, Any]:
    """What each check found when it was asked last, by its key."""
    return current().found


def unjudged() -> set[str]:
    """The keys of checks that were asked and are not judged yet: the run of a press may be broken off before."""
    return current().unjudged


def draw_anew() -> None:
    """Let the whole page be drawn, and not only the part in which somebody did something."""
    current().stale = True


def leave_lesson() -> None:
    """All controls are back, and what was done in it stays."""
    page = current()
    leave_step()
    if step := step_open():
        choose(*_benches_of(step))
    page.language = spoken()
    page.lesson, page.turned, page.stale = None, "learn", True


def move(to: Moved) -> None:
    """From a former address to where its screen is found, with all other settings of the link."""
    page = current()
    _become(*changed(page.setup, page.benches, to.settings))
    page.turned = page.turned or to.screen


def turn_to(screen: str) -> None:
    """Go to a screen, with the next run of the whole script."""
    current().turned = screen


def turns() -> bool:
    """Whether there is a screen to go to."""
    return bool(current().turned)


def turn(screen: str) -> str:
    """The screen to go to from this one, or "", once."""
    page = current()
    to, page.turned = page.turned, ""
    return to if to != screen else ""


def progress(lesson_id: str = "") -> LessonProgress:
    """What was done in a lesson; in the one that is open unless another is named."""
    return current().progress.of(lesson_id or place().lesson)


def all_progress() -> Progress:
    return current().progress


def progress_to_save(now: datetime) -> Progress:
    """What was done, as a file of it is saved now; with a key of its own from the first time on."""
    done = current().progress
    done.key = done.key or secrets.token_hex(8)
    return dated(done, now)


def name_progress(widget: str) -> None:
    """Let the name that was typed stand in the files."""
    current().progress.name = " ".join(str(st.session_state[widget] or "").split())[:MOST_OF_A_PERSON]


def tell_answer(block_id: str, question: str, answer: str) -> None:
    """Let files say what was asked and answered, in words."""
    page = current()
    if page.lesson:
        page.progress.told.setdefault(page.lesson.lesson, {})[block_id] = Told(question, answer)


def add_progress(more: Progress) -> None:
    """What a file holds is done, besides what was done here."""
    page = current()
    page.progress, page.stale = joined(page.progress, more), True


def situation() -> Situation:
    """What a lesson may ask of this page."""
    page = current()
    answers = progress().answers if page.lesson else {}
    thrown = sample()
    return Situation(page.setup, page.benches, thrown.values, page.coins, page.report, answers, thrown.counts)


def act(actions: tuple[Action, ...]) -> None:
    """Do what a solution says, but for answers: these are a learner's own."""
    page = current()
    for action in actions:
        match action:
            case Action("set", settings):
                try:
                    _become(*changed(page.setup, page.benches, settings))
                except ValueError as error:
                    page.notice = wording(spoken()).say("cannot_be_done", error=error)
                    break
            case Action("throw", amount):
                sample().want(amount)
            case Action("coins", thrown):
                page.coins = thrown
            case Action("train", steps):
                train(steps)
    page.stale = True


def _become(setup: Setup, benches: dict[type, Any]) -> None:
    page = current()
    for kind, bench in benches.items():
        if bench != page.benches[kind]:
            show_bench(bench)
    if setup != page.setup:
        page.picked = setup.data
        show(setup.flow, setup.train)
        page.widgets |= {"seed": setup.seed, "device": setup.device}
        change(setup)
