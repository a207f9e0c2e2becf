"""Whoever comes to a screen about one flow without having trained any finds the one that comes with the project."""

import pytest
from streamlit.testing.v1 import AppTest

from app import examples
from app.csv_file import digest_of
from app.setup import Setup
from tests.app.pages import MAIN, go, keys, link, own, press, run

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
LIPSCHITZ, ACTIVATIONS = "features/lipschitz/lipschitz.py", "features/activations/activations.py"
EXPLORE, ESTIMATOR = "features/explore/explore.py", "features/estimator/estimator.py"
SCREENS = [
    (LIPSCHITZ, {"lipschitz.view": "weights"}),
    (LIPSCHITZ, {"lipschitz.view": "enforced"}),
    (LIPSCHITZ, {"lipschitz.scale": "2"}),
    (ACTIVATIONS, {"activations.view": "inside"}),
    (ESTIMATOR, {"bench.view": "settings", "bench.subject": "flow"}),
]


def opened(screen, query=()):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in dict(query).items():
        page.query_params[name] = value
    return go(page, screen)


def is_lent(page):
    start = own(page).setup.start
    return start is not None and start.file.digest == digest_of(examples.flow())


@pytest.mark.parametrize(("screen", "query"), SCREENS)
def test_it_is_lent_and_all_settings_stay(screen, query):
    page = opened(screen, query)
    assert is_lent(page) and own(page).report.arms[0].step == 0
    assert own(page).setup == Setup(start=own(page).setup.start)
    assert link(page)["flow.name"] == examples.NAME


@pytest.mark.parametrize(
    "more", [{"data": "moons"}, {"blocks": "4"}, {"seed": "1"}, {"at": "1"}, {"controls": "blocks"}]
)
def test_a_choice_of_ones_own_stays(more):
    assert not is_lent(opened(LIPSCHITZ, {"lipschitz.view": "weights"} | more))


def test_beside_a_lesson_and_on_explore_flows_begin_untrained():
    assert not is_lent(opened(EXPLORE))
    assert not is_lent(opened(LIPSCHITZ, {"lesson": "inverse", "step": "edge"}))


def test_what_is_trained_here_is_kept():
    page = press(opened(EXPLORE), "step")
    page = go(page, LIPSCHITZ)
    page = run(page.segmented_control(key="lipschitz.view").set_value("enforced"))
    assert not is_lent(page) and own(page).report.arms[0].step == 1


def test_reset_goes_back_to_it_and_one_may_begin_untrained_for_good():
    page = press(opened(LIPSCHITZ, {"lipschitz.view": "enforced"}), "step")
    page = press(page, "reset")
    assert is_lent(page)
    while "begin_untrained" not in keys(page):
        page = press(page, "undo")
    page = press(page, "begin_untrained")
    assert own(page).setup == Setup() and "flow.name" not in link(page)
    page = run(page.segmented_control(key="lipschitz.view").set_value("weights"))
    assert not is_lent(page)
