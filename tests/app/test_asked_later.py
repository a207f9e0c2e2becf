"""What a lesson asks for in a later prediction, or in one that is still to be made, cannot be read off the screen
before; over the engine of this process."""

import pytest
from streamlit.testing.v1 import AppTest

from app.features.estimator.table import HEADINGS, OF_CUT
from app.lessons.looking import still_asks
from app.lessons.progress import LessonProgress
from app.lessons.shelf import shelf
from app.screens import SCREENS
from tests.app.pages import MAIN, shown_step


class TestRule:
    """With lessons as they are: nothing of it depends on their numbers."""

    def asks(self, lesson, step, name, *made):
        lesson = shelf().lesson(lesson)
        done = LessonProgress(answers=dict.fromkeys(made, 1), truths=dict.fromkeys(made, 1))
        return still_asks(lesson, next(one for one in lesson.steps if one.id == step), name, done)

    def test_what_a_later_prediction_asks_first_until_it_is_made(self):
        for step in ("idea", "coverage"):
            assert self.asks("roulette", step, "coverage")
            assert not self.asks("roulette", step, "coverage", "thirty")
        assert not self.asks("roulette", "signs", "coverage"), "a step after that prediction"
        assert not self.asks("roulette", "idea", "believed_mass"), "nothing of it speaks of it"
        assert not self.asks("bugs", "sound", "coverage"), "the lesson has told it before"

    def test_where_an_earlier_prediction_asks_for_some_of_it(self):
        assert self.asks("series", "start", "bias") and self.asks("series", "start", "bias", "one")
        assert not self.asks("series", "start", "bias", "one", "slow")
        assert not self.asks("series", "steep", "bias"), "the step that asks was skipped"

    def test_one_whose_truth_a_teacher_holds_back(self):
        lesson = shelf().lesson("roulette")
        done = LessonProgress(answers={"thirty": 90})
        done.held = frozenset({"thirty"})
        assert still_asks(lesson, lesson.steps[0], "coverage", done)


def opened(lesson, step):
    page = AppTest.from_file(MAIN, default_timeout=600)
    page.query_params["lesson"], page.query_params["step"] = lesson, step
    page.switch_page("features/learn/learn.py")
    page = page.run()
    page.switch_page(SCREENS[shown_step(page).screen].script)  # AppTest knows nothing of where the script went
    return run(page)


def run(page_or_widget):
    page = page_or_widget.run()
    assert not page.exception, page.exception
    return page


def press(page, key):
    return run(page.button(key=key).click())


def commit(page, prediction, answer):
    widget = page.slider if isinstance(answer, float) else page.radio
    widget(key=f"lesson.{prediction}").set_value(answer).run()
    return press(page, f"lesson.{prediction}.commit")


def table_with(page, heading):
    (found,) = [text.value for text in page.markdown if heading in text.value and "|" in text.value]
    return found


@pytest.mark.thorough
@pytest.mark.usefixtures("local_engine")
def test_the_error_of_the_series_is_not_shown_before_it_is_asked_how_it_falls():
    page = commit(opened("series", "start"), "series.one", 0.1)

    def told():
        return {HEADINGS[name] in table_with(page, HEADINGS["trace"]) for name in OF_CUT}

    assert told() == {False}
    page = commit(press(page, "lesson.next"), "series.slow", "same")
    assert told() == {True}
    page = press(page, "lesson.back")
    assert shown_step(page).id == "start" and told() == {True}
