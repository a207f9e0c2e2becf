"""Earlier moments of a run: which one a page shows, and another run that goes on from it."""

import json

import pytest
import safetensors.torch

from app.components import live
from app.engine.commands import ViewRequest
from app.engine.records.stored import Stored
from app.engine.reports import State
from app.session.page import Continues
from tests.app.pages import own, press, run
from tests.app.test_undo import opened

pytestmark = pytest.mark.thorough

NEWEST, EARLIER = 60, 20


class Browser:
    """What the browser says of the moment that its picture shows."""

    said = None

    def looks_at(self, page, step):
        self.said = {"run": own(page).report.timeline, "step": step}
        return run(page)


@pytest.fixture
def browser(monkeypatch):
    browser = Browser()
    monkeypatch.setattr(live, "chosen_moment", lambda key: browser.said)
    return browser


@pytest.fixture
def page(local_engine, browser):
    """A run of 60 steps, which came to rest at 20 too."""
    page = to(opened(), local_engine, EARLIER)
    return to(page, local_engine, NEWEST)


def to(page, local_engine, step):
    local_engine.step(own(page).run, step - own(page).report.arms[0].step)
    page = run(page)
    assert own(page).report.arms[0].step == step
    return page


def scene(page):
    names = [e for e in page.main if e.type == "bidi_component"]
    (found,) = (e.proto for e in names if e.proto.component_name == "resflow_live_panes")
    return json.loads(found.json)


def weights(page, local_engine):
    saved = safetensors.torch.load(local_engine.export(own(page).run, 0))
    return {name: tensor.numpy().tobytes() for name, tensor in saved.items()}


def batch_losses(page):
    return own(page).report.arms[0].loss.batch_nll.tolist()


def play_label(page):
    return page.button(key="play").label


WRONG = [
    None, "5", [], {}, {"step": None}, {"run": "other:0", "step": 5}, {"step": "5"}, {"step": -1}, {"step": NEWEST},
    {"step": 1e9}, {"step": True}, {"step": float("nan")},
]  # fmt: skip


@pytest.mark.slow
def test_at_the_moment_that_its_browser_looks_at_play_says_that_it_continues_from_there(page, browser):
    assert play_label(page) == "Play"
    page = browser.looks_at(page, EARLIER)
    assert play_label(page) == "Continue from here"
    assert scene(page)["time"]["moment"] == EARLIER
    browser.said = None
    assert play_label(run(page)) == "Play"
    for said in WRONG:
        browser.said = {"run": own(page).report.timeline} | said if isinstance(said, dict) and said else said
        assert play_label(run(page)) == "Play", said

    # Continue plays on from the checkpoint before, and a moment that is to come pauses the run once it has come.
    page = press(browser.looks_at(page, 31), "play")
    assert own(page).plays
    assert own(page).report.state is State.PLAYING
    page = press(page, "play")
    assert own(page).report.state is State.PAUSED
    assert own(page).continues.step == EARLIER
    browser.said = None
    page = press(page, "play")
    later = own(page).report.arms[0].step + 25  # of which the page has not heard yet
    page = browser.looks_at(page, later)
    while own(page).report.arms[0].step <= later:
        assert play_label(page) == "Pause"
        page = run(page)
    page = run(page)
    assert own(page).report.state is State.PAUSED
    assert not own(page).plays
    assert play_label(page) == "Continue from here"


def test_a_branch_has_the_numbers_of_the_first_time_and_undo_brings_the_old_future_back(page, browser, local_engine):
    there, run_there, timeline = weights(page, local_engine), own(page).run, own(page).report.timeline
    its_losses = batch_losses(page)
    page = browser.looks_at(page, 31)  # between two checkpoints
    page = press(page, "step")
    assert own(page).run != run_there
    assert own(page).report.arms[0].step == 32
    assert own(page).continues == Continues(timeline, EARLIER)
    assert scene(page)["time"]["continues"] == {"run": timeline, "step": EARLIER}
    assert (own(page).past[-1].steps, own(page).past[-1].goes_on) == (NEWEST, True)
    page = to(page, local_engine, NEWEST)
    assert weights(page, local_engine) == there
    assert batch_losses(page) == its_losses
    page = run(page.select_slider(key="learning_rate").set_value(0.001))
    page = to(page, local_engine, NEWEST + 5)
    page = press(page, "undo")
    assert (own(page).report.state, own(page).report.arms[0].step) == (State.PAUSED, NEWEST)
    assert weights(page, local_engine) == there
    assert batch_losses(page) == its_losses
    assert own(page).continues == Continues(timeline, NEWEST)
    browser.looks_at(page, 31)
    local_engine._stored = Stored()
    page = press(page, "step")
    assert (own(page).report.arms[0].step, own(page).continues.step) == (32, 0), "without a checkpoint"
    assert weights(to(page, local_engine, NEWEST), local_engine) == there


def test_a_branch_has_the_settings_of_its_moment(page, browser, local_engine):
    usual = own(page).setup.train
    page = run(page.select_slider(key="learning_rate").set_value(0.001))
    page = to(page, local_engine, 80)
    page = press(browser.looks_at(page, 40), "step")
    assert own(page).setup.train == own(page).report.arms[0].train == usual
    assert page.select_slider(key="learning_rate").value == usual.learning_rate
    page = press(page, "undo")
    assert own(page).report.arms[0].step == 80
    assert page.select_slider(key="learning_rate").value == 0.001
    page = press(browser.looks_at(page, 70), "step")
    assert own(page).report.arms[0].train.learning_rate == 0.001
    assert own(page).report.arms[0].changes[0][0] == NEWEST


def test_what_was_changed_while_one_looked_back_holds_from_the_moment_on(page, browser):
    for step, rate in ((31, 0.001), (0, 0.002)):
        page = browser.looks_at(page, step)
        page = run(page.select_slider(key="learning_rate").set_value(rate))
        page = press(page, "step")
        arm = own(page).report.arms[0]
        assert (arm.step, arm.train.learning_rate) == (step + 1, rate)
        assert [since for since, _ in arm.changes] == [step] * (step > 0)
        assert page.select_slider(key="learning_rate").value == rate


def test_the_steps_that_are_stored_are_those_from_which_a_run_can_go_on(page, local_engine):
    setup, arm = own(page).setup, own(page).report.arms[0]
    experiment, fingerprints = setup.experiment(), (arm.fingerprint,)
    found = local_engine.checkpoints(experiment, NEWEST, fingerprints)
    assert {EARLIER, NEWEST} <= set(found) and list(found) == sorted(found)
    assert [local_engine.stored(experiment, step, fingerprints) for step in found] == list(found)
    assert local_engine.checkpoints(experiment, NEWEST - 1, fingerprints) == found[:-1]
    assert local_engine.checkpoints(experiment, NEWEST, ("another",)) == ()
    assert scene(page)["time"]["checkpoints"] == [0, *found]
    other = local_engine.create(experiment, EARLIER, fingerprints)
    assert local_engine.poll(other, ViewRequest(frames=False)).arms[0].step == EARLIER
    local_engine.close(other)
