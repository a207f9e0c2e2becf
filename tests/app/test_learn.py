"""Lessons on the page, without a browser: predictions are locked and gate what follows, what is done is noted, checks
say what they found, and all of it survives other screens; over the engine of this process."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.estimates.settings import Bench
from app.features.learn.blocks import held
from app.lessons.lesson import Predict
from app.lessons.progress import LessonProgress, Progress, as_file, from_file, joined
from app.lessons.shelf import shelf
from app.screens import SCREENS

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
MAIN = Path(__file__).parents[2] / "app" / "page.py"

TRAIN_LONG = {"believes", "norms"}


def opened(screen="learn", **query):
    page = AppTest.from_file(MAIN, default_timeout=60)
    for name, value in query.items():
        page.query_params[name] = value
    page.switch_page(f"features/{screen}/{screen}.py")
    return followed(checked(page.run()))


def followed(page):
    """On the screen that the script went to by itself, of which AppTest knows nothing."""
    if step := page.session_state.page.lesson and shown_step(page):
        page.switch_page(SCREENS[step.screen].script)
        checked(page.run())
    return page


def shown_step(page):
    place = page.session_state.page.lesson
    return next(step for step in shelf().lesson(place.lesson).steps if step.id == place.step)


def checked(page):
    assert not page.exception, page.exception
    return page


def said(page):
    return "\n".join(
        element.value
        for kind in (page.markdown, page.caption, page.info, page.success, page.warning)
        for element in kind
    )


def press(page, key):
    return checked(page.button(key=key).click().run())


def header(page):
    return [element.value for element in page.header]


@pytest.fixture
def series():
    return opened(lesson="series", step="start")


def guess(page, prediction, value):
    """Move the slider of a prediction, and commit it."""
    page.slider(key=f"lesson.{prediction}").set_value(value).run()
    return press(page, f"lesson.{prediction}.commit")


def test_a_link_opens_a_step_on_its_screen_with_its_settings_and_controls_alone(series):
    series.slider(key="lesson.series.one").set_value(0.1).run()
    press(series, "lesson.series.one.commit")
    assert header(series) == ["What does an unbiased log-density cost?"]
    assert "A determinant without a determinant" in said(series)
    assert "0.596085" in said(series)
    assert not series.sidebar.children
    assert not [button for button in series.button if button.key == "play"], "it trains no flow"
    assert not [box.key for box in series.selectbox if box.key.startswith("bench.")]
    assert (series.query_params["lesson"], series.query_params["step"]) == ("series", "start")


def test_a_prediction_is_locked_and_opens_what_follows_with_the_truth_beside_it(series):
    assert "whoever averages it" not in said(series)
    assert series.button(key="lesson.series.one.commit").disabled, "nobody has made a guess"
    assert "Move the slider to your guess." in said(series)
    guess(series, "series.one", 0.1)
    assert "whoever averages it" in said(series)
    assert "You said 0.1, the truth is 0.05391 nats: off by 0.04609." in said(series)
    assert not [slider for slider in series.slider if slider.key == "lesson.series.one"]
    charts = [json.loads(e.proto.spec) for e in series.main if e.type == "vega_lite_chart"]
    (drawn,) = [chart for chart in charts if chart["description"].startswith("You said 0.1")]
    rows = [row for layer in drawn["layer"] for row in layer["data"].get("values", [])]
    assert {"from": 0.1, "to": pytest.approx(0.0539145, abs=1e-7)} in rows


def test_what_is_done_and_checked_is_noted_and_survives_other_screens_and_a_file(series):
    press(series, "lesson.next")
    assert "How many terms are enough?" in said(series)
    series.radio(key="lesson.series.slow").set_value("same").run()
    press(series, "lesson.series.slow.commit")
    assert "**Not so.**" in said(series)
    press(series, "lesson.series.enough.check")
    checked(series.run())
    assert "Cut after term 1 it is still too far off" in said(series)  # the panel is drawn anew each second
    series.select_slider(key="bench.n_terms").set_value(8).run()
    checked(series.run())
    assert "still too large" not in said(series)
    assert "enough" not in series.session_state.page.progress.lessons["series"].done
    assert ":green[:material/check_circle:] **Done.**" in said(series)
    press(series, "lesson.series.enough.check")
    assert "With 8 terms the bias is" in said(series)

    address = dict(series.query_params)
    series.switch_page("features/memory/memory.py")
    checked(series.run())
    assert header(series) == ["What does a gradient cost?"]
    assert "Lesson 4, The log det as a series: step 2 of 4" in said(series)
    assert series.sidebar.children
    series.switch_page("features/learn/learn.py")
    checked(series.run())
    progress = series.session_state.page.progress
    assert progress.lessons["series"].answers == {"slow": "same"}
    assert progress.lessons["series"].truths == {"slow": "factor"}
    assert set(progress.lessons["series"].done) == {"more", "enough"}

    again = opened("estimator", **address)  # a reload: the settings of the address, and the step
    assert "How many terms are enough?" in said(again)
    assert again.session_state.page.progress.lessons["series"].seen == ["terms"]
    assert again.session_state.page.benches[type(again.session_state.page.sample.bench)].n_terms == 8


def test_a_solution_does_what_is_asked_for():
    page = opened(lesson="roulette", step="many")
    press(page, "lesson.roulette.many-solution")
    for _ in range(3):
        checked(page.run())
    press(page, "lesson.roulette.unbiased.check")
    assert "Nothing speaks against an unbiased estimate" in said(page)
    assert "By chance alone it fails in 0.27 % of all tries" in said(page)


def test_a_prediction_covers_the_screen_that_shows_the_truth():
    page = opened(lesson="roulette", step="coverage")
    assert "You see it as soon as you commit" in said(page)
    assert not header(page)
    guess(page, "roulette.thirty", 90.0)
    assert header(page) == ["What does an unbiased log-density cost?"]
    page.text_area(key="lesson.roulette.thirty-why").set_value("How many throws?").run()
    press(page, "lesson.back")
    press(page, "lesson.next")
    assert page.text_area(key="lesson.roulette.thirty-why").value == "How many throws?"


def test_a_file_shows_its_answers_where_others_stand(series):
    press(series, "lesson.next")
    press(series, "lesson.next")
    guess(series, "series.how-many", 40.0)
    series.text_area(key="lesson.series.budget").set_value("Mine").run()
    data = as_file(Progress({"series": LessonProgress([], {"budget": "From the file"}, {}, [])}))
    mine = series.session_state.page
    mine.progress = joined(mine.progress, from_file(data))
    checked(series.run())
    assert series.text_area(key="lesson.series.budget").value == "From the file"
    checked(series.text_area(key="lesson.series.budget").set_value("Mine again").run())
    assert mine.progress.lessons["series"].answers["budget"] == "Mine again"


def test_teachers_notes_are_for_teachers(series):
    assert "**For teachers.**" not in said(series)
    guess(series, "series.one", 0.1)
    series.toggle(key="lesson.teaches").set_value(True).run()
    assert "**For teachers.**" in said(checked(series.run()))


def test_leaving_gives_the_controls_back_and_keeps_what_was_done(series):
    press(series, "lesson.next")
    press(series, "lesson.leave")
    assert series.session_state.page.lesson is None
    assert series.session_state.page.progress.lessons["series"].seen == ["start", "terms"]
    series.switch_page("features/explore/explore.py")
    checked(series.run())
    assert series.sidebar.children
    assert series.select_slider(key="blocks").value == 24
    assert "lesson" not in series.query_params


def test_a_lesson_that_breaks_while_it_is_open_is_left_with_its_problem(series, monkeypatch, tmp_path):
    press(series, "lesson.next")
    (tmp_path / "04-series.md").write_text("Words")
    monkeypatch.setattr(sys.modules["app.session.lesson"], "shelf", lambda: shelf(tmp_path))
    checked(series.run())
    assert "There is no lesson `series`. Choose one of the list. 04-series.md:1: begin with YAML" in said(series)
    assert series.sidebar.children
    monkeypatch.undo()
    series.switch_page("features/learn/learn.py")
    series.query_params["lesson"], series.query_params["step"] = "series", "terms"
    assert "How many terms are enough?" in said(followed(checked(series.run())))


def test_a_link_to_what_is_not_there_says_so_or_begins_at_the_start():
    assert "There is no lesson `none`" in said(opened(lesson="none"))
    assert "A determinant without a determinant" in said(opened(lesson="series", step="none"))


def test_the_flow_of_a_page_is_kept_when_a_lesson_needs_another():
    page = opened("explore", blocks="2", width="8", batch="32")
    press(page, "steps")
    mine = page.session_state.page.setup
    lesson = next(one for one in shelf().originals.values() if any("blocks" in step.settings for step in one.steps))
    page.switch_page("features/learn/learn.py")
    page.query_params["lesson"] = lesson.id
    followed(checked(page.run()))
    while page.session_state.page.setup.flow == mine.flow:
        followed(press(page, "lesson.next"))
    press(page, "undo")
    assert page.session_state.page.setup.flow == mine.flow


@pytest.mark.parametrize(
    "lesson",
    [pytest.param(one, marks=pytest.mark.slow if id in TRAIN_LONG else ()) for id, one in shelf().originals.items()],
    ids=lambda lesson: lesson.id,
)
def test_every_step_opens_on_its_screen_with_its_controls(lesson):
    page = opened(lesson=lesson.id)
    for step in lesson.steps:
        assert f"##### {step.title}" in said(page)
        assert ":red[" not in said(page)
        asked = next((block for block in step.blocks if isinstance(block, Predict)), None)
        covered = asked is not None and asked.cover
        assert len(header(page)) == (not covered)
        assert not page.warning
        if step.trained and not covered:
            assert page.session_state.page.report.arms[0].step == step.trained
        if not covered and not any(name.endswith("view") for name in step.controls):
            assert set(step.controls) <= page.session_state.page.asked.keys()
        if step is not lesson.steps[-1]:
            followed(press(page, "lesson.next"))


def test_a_lesson_asks_for_the_bug_itself_and_shows_the_sound_n_too():
    for step, under_test in (("sound", False), ("suspect-a", True)):
        page = opened(lesson="bugs", step=step)
        assert ("is under test**" in said(page)) is under_test
        assert "##### Does N follow its law?" in said(page)
        assert not any(radio.key.startswith("named.") for radio in page.radio)


def test_what_was_just_chosen_is_what_is_committed(series):
    """Streamlit may send the widget's change and the click on Commit together."""
    series.slider(key="lesson.series.one").set_value(0.2).run()
    series.slider(key="lesson.series.one").set_value(0.1)
    press(series, "lesson.series.one.commit")
    assert series.session_state.page.progress.lessons["series"].answers == {"one": 0.1}


def test_what_can_be_neither_true_nor_done_with_a_learners_own_settings_stops_nothing():
    page = opened(lesson="change", step="forget")
    for index, entry in ((0, "-0.99"), (3, "-0.99")):
        page.text_input(key=f"stretch.matrix.{index}").set_value(entry).run()
    page.radio(key="lesson.change.mass").set_value("half").run()
    press(page, "lesson.change.mass.commit")
    assert "none of this is so. Set the step up again" in said(page)
    press(page, "lesson.again")
    assert "**As you said.**" in said(page)

    page = opened(lesson="variance", step="best")
    guess(page, "variance.best-terms", 2.0)
    page.selectbox(key="bench.law").set_value("poisson").run()
    press(page, "lesson.variance.near-solution")
    assert "`bench.law.p`: there is no such setting" in said(page)


def test_a_passed_check_claims_nothing_about_other_settings(series):
    press(series, "lesson.next")
    series.radio(key="lesson.series.slow").set_value("factor").run()
    press(series, "lesson.series.slow.commit")
    series.select_slider(key="bench.n_terms").set_value(8).run()
    press(series, "lesson.series.enough.check")
    assert "With 8 terms the bias is" in said(series)
    series.select_slider(key="bench.n_terms").set_value(1).run()
    checked(series.run())
    assert "With 1 terms the bias is" not in said(series)
    assert "You passed, with other settings" in said(series)


@pytest.mark.parametrize("guess", ["a word", 1e400, 7.0])
def test_an_answer_that_another_version_of_a_lesson_took_is_asked_for_again(series, guess):
    answers = {"one": guess, "slow": "gone", "how-many": 7.0, "budget": 0.5}
    data = as_file(Progress({"series": LessonProgress([], answers, {"slow": "gone", "how-many": "many"}, [])}))
    series.session_state.page.progress = from_file(data)
    checked(series.run())
    assert series.slider(key="lesson.series.one").value == 0
    press(series, "lesson.next")
    assert series.radio(key="lesson.series.slow").value is None
    press(series, "lesson.next")
    assert "You said 7, the truth is 58 terms" in said(series)
    assert series.text_area(key="lesson.series.budget").value == "0.5"


def test_a_flow_rests_and_is_new_where_a_lesson_begins_and_goes_on_within_it(local_engine):
    page = opened("explore", blocks="2", width="8", batch="32")
    press(page, "play")
    assert page.session_state.page.plays
    page.switch_page("features/learn/learn.py")
    page.query_params["lesson"], page.query_params["step"] = "block", "one"
    followed(checked(page.run()))
    mine = page.session_state.page
    assert (mine.setup.flow.blocks, mine.plays, mine.report.arms[0].step) == (1, False, 0)

    press(page, "step")
    checked(page.run())
    run = mine.run
    page.switch_page("features/learn/learn.py")  # to the list, and back to where one was
    page.query_params["lesson"], page.query_params["step"] = "block", "one"
    followed(checked(page.run()))
    assert (mine.run, mine.report.arms[0].step) == (run, 1)

    mine.setup = replace(mine.setup, train=replace(mine.setup.train, learning_rate=0.001))
    press(page, "lesson.again")
    checked(page.run())
    assert mine.run != run
    assert mine.report.arms[0].step == 0
    assert mine.past[-1].steps == 1


def test_only_an_address_with_settings_has_those_of_the_step():
    page = opened("estimator", lesson="series", step="steep", controls="bench.n_terms", source="mail")
    assert page.session_state.page.benches[Bench].matrix == (0.9, 0.3, 0.1, -0.2)


def test_the_name_of_a_lesson_in_an_address_is_no_markdown():
    assert "There is no lesson `![x](y)`" in said(opened(lesson="`![x](y)`"))


def test_a_mark_goes_into_the_formula_before_it_and_nowhere_else():
    assert held(r"a $x$, b ($y$) $z$ c $(0, 1)$: \$5.") == r"a $x\text{,}$ b ($y\text{)}$ $z$ c $(0, 1)\text{:}$ \$5."
    assert held("$$a$$\n\n$b$ c") == "$$a$$\n\n$b$ c"


def test_what_to_keep_comes_after_the_last_prediction():
    page = opened(lesson="series", step="which-way")
    assert "What to keep" not in said(page)
    page.radio(key="lesson.series.which").set_value("either").run()
    press(page, "lesson.series.which.commit")
    assert "What to keep" in said(page)
