"""The way through a lesson: what is said of an answer, what is still open, where it opens, and that text and
readouts are of one moment; over the engine of this process."""

import json
import re
from dataclasses import replace

import pytest

from app.engine.commands import ViewRequest
from app.engine.reports import MOVING
from app.features.learn.blocks import Words
from app.features.learn.verdicts import met
from app.lessons import pace
from app.lessons.lesson import Hint, Predict, Solution, Text
from app.lessons.looking import left, left_in
from app.lessons.player import Player, wanted_by
from app.lessons.progress import LessonProgress, Progress, as_file
from app.lessons.prose import UNKNOWN
from app.lessons.shelf import shelf
from app.lessons.words import wording
from app.session.lesson import open_step
from app.session.returning import arrive_in_browser
from app.ui.lesson_list import Row, said, still_open
from tests.app import short_lessons
from tests.app.pages import keys, own
from tests.app.test_learn import checked, drawn_step, followed, guess, lesson, opened, press
from tests.app.test_learn import said as texts
from tests.app.test_lessons import situation
from tests.app.test_returning import tell

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]


# --- what is said of an answer ----------------------------------------------------------------------------------------


def test_what_is_said_of_an_answer_is_said_of_no_other_and_before_it_nothing_of_any():
    page = opened(lesson="series", step="start")
    block, words = lesson(page).blocks["one"], Words(own_situation(page))
    for number, answer in ((-0.1, "low"), (0.05, "right"), (0.2, "high")):
        assert not any(words(why) in texts(page) for why in block.why.values())
        for asked in (f"{own_situation(page).value('truth'):.4f}", f"{own_situation(page).value('bias', (1,)):.3f}"):
            assert asked not in texts(page), "what is asked for stands on the page"
        guess(page, "series.one", number)
        shown = texts(page)
        assert words(block.why[answer]) in shown
        assert not any(words(why) in shown for other, why in block.why.items() if other != answer)
        done = own(page).progress.of("series")
        done.answers.clear()
        done.truths.clear()
        checked(page.run())


@pytest.mark.parametrize("name", list(shelf().originals))
def test_every_answer_has_a_why_of_its_own(name):
    for block in shelf().lesson(name).blocks.values():
        if isinstance(block, Predict):
            assert len(set(block.why.values())) == len(block.why) >= 2, block.id


@pytest.mark.parametrize("name", ["change", "series", "roulette", "variance", "bugs"])
def test_each_why_is_shown_for_its_answer(name):
    """`python -m app.lessons check` demands that all of them are there, and their numbers known; in all ten lessons."""
    player = Player()
    for step in shelf().lesson(name).steps:
        player.reset()
        player.open(step)
        for block in step.blocks:
            for action in block.actions if isinstance(block, Solution) else ():
                player.act(action)
        at = player.situation(wanted_by(step))
        for block in (one for one in step.blocks if isinstance(one, Predict) and not one.is_choice):
            truth = block.found(at)
            margin = block.margin(truth)
            guesses = {"low": truth - 1.5 * margin, "right": truth, "high": truth + 1.5 * margin}
            for answer in (one for one in block.answers if block.may_answer(one, truth)):
                done = LessonProgress(answers={block.id: guesses[answer]}, truths={block.id: truth})
                found = met(block, done, at)
                assert (found.answer, found.right) == (answer, answer == "right"), block.id
                assert UNKNOWN not in Words(at)(block.why[answer])


def own_situation(page):
    return replace(situation(), benches=own(page).benches)


# --- what is still open -----------------------------------------------------------------------------------------------


def test_what_is_open_is_named_in_its_order():
    series = shelf().lesson("series")
    done = LessonProgress(answers={"one": 0.1, "budget": "Mine"}, truths={"one": 0.05}, done=["more"])
    found = [(one.step.id, one.block.id) for one in left(series, done)]
    assert found == [("terms", "slow"), ("steep", "how-many"), ("which-way", "which")], "no more than is shown"
    done.answers |= {"slow": "same", "which": "negative"}
    done.truths |= {"slow": "factor", "which": "negative"}
    found = [(one.step.id, one.block.id) for one in left(series, done)]
    assert found == [
        ("terms", "enough"), ("steep", "how-many"),
        ("which-way", "flatter"), ("which-way", "flattered"), ("which-way", "consequence"),
    ]  # fmt: skip
    done.truths.pop("slow")
    assert ("terms", "slow") not in [(one.step.id, one.block.id) for one in left(series, done)], "it is made"
    cost = shelf().lesson("saturation").steps[-1]
    assert [block.id for block in left_in(cost, LessonProgress())] == ["relu-gap"], "the others wait for it"


@pytest.mark.parametrize("name", list(shelf().originals))
def test_the_minutes_that_a_lesson_states_are_those_that_it_takes(name):
    lesson = shelf().lesson(name)
    takes = pace.of_lesson(lesson)
    assert 0.9 * takes <= lesson.minutes <= 1.35 * takes, "real coins and tables take time, too"
    assert all(step.minutes >= 0.7 * pace.minutes(step) for step in lesson.steps)


def test_a_step_takes_its_words_and_its_tasks():
    words, formula = (Text(id="text", line=1, text=text) for text in ("one " * 160, "$a + b$ and $$c$$ " * 10))
    hidden = Hint(id="hint", line=1, text="one " * 160)
    told = Predict(id="guess", line=1, options={"a": "b " * 80, "b": "c " * 80}, why={"a": "d " * 320, "b": ""})
    step = shelf().lesson("change").steps[0]
    assert pace.minutes(replace(step, blocks=(words, hidden))) == 1
    assert pace.minutes(replace(step, blocks=(formula,))) == pytest.approx(70 / 160)
    assert pace.minutes(replace(step, blocks=(told,))) == pytest.approx(2 + pace.TAKES[Predict])
    twice = (replace(told, told_with="later"), replace(told, id="later", again="guess"))
    assert pace.minutes(replace(step, blocks=twice)) == pytest.approx(2 + 2 * pace.TAKES[Predict])


def test_a_row_says_of_whom_and_of_what_and_names_what_is_open():
    row = Row(4, "The log det", "third year", 12, 0.71, "p", left=("How many terms?", "Nearer to 1"))
    assert "university" in said(row) and "12 min" in said(row) and "%" not in said(row)
    assert all(title in still_open(row) for title in row.left)
    assert still_open(replace(row, done=0)) == still_open(replace(row, done=1)) == ""


def test_the_list_says_what_each_lesson_is_for():
    page = opened("learn")
    shown = texts(page)
    for one in shelf().originals.values():
        assert all(aim in shown for aim in one.objectives)
    assert not page.expander


def test_next_says_what_it_skips_and_the_end_what_is_open_and_leads_on():
    page = opened(lesson="series", step="terms")
    page.radio(key="lesson.series.slow").set_value("factor").run()
    press(page, "lesson.series.slow.commit")
    assert "lesson_left" in keys(page) and "Is the bias below" in texts(page)
    page = opened(lesson="series", step="which-way")
    page.radio(key="lesson.series.which").set_value("negative").run()
    press(page, "lesson.series.which.commit")
    assert {f"lesson.left.{step}" for step in ("start", "terms", "steep", "which-way")} <= {b.key for b in page.button}
    press(page, "lesson.left.steep")
    assert drawn_step(followed(page)) == "steep"
    press(page, "lesson.back")
    assert drawn_step(followed(page)) == "terms"
    press(page, "lesson.next")
    press(page, "lesson.next")
    page = followed(press(page, "lesson.after"))
    assert own(page).lesson.lesson == "roulette" and drawn_step(page) == "idea"


def test_the_last_lesson_leads_to_no_other_and_every_step_to_the_paper():
    last = list(shelf().originals.values())[-1]
    page = opened(lesson=last.id, step=last.steps[-1].id)
    assert "lesson.after" not in {button.key for button in page.button}
    assert "arxiv.org/abs/1906.02735" in texts(page)


# --- where a lesson opens ---------------------------------------------------------------------------------------------

KEPT = as_file(
    Progress({"series": LessonProgress(["start", "steep"], {"one": 0.1, "how-many": 40}, {}, ["more"])})
).decode()


def arrived(page, stored):
    """The page, once its browser has told what it keeps."""
    own(page).attached = False
    tell(page, arrive_in_browser, stored)
    return followed(checked(page.run()))


def test_after_the_servers_restart_a_lesson_goes_on_at_the_step_of_its_address_with_its_answers():
    page = arrived(opened("estimator", lesson="series", step="steep", **{"bench.matrix": "0.9 0.3 0.1 -0.2"}), KEPT)
    assert drawn_step(page) == "steep"
    assert own(page).progress.lessons["series"].answers["how-many"] == 40
    assert own(page).resumed.has_answers and "lesson_resumed" in keys(page)
    press(page, "lesson.first")
    assert drawn_step(followed(page)) == "start" and "lesson_resumed" not in keys(page)


def test_a_lesson_that_is_opened_without_a_step_goes_to_where_somebody_was():
    page = arrived(opened(lesson="series"), KEPT)
    assert drawn_step(page) == "steep" and "lesson_resumed" in keys(page)


def test_a_link_to_a_step_is_followed_and_a_new_visitor_is_not_greeted():
    page = arrived(opened(lesson="series", step="terms"), KEPT)
    assert drawn_step(page) == "terms" and "lesson_resumed" not in keys(page)
    page = arrived(opened(lesson="series"), "")
    assert drawn_step(page) == "start" and "lesson_resumed" not in keys(page)


def test_whoever_has_begun_before_the_browser_told_is_not_taken_elsewhere():
    page = opened(lesson="series")
    guess(page, "series.one", 0.1)
    page = arrived(page, KEPT)
    assert drawn_step(page) == "start"


def test_the_list_leads_back_to_the_step_and_says_so():
    page = opened("learn")
    own(page).progress = Progress({"series": LessonProgress(["start", "terms"], {"one": 0.1}, {}, [])})
    tell(page, open_step, "series")
    page = followed(checked(page.run()))
    assert drawn_step(page) == "terms" and "lesson_resumed" in keys(page)
    press(page, "lesson.next")
    assert "lesson_resumed" not in keys(followed(page))


# --- one moment -------------------------------------------------------------------------------------------------------

NUMBER = re.compile(r"true NLL of (\d+\.\d+) nats.* believes in (\d+\.\d+) nats", re.DOTALL)


@pytest.fixture
def short(monkeypatch):
    """Pages of the lessons that train, with a tenth of their steps."""
    folder = next(iter(short_lessons.short().originals.values())).path.parent
    monkeypatch.setattr(shelf, "__defaults__", (folder,))


def test_text_and_readouts_are_of_one_moment_when_a_run_stops_between_two_polls(short, local_engine):
    page = opened(lesson="believes", step="on")
    done = own(page).progress.of("believes")
    done.answers["true-nll"], done.truths["true-nll"], done.done = "rises", "rises", ["further", "below"]
    checked(page.run())
    assert reaches(page, 10)
    # Two polls, and between them the run goes on and stops by itself.
    tell(page, local_engine.step, own(page).run, 7)
    while local_engine.poll(own(page).run, ViewRequest(frames=False)).arms[0].step < 17:
        pass
    checked(page.run())
    loss = own(page).report.arms[0].loss
    assert own(page).report.arms[0].step == 17
    true, believed = map(float, NUMBER.search(texts(page)).groups())
    assert true == pytest.approx(loss.held_nll[-1], abs=0.006)
    assert believed == pytest.approx(loss.held_nll[-1] - loss.held_bias[-1], abs=0.006)
    gap = next(one for one in readouts(page) if one["name"] == "gap")
    entropy = own(page).setup.dataset.truth.entropy
    assert float(gap["value"]) == pytest.approx(loss.held_kl[-1], abs=0.02)
    assert true - entropy == pytest.approx(float(gap["value"]), abs=0.15), "the same loss, by two estimates"


def reaches(page, step):
    """Whether the page's flow rests at this step, before long."""
    return any(
        own(checked(page.run())).report.arms[0].step == step and own(page).report.state not in MOVING
        for _ in range(400)
    )


@pytest.mark.slow
def test_while_a_flow_moves_the_text_says_of_which_step_it_is(local_engine):
    page = opened(lesson="believes", step="first")
    page.radio(key="lesson.believes.who").set_value("lower").run()
    press(page, "lesson.believes.who.commit")
    press(page, "play")
    checked(page.run())
    assert "from step" in texts(page)
    press(page, "play")
    assert any("from step" not in texts(checked(page.run())) for _ in range(400)), "once it rests"


@pytest.mark.slow
def test_a_step_that_was_done_with_a_flow_that_is_gone_says_so(short, local_engine):
    page = opened(lesson="believes", step="on")
    done = own(page).progress.of("believes")
    done.answers["true-nll"], done.truths["true-nll"], done.done = "rises", "rises", ["further", "below"]
    news = wording().say("done_before")
    assert reaches(page, 10) and news in texts(page)
    tell(page, local_engine.step, own(page).run, 20)
    assert reaches(page, 30) and news not in texts(page)


def readouts(page):
    found = [json.loads(e.proto.json or "null") for e in page.main if e.type == "bidi_component"]
    return next(data["readouts"] for data in found if isinstance(data, dict) and data.get("readouts"))
