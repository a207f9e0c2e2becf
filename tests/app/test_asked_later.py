"""What a lesson asks for in a later prediction, or in one that is still to be made, cannot be read off the screen
before; over the engine of this process."""

import pytest

from app.features.activations.curves import CONSTANTS
from app.features.estimator.numbers import Density
from app.features.estimator.table import HEADINGS, OF_CUT
from app.features.estimator.verdicts import Probes, Products, SharedN
from app.lessons.looking import still_asks
from app.lessons.progress import LessonProgress
from app.lessons.shelf import shelf
from app.session.lesson import open_step
from tests.app.pages import own
from tests.app.test_learn import checked, drawn_step, followed, guess, opened, press, said
from tests.app.test_returning import tell

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]


def choose(page, prediction, option):
    page.radio(key=f"lesson.{prediction}").set_value(option).run()
    return press(page, f"lesson.{prediction}.commit")


def shows(page, finding):
    return finding in own(page).findings


class TestRule:
    """With lessons as they are: nothing of it depends on their numbers."""

    def asks(self, lesson, step, name, *made):
        lesson = shelf().lesson(lesson)
        done = LessonProgress(answers=dict.fromkeys(made, 1), truths=dict.fromkeys(made, 1))
        return still_asks(lesson, next(one for one in lesson.steps if one.id == step), name, done)

    @pytest.mark.parametrize("step", ["idea", "one", "many", "coverage"])
    def test_what_a_later_prediction_asks_first_until_it_is_made(self, step):
        assert self.asks("roulette", step, "coverage")
        assert not self.asks("roulette", step, "coverage", "thirty")

    def test_not_in_a_step_after_that_prediction(self):
        assert not self.asks("roulette", "signs", "coverage")

    def test_not_what_the_lesson_has_told_before_it_asks(self):
        assert not self.asks("bugs", "sound", "coverage")
        assert not self.asks("variance", "parts", "variance")

    def test_not_what_nothing_of_it_speaks_of(self):
        assert not self.asks("roulette", "idea", "believed_mass")

    def test_where_an_earlier_prediction_asks_for_some_of_it(self):
        assert self.asks("series", "start", "bias") and self.asks("series", "start", "bias", "one")
        assert self.asks("series", "terms", "bias", "one")
        assert not self.asks("series", "start", "bias", "one", "slow")
        assert not self.asks("series", "steep", "bias"), "the step that asks was skipped"

    def test_a_setting_of_which_it_asks(self):
        assert self.asks("variance", "parts", "bench.law.lam") and self.asks("variance", "safe", "bench.law.lam")
        assert not self.asks("variance", "parts", "bench.law.lam", "poisson")

    def test_one_whose_truth_a_teacher_holds_back(self):
        lesson = shelf().lesson("roulette")
        done = LessonProgress(answers={"thirty": 90})
        done.held = frozenset({"thirty"})
        assert still_asks(lesson, lesson.steps[0], "coverage", done)


def test_the_error_of_the_series_is_not_shown_before_it_is_asked_how_it_falls():
    page = opened(lesson="series", step="start")
    guess(page, "series.one", 0.1)

    def told():
        (table,) = [text.value for text in page.markdown if HEADINGS["trace"] in text.value]
        of_cut = [HEADINGS[name] in table for name in OF_CUT]
        copies = [all(name in code.value.partition("\n")[0] for name in OF_CUT) for code in page.code[:1]]
        copies += [HEADINGS["bias"] in code.value for code in page.code[1:]]
        sentences = ["the series is off by" in said(page), "*Its bound*" in said(page), "**" in table]
        assert "The truth is" in said(page) and len(table.splitlines()) == 10 and len(page.code) == 2
        return {*of_cut, *copies, *sentences}

    assert told() == {False}
    press(page, "lesson.next")
    choose(page, "series.slow", "same")
    assert told() == {True}
    press(page, "lesson.back")
    assert drawn_step(page) == "start" and told() == {True}


@pytest.mark.slow
def test_across_settings_shows_what_the_lesson_on_variance_has_asked_alone():
    page = opened(lesson="variance", step="parts")

    def told():
        poisson = ["A Poisson law is never safe." in said(page), "| Released image code" in said(page)]
        best = [shows(page, Products), "What does an estimate cost?" in headings(page), "| The best law" in said(page)]
        shared = [shows(page, SharedN), "One N for the whole batch?" in headings(page)]
        assert "A geometric law is safe up to p" in said(page) and "| The paper: " in said(page)
        assert "Which p are safe?" in headings(page) and shows(page, Probes)
        found = tuple(set(each) for each in (poisson, best, shared))
        assert all(len(each) == 1 for each in found), found
        return tuple(each.pop() for each in found)

    choose(page, "variance.which-part", "probe")
    assert told() == (False, False, False)
    press(page, "lesson.next")
    choose(page, "variance.first-share", "nearly")
    assert told() == (False, False, False)
    press(page, "lesson.next")
    choose(page, "variance.poisson", "some")
    assert told() == (True, False, False)
    press(page, "lesson.next")
    press(page, "lesson.next")
    guess(page, "variance.best-terms", 3.0)
    assert told() == (True, True, False)
    press(page, "lesson.next")
    choose(page, "variance.shared-batch", "large")
    assert told() == (True, True, True)
    tell(page, open_step, "variance", "parts")
    followed(checked(page.run()))
    assert drawn_step(page) == "parts" and told() == (True, True, True)


def test_the_scale_at_which_a_block_folds_is_not_shown_before_another_scale_is_asked_about():
    page = opened(lesson="inverse", step="walk")
    choose(page, "inverse.how-many", "few")
    labels = [metric.label for metric in page.metric]
    assert "Folds at s*" not in labels and {"Bound s L", "Smallest det(I + sA)", "Samples"} <= {*labels}
    own(page).progress.of("inverse").answers["at-two"] = "fine"
    assert [metric.label for metric in checked(page.run()).metric if metric.label not in labels] == ["Folds at s*"]


def test_what_the_exponential_is_on_average_is_not_shown_before_it_is_asked():
    page = opened(lesson="variance", step="infinite")
    choose(page, "variance.look", "fine")
    assert "In closed form" in said(page) and Density not in own(page).findings and "E exp(estimate)" not in said(page)
    own(page).progress.of("variance").answers["factor-first"] = "large"
    checked(page.run())
    assert Density in own(page).findings and "E exp(estimate)" in said(page)
    page = opened(lesson="variance", step="density")
    choose(page, "variance.factor-first", "large")
    assert "E exp(estimate)" in said(page)
    assert "E exp(estimate)" in said(opened(lesson="bugs", step="sound")), "it asks nothing about it"


def headings(page):
    return [element.value for kind in (page.header, page.subheader) for element in kind]


def test_the_constants_of_activations_are_not_shown_before_one_is_asked_for():
    page = opened(lesson="saturation", step="tails")

    def told():
        (table,) = [text.value for text in page.markdown if text.value.startswith("| activation |")]
        assert "| verdict |" in table and "| smooth |" in table and "starve" in table
        return {*(f"| {heading} |" in table for heading in CONSTANTS), "two largest slopes" in said(page)}

    choose(page, "saturation.who", "elu")
    assert told() == {False} and "1.09984" not in said(page)
    press(page, "lesson.next")
    assert "| activation |" not in said(page)
    guess(page, "saturation.swish", 1.0)
    assert told() == {True}
    press(page, "lesson.back")
    assert drawn_step(page) == "tails" and told() == {True} and "1.09984" in said(page)
