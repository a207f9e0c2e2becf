"""Comparisons beside the page's own run, over the engine of this process."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
from streamlit.testing.v1 import AppTest

from app.engine.commands import ViewRequest
from app.engine.reports import State
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.app.held_back import steps_at_most
from tests.app.pages import link

pytestmark = pytest.mark.thorough

APP = Path(__file__).parent / "compared_app.py"
SMALL = {"blocks": "1", "width": "16", "batch": "64", "data": "moons", "seed": "3", "device": "cpu"}
FLOW, TRAIN = FlowConfig(blocks=1, width=16), TrainConfig(batch=64)
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
    assert steps(press(page, "step.budgets")) == [FEW + 1, FEW + 1] and asked == [100, 1]
    assert steps(press(page, "reset.budgets")) == [0, 0]


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
