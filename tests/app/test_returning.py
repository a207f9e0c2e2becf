"""The address as the link of what is shown, the way back in the browser's history, and a page that is loaded anew; over
the engine of this process."""

from urllib.parse import urlencode

import pytest
import streamlit as st
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from app import engine
from app.components.browser import COOKIE
from app.engine.reports import State
from app.lessons.progress import LessonProgress, Progress, as_file, from_file
from app.link import STEP, read_link
from app.session import left
from app.session.left import Left
from app.session.page import Page
from app.session.returning import arrive_in_browser, come_back, to_store
from app.setup import Setup
from tests.app.pages import MAIN, SMALL, go, link, own, press, run

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
EXPLORE = "features/explore/explore.py"


def opened(**query):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in (SMALL | query).items():
        page.query_params[name] = value
    return run(page.switch_page(EXPLORE))


def tell(page, function, *told):
    """Let the page's browser tell something, as its component does before a run of the script; what it answers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(st, "session_state", page.session_state)
        patch.setattr("app.session.run.presence", lambda: None)  # which only a script may ask for
        return function(*told)


def exported(page):
    return engine.get_engine().export(own(page).run, 0)


# --- the address is the link ------------------------------------------------------------------------------------------


def test_the_address_says_the_step_and_what_was_changed_since_it_began_on_every_screen():
    page = opened()
    assert STEP not in link(page)
    page = run(press(page, "step"))
    page = run(page.select_slider(key="learning_rate").set_value(0.001))
    page = run(press(page, "step"))
    setup = read_link(link(page)).setup
    assert link(page)[STEP] == "2"
    assert [step for step, _ in setup.changes] == [1]
    assert setup.changes[0][1].learning_rate == 0.001 != setup.train.learning_rate
    there = go(page, "features/lipschitz/lipschitz.py")
    assert read_link(link(there)).setup == read_link(link(page)).setup == setup


def test_whoever_opens_the_address_gets_the_same_flow_at_the_same_step():
    page = opened()
    page = run(press(page, "step"))
    page = run(page.select_slider(key="learning_rate").set_value(0.001))
    for _ in range(3):
        page = run(press(page, "step"))
    other = opened(**link(page))
    other = run(run(other))
    assert own(other).report.arms[0].step == 4
    assert exported(other) == exported(page)
    assert link(other) == link(page)
    assert other.select_slider(key="learning_rate").value == 0.001
    assert not own(other).plays and own(other).report.state is State.PAUSED


def few_steps_are_far(monkeypatch):
    """The first number of steps to which a page is not brought by itself."""
    monkeypatch.setattr("app.session.brought.SECONDS_BY_ITSELF", 0.0)
    monkeypatch.setattr("app.session.brought.STEPS_BY_ITSELF", 5)
    return 6


def test_a_far_step_is_somebodys_choice(monkeypatch):
    far = few_steps_are_far(monkeypatch)
    page = run(opened(**{STEP: str(far)}))
    assert own(page).report.arms[0].step == 0
    assert link(page)[STEP] == str(far)  # a reload asks for it again
    page = run(press(page, "bring"))
    assert own(page).report.arms[0].step == far


@pytest.mark.parametrize("text", ["-1", "1.5", "ten", "1" * 10, ""])
def test_a_step_that_is_none_is_refused(text):
    asked = read_link({STEP: text})
    assert asked.step == 0 and len(asked.refused) == 1


# --- Back and Forward -------------------------------------------------------------------------------------------------


def test_back_shows_the_run_that_an_address_names_and_keeps_the_one_that_is_left():
    page = run(press(opened(), "step"))
    before, entry, id = link(page), str(own(page).entry), own(page).run
    tell(page, come_back, f"?{urlencode(before)}", entry)
    page = run(page)
    assert own(page).run == id and own(page).report.arms[0].step == 1, "to the same run nothing changes"
    own(page).picked = "rings"
    page = run(press(run(page), "step"))
    assert own(page).setup.data == "rings"
    tell(page, come_back, f"?{urlencode(before)}", entry)
    page = run(run(page))  # the first asks for the step
    assert link(page) == before
    assert own(page).report.arms[0].step == 1
    assert own(page).past[-1].setup.data == "rings"


# --- a page that is loaded anew ---------------------------------------------------------------------------------------


@pytest.fixture
def cookies(monkeypatch):
    """What a browser says of the page that it left."""
    kept = {}
    monkeypatch.setattr(ContextProxy, "cookies", property(lambda self: kept))
    return kept


def test_a_reload_goes_on_with_the_run_its_settings_and_what_was_typed(cookies):
    page = run(press(opened(), "step"))
    page = run(page.select_slider(key="learning_rate").set_value(0.001))
    before = own(page)
    cookies[COOKIE] = token = before.token
    left.LEFT.come(before)
    left.LEFT.leave(before)
    assert own(opened(data="rings")) is not before, "another address is another page"
    again = opened(**link(page))
    assert own(again) is before
    assert own(again).report.arms[0].step == 1
    assert again.select_slider(key="learning_rate").value == 0.001
    assert own(again).token != token


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def page_of(**address):
    return Page(read_link({}), Setup(), {}, "moons", address=address)


def test_a_page_that_was_left_is_taken_once_by_its_token_and_address():
    kept, page = Left(), page_of(data="moons", at="5")
    kept.come(page)
    kept.leave(page)
    token = page.token
    assert kept.take("another", {"data": "moons"}) is None
    assert kept.take(token, {"data": "rings"}) is None
    assert kept.take(token, {"data": "moons", "at": "7", "view": "present"}) is page
    assert kept.take(token, {"data": "moons"}) is None


def test_of_pages_that_were_left_a_bounded_number_is_kept_for_a_bounded_time(monkeypatch):
    clock = Clock()
    kept = Left(clock)
    monkeypatch.setattr(left, "MOST_KEPT", 3)
    pages = [page_of() for _ in range(left.MOST_KEPT + 1)]
    for page in pages:
        kept.come(page)
        kept.leave(page)
    assert kept.take(pages[0].token, {}) is None
    assert kept.take(pages[1].token, {}) is pages[1]
    clock.now = left.KEPT_SECONDS + 1
    assert kept.take(pages[-1].token, {}) is None


# --- what the browser keeps -------------------------------------------------------------------------------------------

DONE = LessonProgress(seen=["start", "terms"], done=["a"], answers={"guess": "up"})


def test_what_the_browser_has_kept_is_joined_with_what_was_done_here_and_is_kept_again():
    page = opened()
    own(page).progress = Progress({"series": LessonProgress(seen=["start"], answers={"guess": "down"})})
    tell(page, arrive_in_browser, as_file(Progress({"series": DONE})).decode())
    page = run(page)
    found = own(page).progress.lessons["series"]
    assert found.answers == {"guess": "down"} and found.done == ["a"] and found.seen == ["terms", "start"]
    assert from_file(tell(page, to_store).encode()) == own(page).progress
