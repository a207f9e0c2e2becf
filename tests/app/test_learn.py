"""Lessons on the page, without a browser: predictions are locked and gate what follows, what is done is noted, checks
say what they found, and all of it survives other screens; over the engine of this process."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.features.learn.verdicts import Checked, Met, Standing, Verdict
from app.features.stretch.settings import Stretch
from app.lessons.progress import LessonProgress, Progress, as_file
from app.lessons.shelf import shelf
from app.screens import SCREENS
from app.session.returning import arrive_in_browser
from tests.app.pages import finding, keys, own, shown_step
from tests.app.test_returning import tell
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
MAIN = Path(__file__).parents[2] / "app" / "page.py"
A = KNOWN_A.numpy()  # of the first two steps of the lesson on the series


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
    assert finding(series, Standing) == Standing(lesson=4, step=1, steps=4)
    assert "0.596085" in said(series)
    assert not series.sidebar.children
    assert not [button for button in series.button if button.key == "play"], "it trains no flow"
    assert not [box.key for box in series.selectbox if box.key.startswith("bench.")]
    assert (series.query_params["lesson"], series.query_params["step"]) == ("series", "start")


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


def test_a_flow_rests_and_is_new_where_a_lesson_begins_and_goes_on_within_it(local_engine):
    page = opened("explore", blocks="2", width="8", batch="32")
    press(page, "play")
    assert own(page).plays
    page.switch_page("features/learn/learn.py")
    page.query_params["lesson"], page.query_params["step"] = "block", "one"
    followed(checked(page.run()))
    mine = own(page)
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


# --- what is said of an answer, and the way on ------------------------------------------------------------------------


KEPT = as_file(
    Progress({"series": LessonProgress(["start", "steep"], {"one": 0.1, "how-many": 40}, {}, ["more"])})
).decode()


def arrived(page, stored):
    """The page, once its browser has told what it keeps."""
    own(page).attached = False
    tell(page, arrive_in_browser, stored)
    return followed(checked(page.run()))


@pytest.mark.parametrize(
    ("step", "stored", "shown", "resumed"),
    [
        ("steep", KEPT, "steep", True),
        ("", KEPT, "steep", True),
        ("terms", KEPT, "terms", False),
        ("", "", "start", False),
    ],
)
def test_a_lesson_opens_at_the_step_of_its_address_or_where_somebody_was(step, stored, shown, resumed):
    page = arrived(opened(lesson="series", **({"step": step} if step else {})), stored)
    assert drawn_step(page) == shown and ("lesson_resumed" in keys(page)) == resumed
    if resumed:
        assert own(page).progress.lessons["series"].answers["how-many"] == 40 and own(page).resumed.has_answers
        press(page, "lesson.first")
        assert drawn_step(followed(page)) == "start" and "lesson_resumed" not in keys(page)
