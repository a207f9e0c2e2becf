"""The way back to a flow that another one took the place of, over the engine of this process."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
from streamlit.testing.v1 import AppTest

from app.components import live
from app.engine.records.stored import Stored
from app.engine.reports import State
from app.session import kept
from app.session.page import Continues, Past
from tests.app.pages import MAIN, named, own, press, run

pytestmark = pytest.mark.thorough

SMALL = {"blocks": "2", "width": "16", "batch": "64", "data": "moons", "seed": "3"}


def opened(path=MAIN, **query):
    page = AppTest.from_file(path, default_timeout=600)
    for name, value in (SMALL | query).items():
        page.query_params[name] = value
    return run(page)


@pytest.fixture
def page(local_engine):
    return opened()


def offered(page):
    """What the button brings back, and the sentence beside it names; None where there is no button."""
    past = own(page).past[-1] if own(page).past else None
    assert any(button.key == "undo" for button in page.button) == bool(past)
    if past:
        what = f"{past.steps:,}" if past.steps else past.setup.start.file.name
        (said,) = [caption.value for caption in page.main.caption if what in named(caption.value)]
        assert not past.steps or ("step" in named(said)) == (past.steps == 1)
    return past


def weights(page, local_engine):
    saved = safetensors.torch.load(local_engine.export(own(page).run, 0))
    return {name: tensor.numpy().tobytes() for name, tensor in saved.items()}


def made(page, local_engine):
    """What a person made: data, settings, held-out NLL and weights."""
    setup, arm = own(page).setup, own(page).report.arms[0]
    return dataclasses.replace(setup, start=None), arm.loss.held_nll[-1], weights(page, local_engine)


def run_of(page, local_engine):
    """What is to be as it was: weights, loss curves, settings and what changed."""
    arm = own(page).report.arms[0]
    curves = {name: np.array(values).tobytes() for name, values in vars(arm.loss).items()}
    return made(page, local_engine), curves, arm.step, arm.train, arm.changes


def with_a_live_change(page):
    page = run(press(page, "step").select_slider(key="learning_rate").set_value(0.001))
    assert not offered(page), "it builds nothing"
    page = press(page, "step")
    assert [step for step, _ in own(page).report.arms[0].changes] == [1]
    return page


def test_a_reset_is_undone_exactly_also_after_another_and_after_the_flow_was_played_again(page, local_engine):
    page = with_a_live_change(page)
    before = run_of(page, local_engine)
    page = press(page, "reset")
    assert (own(page).report.arms[0].step, offered(page).steps) == (0, 2)
    page = press(run(page.select_slider(key="learning_rate").set_value(0.002)), "undo")
    assert run_of(page, local_engine) == before
    assert page.select_slider(key="learning_rate").value == 0.001
    assert not offered(page)
    page = press(page, "reset")  # with the settings as they are, as it was before
    assert own(page).report.arms[0].train.learning_rate == 0.001
    page = press(press(page, "undo"), "step")
    assert own(page).report.arms[0].step == 3
    before = run_of(page, local_engine)
    page = press(press(page, "reset"), "reset")
    page = press(page, "undo")
    assert own(page).report.arms[0].step == 3, "a reset of a flow without a step keeps nothing"
    assert not offered(page)
    page = press(press(press(page, "reset"), "play"), "undo")
    assert own(page).report.state is State.PAUSED
    assert run_of(page, local_engine) == before
    assert not offered(page)


def test_of_ten_flows_that_are_kept_the_oldest_makes_way(monkeypatch):
    page = SimpleNamespace(past=[], setup=SimpleNamespace(start=None))
    steps = iter(range(1, 13))
    monkeypatch.setattr(kept, "current", lambda: page)
    monkeypatch.setattr(kept, "_steps", lambda: next(steps))
    monkeypatch.setattr(kept, "_stored", lambda step: Past(page.setup, step, True, None, goes_on=True))
    for _ in range(12):
        kept.remember()
    assert [past.steps for past in page.past] == [*range(3, 13)]
    assert kept.past() is page.past[-1]


# --- earlier moments --------------------------------------------------------------------------------------------------


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
def played(local_engine, browser):
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


def batch_losses(page):
    return own(page).report.arms[0].loss.batch_nll.tolist()


def test_a_branch_has_the_numbers_of_the_first_time_and_undo_brings_the_old_future_back(played, browser, local_engine):
    page = played
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


def test_what_was_changed_while_one_looked_back_holds_from_the_moment_on(played, browser):
    page = played
    for step, rate in ((31, 0.001), (0, 0.002)):
        page = browser.looks_at(page, step)
        page = run(page.select_slider(key="learning_rate").set_value(rate))
        page = press(page, "step")
        arm = own(page).report.arms[0]
        assert (arm.step, arm.train.learning_rate) == (step + 1, rate)
        assert [since for since, _ in arm.changes] == [step] * (step > 0)
        assert page.select_slider(key="learning_rate").value == rate
