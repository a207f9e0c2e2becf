"""Lessons on the page, without a browser: predictions are locked and gate what follows, what is done is noted, checks
say what they found, and all of it survives other screens; over the engine of this process."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from scipy import stats
from streamlit.testing.v1 import AppTest

from app import session
from app.estimates.sample import coverage
from app.estimates.settings import Bench
from app.features.estimator.numbers import ErrorBars
from app.features.learn.blocks import by_chance, held
from app.features.learn.prediction import prediction
from app.features.learn.verdicts import Checked, Met, Standing, Verdict
from app.features.stretch.settings import Stretch
from app.lessons.lesson import Explain, Predict, Teacher
from app.lessons.progress import LessonProgress, Progress, as_file, from_file, joined
from app.lessons.shelf import shelf
from app.lessons.words import wording
from app.screens import SCREENS
from tests.app.pages import finding, keys, own, shown_step
from tests.app.test_lessons import situation
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
MAIN = Path(__file__).parents[2] / "app" / "page.py"
A = KNOWN_A.numpy()  # of the first two steps of the lesson on the series

TRAIN_LONG = {"believes", "norms"}


def opened(screen="learn", **query):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in query.items():
        page.query_params[name] = value
    page.switch_page(f"features/{screen}/{screen}.py")
    return followed(checked(page.run()))


def followed(page):
    """On the screen that the script went to by itself, of which AppTest knows nothing."""
    if step := own(page).lesson and shown_step(page):
        page.switch_page(SCREENS[step.screen].script)
        checked(page.run())
    return page


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
    """What heads the screen, below the headings of the lesson and of its step where these lie over it."""
    lesson = own(page).lies_under_lesson
    assert len(page.title) == 1
    return [element.value for element in (page.header[1:] if lesson else page.title)]


def blocks(page):
    """Those of a lesson that are drawn, by their ids."""
    return [key.split("-", 1)[1] for key in keys(page) if key.startswith("lesson-")]


def drawn_step(page):
    """The step whose blocks are drawn."""
    (found,) = [one.id for one in lesson(page).steps if {block.id for block in one.blocks} & set(blocks(page))]
    return found


def lesson(page):
    return shelf().lesson(own(page).lesson.lesson)


def rows(page):
    """The data of all Altair charts."""
    charts = [json.loads(e.proto.spec) for e in page.main if e.type == "vega_lite_chart"]
    return [row for chart in charts for layer in chart["layer"] for row in layer["data"].get("values", [])]


def bias(n):
    """Of the series of A that is cut after n terms."""
    terms = [(-1) ** (k + 1) / k * np.trace(np.linalg.matrix_power(A, k)) for k in range(1, n + 1)]
    return pytest.approx(sum(terms) - KNOWN_LOG_DET, abs=1e-9)


@pytest.fixture
def series():
    return opened(lesson="series", step="start")


def guess(page, prediction, value, together=False):
    """Move the slider of a prediction, and commit it, in one run of the page's script or in one more."""
    moved = page.slider(key=f"lesson.{prediction}").set_value(value)
    if not together:
        moved.run()
    return press(page, f"lesson.{prediction}.commit")


def test_a_link_opens_a_step_with_its_controls_alone_and_a_locked_prediction_opens_what_follows(
    series,
):
    assert blocks(series)[-1] == "one" and drawn_step(series) == "start"
    assert series.button(key="lesson.series.one.commit").disabled, "nobody has made a guess"
    # Streamlit may send the widget's change and the click on Commit together.
    series.slider(key="lesson.series.one").set_value(0.2).run()
    guess(series, "series.one", 0.1, together=True)
    assert own(series).progress.lessons["series"].answers == {"one": 0.1}, "what was just chosen"
    assert "one-sign" in blocks(series)
    found = finding(series, Met)
    assert (found.block, found.guess, found.truth) == ("one", 0.1, bias(1))
    assert found.off == pytest.approx(0.04609, abs=1e-12), "as it is shown, not 0.0460855"
    assert not [slider for slider in series.slider if slider.key == "lesson.series.one"]
    assert {"from": 0.1, "to": bias(1)} in rows(series)

    assert len(header(series)) == 1 and "terms" in keys(series)
    assert drawn_step(series) == "start"
    assert finding(series, Standing) == Standing(lesson=4, step=1, steps=4)
    assert "0.596085" in said(series)
    assert not series.sidebar.children
    assert not [button for button in series.button if button.key == "play"], "it trains no flow"
    assert not [box.key for box in series.selectbox if box.key.startswith("bench.")]
    assert (series.query_params["lesson"], series.query_params["step"]) == ("series", "start")


def test_a_check_is_told_also_where_the_page_must_first_be_drawn_anew(series, monkeypatch):
    press(series, "lesson.next")
    series.radio(key="lesson.series.slow").set_value("same").run()
    press(series, "lesson.series.slow.commit")
    settle, broken_off = session.settle, []

    def settle_later():
        if not broken_off:
            broken_off.append(True)
            st.rerun()
        settle()

    monkeypatch.setattr(session, "settle", settle_later)
    press(series, "lesson.series.enough.check")
    assert broken_off and finding(series, Checked).verdict is Verdict.FAILED


def test_what_is_done_and_checked_is_noted_and_survives_other_screens_and_a_file(series):
    press(series, "lesson.next")
    assert drawn_step(series) == "terms"
    series.radio(key="lesson.series.slow").set_value("same").run()
    press(series, "lesson.series.slow.commit")
    assert finding(series, Met) == Met("slow", guess="same", truth="factor", answer="same", right=False)
    press(series, "lesson.series.enough.check")
    checked(series.run())
    found = finding(series, Checked)
    assert (found.block, found.verdict, found.outcome.value) == ("enough", Verdict.FAILED, bias(1))
    assert len(series.warning) == 1, "the panel is drawn anew each second"
    series.select_slider(key="bench.n_terms").set_value(8).run()
    checked(series.run())
    assert not series.warning
    assert own(series).progress.lessons["series"].done == ["more"]
    press(series, "lesson.series.enough.check")
    found = finding(series, Checked)
    assert (found.verdict, found.outcome.value, found.outcome.tolerance) == (Verdict.PASSED, bias(8), 1e-4)
    assert len(series.success) == 1

    address = dict(series.query_params)
    series.switch_page("features/explore/explore.py")
    checked(series.run())
    assert len(header(series)) == 1 and "play" in keys(series) and not blocks(series)
    assert "lesson_away" in keys(series) and finding(series, Standing) == Standing(lesson=4, step=2, steps=4)
    assert series.select_slider(key="blocks")  # which this step hides
    series.switch_page("features/learn/learn.py")
    checked(series.run())
    progress = own(series).progress
    assert progress.lessons["series"].answers == {"slow": "same"}
    assert progress.lessons["series"].truths == {"slow": "factor"}
    assert set(progress.lessons["series"].done) == {"more", "enough"}

    again = opened("estimator", **address)  # a reload: the settings of the address, and the step
    assert drawn_step(again) == "terms"
    assert own(again).progress.lessons["series"].seen == ["terms"]
    assert own(again).benches[type(own(again).sample.bench)].n_terms == 8


def test_a_solution_does_what_is_asked_for():
    page = opened(lesson="roulette", step="many")
    press(page, "lesson.roulette.many-solution")
    for _ in range(3):
        checked(page.run())
    press(page, "lesson.roulette.unbiased.check")
    assert (finding(page, Checked).block, finding(page, Checked).verdict) == ("unbiased", Verdict.PASSED)
    check = lesson(page).blocks["unbiased"]
    at = replace(situation(), benches=own(page).benches, thrown=own(page).sample.values)
    assert check.rate(at).value == pytest.approx(0.0028, abs=1e-4) and by_chance(check, check.rate(at)) in said(page)


def test_two_draws_are_no_evidence_and_the_check_says_how_many_are():
    page = opened(lesson="roulette", step="many")
    at = replace(situation(), benches=own(page).benches)
    needed = math.ceil(((3 + stats.norm.ppf(0.95)) * at.value("deviation") / 0.03) ** 2)
    assert f"With {needed:,d} draws or more it notices a difference of 0.03 nats" in said(page)
    for _ in range(2):
        checked(press(page, "throw.1"))
    press(page, "lesson.roulette.unbiased.check")
    found = finding(page, Checked)
    assert (found.verdict, found.outcome.draws, found.outcome.needed) == (Verdict.TOO_FEW, 2, needed)
    assert any(f"{needed:,d}" in element.value for element in page.info) and not page.success


def test_a_prediction_covers_the_screen_that_shows_the_truth():
    page = opened(lesson="roulette", step="coverage")
    assert len(page.info) == 1
    assert not header(page)
    guess(page, "roulette.thirty", 90.0)
    assert len(header(page)) == 1 and "terms" in keys(page)
    page.text_area(key="lesson.roulette.thirty-why").set_value("How many throws?").run()
    press(page, "lesson.back")
    press(page, "lesson.next")
    assert page.text_area(key="lesson.roulette.thirty-why").value == "How many throws?"


def test_a_figure_is_left_out_until_the_step_that_asks_for_it():
    page = opened(lesson="roulette", step="many")
    assert "throw.100" in keys(page) and ErrorBars not in own(page).findings
    press(page, "lesson.next")
    guess(page, "roulette.thirty", 88.0)
    bars, met = finding(page, ErrorBars), finding(page, Met)
    assert met.truth == round(100 * bars.shares[0]) and met.right == (abs(88 - met.truth) <= 2)
    press(page, "lesson.back")
    assert drawn_step(page) == "many" and finding(page, ErrorBars) != bars  # it was told, and is of another probe here
    page = opened(lesson="roulette", step="signs")  # without the step that asks
    page.radio(key="lesson.roulette.signs-worth").set_value("tenth").run()
    press(page, "lesson.roulette.signs-worth.commit")
    assert ErrorBars in own(page).findings
    assert ErrorBars in own(opened(lesson="bugs", step="sound")).findings  # where it is told before it is asked


@pytest.mark.parametrize("seed", [0, 17])
def test_who_reads_the_figure_of_coverage_is_right(seed):
    bench = Bench(seed=seed)
    (share, *_), _ = coverage(bench, KNOWN_LOG_DET)
    block = shelf().lesson("roulette").blocks["thirty"]
    truth = block.found(situation(seed=str(seed)))
    assert block.is_right(round(100 * share), truth) and block.is_right(math.floor(100 * share), truth)
    assert not block.is_right(95, truth)


def test_the_number_of_draws_is_rounded_up_and_its_neighbours_are_right():
    block = shelf().lesson("roulette").blocks["how-many"]
    truth = block.found(situation())
    assert truth == math.ceil(0.3917271732 / 0.01**2)
    assert block.is_right(truth - 1, truth) and block.is_right(truth + 1, truth)
    assert not block.is_right(0.6259 / 0.01, truth)  # without the square


def test_coins_stand_nowhere_where_they_lead_to_nothing():
    for step in ("coverage", "signs"):  # a coin gives no Gaussian number
        page = opened(lesson="roulette", step=step)
        assert not [one for one in keys(page) if one.startswith("coins.")]
        assert not [one for one in page.expander if "coins" in one.label]


def test_coins_stand_first_where_a_step_waits_for_them_and_its_check_passes_with_as_many_as_it_asks_for():
    page = opened(lesson="roulette", step="coins")
    there = list(keys(page))
    assert there.index("coins.results") < there.index("throw.100")
    draws = lesson(page).blocks["coins-solution"].actions[0].value.split()

    def verdict(n):
        checked(page.text_area(key="coins.results").set_value(" ".join(draws[:n])).run())
        press(page, "lesson.roulette.coins-mean.check")
        return finding(page, Checked).verdict

    assert verdict(4) is Verdict.TOO_FEW and not own(page).progress.of("roulette").done
    assert verdict(10) is Verdict.PASSED
    assert verdict(4) is Verdict.PASSED_BEFORE


def test_draws_with_coins_are_there_again_when_one_comes_back():
    page = opened(lesson="roulette", step="coins")
    checked(page.text_area(key="coins.results").set_value("3+ 4-").run())
    press(page, "lesson.back")
    press(page, "lesson.back")
    assert not [one for one in keys(page) if one.startswith("coins.")]
    press(page, "lesson.next")
    press(page, "lesson.next")
    (field,) = page.text_area
    assert field.value == "3+ 4-" == own(page).coins
    press(page, "lesson.roulette.coins-solution")
    (field,) = page.text_area
    assert field.value == own(page).coins == lesson(page).blocks["coins-solution"].actions[0].value


def test_a_file_shows_its_answers_where_others_stand(series):
    press(series, "lesson.next")
    press(series, "lesson.next")
    guess(series, "series.how-many", 40.0)
    series.text_area(key="lesson.series.budget").set_value("Mine").run()
    data = as_file(Progress({"series": LessonProgress([], {"budget": "From the file"}, {}, [])}))
    mine = series.session_state.page
    mine.progress = joined(mine.progress, from_file(data))
    checked(series.run())
    (field,) = series.text_area
    assert field.value == "From the file"
    checked(field.set_value("Mine again").run())
    assert mine.progress.lessons["series"].answers["budget"] == "Mine again"


def test_every_run_sends_a_kept_answer_as_what_its_field_holds(series):
    """A run that is broken off may have sent nothing. What it alone said is then never heard, and the browser tells
    of an empty field."""
    done = LessonProgress([], {"budget": "Kept, in my words."}, {}, [])
    own(series).progress = joined(own(series).progress, from_file(as_file(Progress({"series": done}, name="Ada"))))
    press(series, "lesson.next")
    press(series, "lesson.next")
    guess(series, "series.how-many", 40.0)
    for _ in range(3):
        checked(series.run())
        (field,) = series.text_area
        assert field.proto.default == field.value == "Kept, in my words."
        names = [one for one in series.text_input if one.key.startswith("progress.menu.name")]
        assert [one.proto.default for one in names] == ["Ada"]


def test_leaving_gives_the_controls_back_and_keeps_what_was_done(series):
    press(series, "lesson.next")
    press(series, "lesson.leave")
    assert own(series).lesson is None
    assert own(series).progress.lessons["series"].seen == ["start", "terms"]
    series.switch_page("features/explore/explore.py")
    checked(series.run())
    assert series.select_slider(key="blocks").value == 24  # which this step hides
    assert "lesson" not in series.query_params


def test_a_lesson_that_breaks_while_it_is_open_is_left_with_its_problem(series, monkeypatch, tmp_path):
    press(series, "lesson.next")
    (tmp_path / "04-series.md").write_text("Words")
    monkeypatch.setattr(sys.modules["app.session.lesson"], "shelf", lambda: shelf(tmp_path))
    checked(series.run())
    assert "`series`" in own(series).notice and "04-series.md:1:" in own(series).notice
    assert own(series).notice in said(series) and not blocks(series)
    assert "bench.matrix.0" in {field.key for field in series.text_input}  # which this step hides
    monkeypatch.undo()
    series.switch_page("features/learn/learn.py")
    series.query_params["lesson"], series.query_params["step"] = "series", "terms"
    assert drawn_step(followed(checked(series.run()))) == "terms"


def test_a_link_to_what_is_not_there_says_so_or_begins_at_the_start():
    page = opened(lesson="none")
    assert "`none`" in own(page).notice and own(page).notice in said(page)
    assert drawn_step(opened(lesson="series", step="none")) == "start"


def test_the_flow_of_a_page_is_kept_when_a_lesson_needs_another():
    page = opened("explore", blocks="2", width="8", batch="32")
    press(page, "step")
    mine = own(page).setup
    page.switch_page("features/learn/learn.py")
    page.query_params["lesson"], page.query_params["step"] = "block", "one"
    followed(checked(page.run()))
    assert own(page).setup.flow != mine.flow
    press(page, "undo")
    assert own(page).setup.flow == mine.flow


@pytest.mark.parametrize(
    "lesson",
    [pytest.param(one, marks=pytest.mark.slow if id in TRAIN_LONG else ()) for id, one in shelf().originals.items()],
    ids=lambda lesson: lesson.id,
)
@pytest.mark.slow
def test_every_step_opens_on_its_screen_with_its_controls(lesson):
    page = opened(lesson=lesson.id)
    for step in lesson.steps:
        assert page.header[0].value == step.title
        assert ":red[" not in said(page)
        asked = next((block for block in step.blocks if isinstance(block, Predict)), None)
        covered = asked is not None and asked.cover
        assert len(header(page)) == (not covered)
        assert not page.warning
        if step.trained and not covered:
            assert own(page).report.arms[0].step == step.trained
        if not covered and not any(name.endswith("view") for name in step.controls):
            assert set(step.controls) <= own(page).asked.keys()
        if step is not lesson.steps[-1]:
            followed(press(page, "lesson.next"))


@pytest.mark.slow
def test_a_lesson_asks_for_the_bug_itself_and_what_was_thrown_in_a_step_is_there_when_somebody_comes_back():
    page, thrown = opened(lesson="bugs", step="sound"), []
    for suspect in ("none", "a"):
        assert not len(own(page).sample.values)
        checked(press(page, "throw.100").run())
        thrown.append(own(page).sample.values)
        assert len(thrown[-1]) == 100
        assert own(page).benches[Bench].suspect == suspect
        shares = [row["share"] for row in rows(page) if "N" in row and "share" in row]
        chances = [row["chance"] for row in rows(page) if "chance" in row]
        assert sum(shares) == pytest.approx(1) and chances[:3] == [0.5, 0.25, 0.125], "the sound N too"
        assert not any(radio.key.startswith("named.") for radio in page.radio)
        press(page, "lesson.next" if suspect == "none" else "lesson.back")
    assert own(page).sample.values == pytest.approx(thrown[0], abs=0)
    press(page, "lesson.again")
    assert not len(own(page).sample.values)


@pytest.mark.slow
def test_what_can_be_neither_true_nor_done_with_a_learners_own_settings_stops_nothing():
    page = opened(lesson="change", step="forget")
    for index, entry in ((0, "-0.99"), (3, "-0.99")):
        page.text_input(key=f"stretch.matrix.{index}").set_value(entry).run()
    page.radio(key="lesson.change.mass").set_value("half").run()
    press(page, "lesson.change.mass.commit")
    assert finding(page, Met) == Met("mass", guess="half", truth=None, possible=False)
    press(page, "lesson.again")
    assert finding(page, Met).possible and finding(page, Met).right

    page = opened(lesson="variance", step="best")
    guess(page, "variance.best-terms", 2.0)
    page.selectbox(key="bench.law").set_value("poisson").run()
    press(page, "lesson.variance.near-solution")
    assert "`bench.law.p`" in own(page).notice and own(page).notice in said(page)


def test_a_passed_check_claims_nothing_about_other_settings(series):
    press(series, "lesson.next")
    series.radio(key="lesson.series.slow").set_value("factor").run()
    press(series, "lesson.series.slow.commit")
    series.select_slider(key="bench.n_terms").set_value(8).run()
    press(series, "lesson.series.enough.check")
    assert (finding(series, Checked).verdict, finding(series, Checked).outcome.value) == (Verdict.PASSED, bias(8))
    series.select_slider(key="bench.n_terms").set_value(1).run()
    checked(series.run())
    found = finding(series, Checked)
    assert (found.verdict, found.outcome.passed) == (Verdict.PASSED_BEFORE, False)
    (message,) = series.success
    assert not any(char.isdigit() for char in message.value), "its numbers would be those of now"
    assert not series.warning
    press(series, "lesson.series.enough.check")
    assert finding(series, Checked).verdict is Verdict.PASSED_BEFORE and len(series.warning) == 1, "asked, it says so"


def test_an_answer_that_another_version_of_a_lesson_took_is_asked_for_again(series):
    for guess in ("a word", 1e400, 7.0):
        answers = {"one": guess, "slow": "gone", "how-many": 7.0, "budget": 0.5}
        data = as_file(Progress({"series": LessonProgress([], answers, {"slow": "gone", "how-many": "many"}, [])}))
        own(series).progress = from_file(data)
        checked(series.run())
        assert series.slider(key="lesson.series.one").value == 0, guess
    press(series, "lesson.next")
    assert series.radio(key="lesson.series.slow").value is None
    press(series, "lesson.next")
    assert finding(series, Met) == Met("how-many", guess=7, truth=58, answer="low")
    assert series.text_area(key="lesson.series.budget").value == "0.5"


def test_a_flow_rests_and_is_new_where_a_lesson_begins_and_goes_on_within_it(local_engine):
    page = opened("explore", blocks="2", width="8", batch="32")
    press(page, "play")
    assert own(page).plays
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
    assert own(page).benches[Bench].matrix == (0.9, 0.3, 0.1, -0.2)


def test_the_name_of_a_lesson_in_an_address_is_no_markdown():
    assert "`![x](y)`" in said(opened(lesson="`![x](y)`"))


def test_a_mark_goes_into_the_formula_before_it_and_nowhere_else():
    assert held(r"a $x$, b ($y$) $z$ c $(0, 1)$: \$5.") == r"a $x\text{,}$ b ($y\text{)}$ $z$ c $(0, 1)\text{:}$ \$5."
    assert held("$$a$$\n\n$b$ c") == "$$a$$\n\n$b$ c"


def test_what_to_keep_comes_after_all_predictions_and_gives_none_away():
    page = opened(lesson="series", step="which-way")
    points = lesson(page).key_points
    assert not any(point in said(page) for point in points)
    page.radio(key="lesson.series.which").set_value("either").run()
    press(page, "lesson.series.which.commit")
    assert not any(point in said(page) for point in points), "three others are open"
    own(page).progress.of("series").answers.update({"one": 0.1, "slow": "same", "how-many": 40.0})
    checked(page.run())
    assert not any(point in said(page) for point in points), "they would answer what the last step still asks"
    own(page).progress.of("series").answers["consequence"] = "It moves them towards -1."
    own(page).progress.of("series").done.extend(["flatter", "flattered"])
    checked(page.run())
    assert all(point in said(page) for point in points)


OWN = "A triangular matrix has the product of its diagonal."


def notes_of(lesson):
    return [block for block in lesson.blocks.values() if isinstance(block, Teacher)]


def test_the_lessons_own_answer_is_out_of_reach_until_somebody_has_kept_one_of_some_length():
    page = opened(lesson="change", step="forget")
    theirs = lesson(page).blocks["forget-notes"].text[:40]
    assert theirs not in said(page)
    page.radio(key="lesson.change.mass").set_value("half").run()
    press(page, "lesson.change.mass.commit")
    press(page, "lesson.change.too-much.check")
    assert finding(page, Checked).verdict is Verdict.FAILED, "before the step is done"
    assert "collapse" in blocks(page) and theirs not in said(page)
    page.text_area(key="lesson.change.collapse").set_value("It collapses.").run()
    assert own(page).progress.of("change").answers["collapse"] == "It collapses." and theirs not in said(page)
    page.text_area(key="lesson.change.collapse").set_value(OWN).run()
    assert theirs in said(page)
    assert not any(one.text[:40] in said(page) for one in notes_of(lesson(page)) if one.after != "collapse")


def test_every_note_for_teachers_that_learners_may_see_answers_a_question_in_words():
    for one in shelf().originals.values():
        answers = [note.after for note in notes_of(one) if note.after]
        assert all(isinstance(one.blocks[after], Explain) for after in answers) and len(answers) == len(set(answers))


def test_a_step_is_as_it_was_left_for_whoever_comes_back_and_begins_where_it_is_set_up_again():
    page = opened(lesson="change", step="stay")
    start = own(page).benches[Stretch]
    for index, entry in enumerate(("0", "-1", "-1", "0")):
        page.text_input(key=f"stretch.matrix.{index}").set_value(entry)
    checked(page.run())
    left = own(page).benches[Stretch]
    assert left.matrix == (0.0, -1.0, -1.0, 0.0)
    press(page, "lesson.next")
    assert own(page).benches[Stretch].matrix == start.matrix, "the next step has settings of its own"
    press(page, "lesson.back")
    assert own(page).benches[Stretch] == left
    assert [page.text_input(key=f"stretch.matrix.{i}").value for i in range(4)] == ["0", "-1", "-1", "0"]
    press(page, "lesson.again")
    assert own(page).benches[Stretch] == start


@pytest.mark.parametrize(("guess", "truth", "margin"), [(1.1, 1.0986, 0.05), (3918.0, 3917.0, 391.7), (0.5, 1.0, 0.05)])
def test_the_line_of_a_prediction_is_never_so_short_that_a_right_one_looks_far_away(guess, truth, margin):
    shown = {"prediction": str(guess), "truth": str(truth)}
    spec = prediction(guess, truth, margin, "nats", shown, "", wording()).to_dict()
    (right,) = [row for layer in spec["layer"] for row in layer["data"].get("values", ()) if "least" in row]
    assert (right["least"], right["most"]) == (truth - margin, truth + margin)
    low, high = spec["layer"][0]["encoding"]["x"]["scale"]["domain"]
    assert low <= min(guess, truth) and max(guess, truth) <= high
    is_right = abs(guess - truth) <= margin
    assert not is_right or abs(guess - truth) <= (high - low) / 6


def test_one_button_has_the_accent_what_a_lesson_waits_for_or_play():
    page = opened("learn", lesson="believes")
    assert page.button(key="play").proto.type == "secondary"
    assert any(button.proto.type == "primary" and button.key.endswith(".commit") for button in page.button)
    (asked,) = [button.key for button in page.button if button.key.endswith(".commit")]
    own(page).progress.of("believes").answers[asked.split(".")[2]] = "lower"
    page = checked(checked(page.run()).run())
    assert not any(button.key == asked for button in page.button)
    assert page.button(key="play").proto.type == "secondary", "the text names what is to be pressed"
    own(page).progress.of("believes").done.append("hundred")
    assert checked(checked(page.run()).run()).button(key="play").proto.type == "primary"


def test_the_formula_that_a_prediction_is_about_comes_with_its_answer_and_what_next_leaves_open_by_its_kinds_alone():
    page = opened(lesson="change", step="area")
    formula = r"\log|\det J_f(x)|"
    assert not any(formula in one.value for one in page.markdown)
    page.radio(key="lesson.change.density").set_value("twice").run()
    press(page, "lesson.change.density.commit")
    assert any(formula in one.value for one in page.markdown)
    (line,) = [one.value for one in page.caption if "Do (2), Check" in one.value]
    assert len(line) < 60
