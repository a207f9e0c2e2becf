"""Comparisons beside the page's own run, over the engine of this process."""

import dataclasses
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
from streamlit.testing.v1 import AppTest

from app.engine.commands import ViewRequest
from app.engine.local import LocalEngine
from app.engine.reports import ArmReport, Report, State
from app.session import run as session_run
from app.ui import transport
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.app.held_back import steps_at_most
from tests.app.pages import keys, link

pytestmark = pytest.mark.thorough

APP = Path(__file__).parent / "compared_app.py"
SMALL = {"blocks": "1", "width": "16", "batch": "64", "data": "moons", "seed": "3", "device": "cpu"}
FLOW, TRAIN = FlowConfig(blocks=1, width=16), TrainConfig(batch=64)
CSV = "\n".join(["a,b", *(f"{x:.4f},{y:.4f}" for x, y in np.random.default_rng(0).normal(size=(300, 2)))]).encode()


FEW = 3
"""So many steps are taken where a button asks for 100."""


@pytest.fixture
def asked(local_engine, monkeypatch):
    """The numbers of steps that the buttons have asked for."""
    return steps_at_most(local_engine, monkeypatch, FEW)


@pytest.fixture
def page(local_engine, asked):
    page = AppTest.from_file(APP, default_timeout=600)
    for name, value in SMALL.items():
        page.query_params[name] = value
    return run(page)


def run(page_or_widget):
    page = page_or_widget.run()
    assert not page.exception, page.exception
    return page


def press(page, key):
    return run(page.button(key=key).click())


def own(page):
    return page.session_state["page"]


def comparison(page, name="budgets"):
    return own(page).comparisons[name]


def steps(page):
    """How far the arms are of the run that is looked at."""
    (shown,) = [training for training in own(page).trainings if training.run == own(page).watched]
    return [arm.step for arm in shown.report.arms]


def tensors(file):
    return {name: tensor.numpy().tobytes() for name, tensor in safetensors.torch.load(file).items()}


def trainers(steps):
    """What the arms are, trained alone."""
    found = [Trainer(dataclasses.replace(FLOW, budget=b), TRAIN, DATASETS["moons"], seed=3) for b in (0.5, 0.9)]
    return [(trainer, [trainer.step() for _ in range(steps)]) for trainer in found]


def test_the_arms_train_in_step_from_the_seed_of_the_page(page, asked):
    assert steps(page) == [0, 0]
    page = press(page, "steps.budgets")
    report = comparison(page).report
    assert asked == [100] and steps(page) == [FEW, FEW]
    for arm, (_, nll) in zip(report.arms, trainers(FEW), strict=True):
        np.testing.assert_allclose(arm.loss.batch_nll, nll, atol=2e-4)
    assert any(f"**{FEW}**" in text.value for text in page.markdown)
    assert len([block for block in page.main if block.type == "popover"]) == 1
    assert set(keys(page)) >= {f"{key}.budgets" for key in ("play", "step", "steps", "reset", "share")}
    assert steps(press(page, "step.budgets")) == [FEW + 1, FEW + 1] and asked == [100, 1]


def test_the_time_of_all_arms_is_counted():
    arms = (ArmReport(7, 3.0, 20.0), ArmReport(7, 3.0, 41.0))
    assert "step **7**" in (said := transport._status(Report("", State.PAUSED, arms, device="cpu")))
    assert "**61 s** trained" in said


def test_it_plays_pauses_and_goes_back_by_buttons_of_its_own(page):
    page = press(page, "play.budgets")
    assert comparison(page).report.state is State.PLAYING
    assert page.button(key="play.budgets").proto.icon == ":material/pause:"
    page = press(page, "play.budgets")
    assert comparison(page).report.state is State.PAUSED
    assert page.button(key="play.budgets").proto.icon == ":material/play_arrow:"
    assert min(steps(page)) > 0
    assert steps(press(page, "reset.budgets")) == [0, 0]
    page = run(page.toggle(key="compared").set_value(False))
    assert own(page).report.state is State.PAUSED
    assert steps(page) == [0]


def test_equal_arms_keep_their_training_and_others_begin_anew(page, local_engine):
    page = press(page, "steps.budgets")
    first = comparison(page).run
    page = run(page.toggle(key="compared").set_value(False))
    page = run(page.toggle(key="compared").set_value(True))
    assert comparison(page).run == first
    assert steps(page) == [FEW, FEW]
    page = press(page, "play.budgets")
    page = run(page.text_input(key="budgets").set_value("0.5 0.9 0.95"))
    assert steps(page) == [0, 0, 0]
    assert comparison(page).report.state is State.PAUSED
    assert local_engine.poll(first, ViewRequest()).state is State.EXPIRED
    second = comparison(page).run
    page = run(page.number_input(key="seed").set_value(4))
    assert comparison(page).run != second
    assert comparison(page).experiment.seed == 4


def test_the_one_that_was_used_the_longest_ago_makes_way(page, local_engine):
    page = press(page, "steps.budgets")
    for name in ("norms", "depths", "budgets", "seeds"):
        page = run(page.text_input(key="name").set_value(name))
    assert list(own(page).comparisons) == ["depths", "budgets", "seeds"]
    assert comparison(page).report.arms[0].step == FEW
    assert len(local_engine._here.records) == 1 + 3 * 2


def test_what_is_not_looked_at_rests_and_goes_on_afterwards(page, local_engine):
    page = press(page, "play.budgets")
    ours = comparison(page).run
    page = run(page.toggle(key="compared").set_value(False))
    theirs, resting = own(page).run, local_engine.export(ours, 1)
    page = press(page, "play")
    page = run(page)
    assert own(page).report.arms[0].step > 0
    assert local_engine.export(ours, 1) == resting
    page = run(page.toggle(key="compared").set_value(True))
    resting = local_engine.export(theirs, 0)
    step = comparison(page).report.arms[0].step
    page = run(page)
    assert comparison(page).report.state is State.PLAYING
    assert comparison(page).report.arms[0].step > step
    assert local_engine.export(theirs, 0) == resting
    step = own(page).report.arms[0].step
    page = run(page.toggle(key="compared").set_value(False))
    assert own(page).report.state is State.PLAYING
    assert own(page).report.arms[0].step > step


def test_a_flow_that_is_built_anew_behind_a_comparison_rests_until_it_is_looked_at(page, local_engine):
    page = press(run(page.toggle(key="compared").set_value(False)), "play")
    page = run(page.toggle(key="compared").set_value(True))
    page = run(page.select_slider(key="width").set_value(8))
    page = press(page, "steps.budgets")
    assert not local_engine.export(own(page).run, 0)  # nobody waits for it, so it is not even built
    page = run(page.toggle(key="compared").set_value(False))
    assert own(page).report.state is State.PLAYING


def test_who_closes_the_page_lets_go_of_all_its_runs(page, local_engine, monkeypatch):
    left = []
    page = run(page.text_input(key="name").set_value("norms"))
    monkeypatch.setattr(local_engine, "leave", left.append)
    session_run.Presence(own(page)).leave()
    assert set(left) == {own(page).run, comparison(page).run, comparison(page, "norms").run}


def test_the_engine_hears_of_what_is_not_looked_at(page, local_engine, monkeypatch):
    looked_at, heard, poll = [], [], local_engine.poll
    monkeypatch.setattr(local_engine, "poll", lambda id, demand: looked_at.append(id) or poll(id, demand))
    monkeypatch.setattr(local_engine, "attend", heard.append)
    page = run(page)
    own(page).heard -= session_run.HEARD_SECONDS + 1
    page = run(run(page))
    assert set(looked_at) == {comparison(page).run}
    assert heard.count(own(page).run) == 1


def test_a_comparison_that_was_dropped_is_created_anew(page, local_engine):
    page = press(page, "steps.budgets")
    local_engine.close(comparison(page).run)
    page = run(page)
    assert comparison(page).report.message in " ".join(m.value for m in page.markdown)
    page = press(page, "reset.budgets")
    assert steps(page) == [0, 0]


def test_an_arm_becomes_the_pages_flow_with_its_weights_and_its_settings(page, local_engine):
    page = press(page, "steps.budgets")
    ours = comparison(page)
    weights = tensors(local_engine.export(ours.run, 1))
    page = run(page.select_slider(key="width").set_value(16))
    page = press(page, "adopt.1")
    assert own(page).setup.flow == dataclasses.replace(FLOW, budget=0.9)
    assert page.select_slider(key="budget").value == 0.9
    page = run(page.toggle(key="compared").set_value(False))
    arm = own(page).report.arms[0]
    assert arm.step == 0
    assert tensors(local_engine.export(own(page).run, 0)) == weights
    assert arm.loss.held_nll[0] == pytest.approx(ours.report.arms[1].loss.held_nll[-1], abs=1e-6)
    assert link(page)["flow.name"] == "compared.safetensors"
    assert re.fullmatch("[0-9a-f]{12}", link(page)["flow.digest"])
    assert any("`compared.safetensors`" in caption.value for caption in page.caption)


@pytest.mark.slow
def test_a_plan_is_followed_again_after_a_reset_and_an_arm_brings_what_is_in_force(page, local_engine, monkeypatch):
    monkeypatch.setattr(local_engine, "step", partial(LocalEngine.step, local_engine))  # all that is asked for
    page = run(page.toggle(key="planned").set_value(True))
    for _ in range(2):
        page = press(press(page, "reset.budgets"), "steps.budgets")
        assert comparison(page).report.arms[0].changes == ((50, dataclasses.replace(TRAIN, batch=32)),)
    page = press(page, "adopt.0")
    assert own(page).setup.train.batch == 32
    assert page.select_slider(key="batch").value == 32


def test_an_arm_brings_the_data_that_it_learnt(page):
    own(page).picked = "csv"
    page = run(page)
    page = run(page.file_uploader(key="csv").set_value(("points.csv", CSV, "")))
    table = own(page).setup.own.table
    page = press(page, "steps.budgets")
    ours = own(page).comparisons.pop("budgets")
    own(page).picked = "moons"
    page = run(page)
    assert own(page).setup.own is None
    own(page).comparisons["budgets"] = ours
    assert ours.experiment.arms[0].data is table
    page = press(page, "adopt.0")
    assert own(page).setup.own.table is table
    assert own(page).picked == "csv"


def test_an_arm_that_cannot_be_had_leaves_the_page_as_it_is(page, local_engine, monkeypatch):
    page = press(page, "steps.budgets")
    before, setup = own(page).run, own(page).setup
    monkeypatch.setattr(local_engine, "export", lambda id, arm_index: None)
    page = press(page, "adopt.1")
    assert (own(page).run, own(page).setup) == (before, setup)
    assert page.info[0].value == own(page).notice != ""
