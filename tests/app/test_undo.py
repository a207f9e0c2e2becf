"""The way back to a flow that another one took the place of, over the engine of this process."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
from streamlit.testing.v1 import AppTest

from app import examples
from app.engine.records.stored import Stored
from app.engine.reports import State
from app.session import kept
from app.session.page import Past
from resflow_core.flow import FlowConfig
from tests.app.pages import MAIN, named, own

pytestmark = pytest.mark.thorough

COMPARED = Path(__file__).parent / "compared_app.py"
SMALL = {"blocks": "2", "width": "16", "batch": "64", "data": "moons", "seed": "3"}
FLOW = FlowConfig(blocks=2, width=16)
CSV = "\n".join(["a,b,c", *(f"{x},{y},{z}" for x, y, z in np.random.default_rng(0).normal(size=(300, 3)))]).encode()
OTHER = CSV.replace(b"a,b,c", b"d,e,f")


def opened(path=MAIN, **query):
    page = AppTest.from_file(path, default_timeout=600)
    for name, value in (SMALL | query).items():
        page.query_params[name] = value
    return run(page)


@pytest.fixture
def page(local_engine):
    return opened()


def run(page_or_widget):
    page = page_or_widget.run()
    assert not page.exception, page.exception
    return page


def press(page, key):
    return run(page.button(key=key).click())


def pick(page, data):
    own(page).picked = data
    return run(page)


def upload(page, key, name, data):
    return run(page.file_uploader(key=key).set_value((name, data, "")))


def offered(page):
    """What the button brings back, and the sentence beside it names; None where there is no button."""
    past = own(page).past[-1] if own(page).past else None
    assert any(button.key == "undo" for button in page.button) == bool(past)
    if past:
        what = f"{past.steps:,}" if past.steps else past.setup.start.file.name
        (said,) = [caption.value for caption in page.main.caption if what in named(caption.value)]
        assert not past.steps or ("step" in named(said)) == (past.steps == 1)
    return past


def made(page, local_engine):
    """What a person made: data, settings, held-out NLL and weights."""
    setup, arm = own(page).setup, own(page).report.arms[0]
    saved = safetensors.torch.load(local_engine.export(own(page).run, 0))
    weights = {name: tensor.numpy().tobytes() for name, tensor in saved.items()}
    return dataclasses.replace(setup, start=None), arm.loss.held_nll[-1], weights


CHANGES = {
    "a flow setting": lambda page: page.select_slider(key="blocks").set_value(3).run(),
    "a data set": lambda page: pick(page, "8gaussians"),
    "a seed": lambda page: page.number_input(key="seed").set_value(4).run(),
    "a file": lambda page: upload(page, "open_flow", "checkerboard.safetensors", examples.flow()),
    "a preset": lambda page: press(page, "preset.few"),
    "a table": lambda page: upload(pick(page, "csv"), "csv", "points.csv", CSV),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.slow
def test_undo_brings_back_what_a_person_made(page, local_engine, change):
    page = press(run(page.select_slider(key="learning_rate").set_value(0.001)), "steps")
    before, run_before = made(page, local_engine), own(page).run
    assert not offered(page)
    page = run(CHANGES[change](page))
    assert own(page).run != run_before
    assert (offered(page).steps, offered(page).whole) == (100, True)
    page = run(press(page, "undo"))
    assert made(page, local_engine) == before
    assert own(page).report.arms[0].step == 100
    assert own(page).picked == "moons"
    assert page.select_slider(key="blocks").value == 2
    assert not offered(page)
    assert "flow.name" not in page.query_params
    assert own(page).link.setup == own(page).setup  # what the link to copy begins with


@pytest.fixture
def too_large(local_engine, monkeypatch):
    """No checkpoint is small enough to be stored."""
    monkeypatch.setattr(local_engine, "preserve", lambda id: 0)


def test_of_a_flow_that_is_too_large_to_be_stored_the_weights_are_kept(page, local_engine, too_large):
    page = press(page, "step")
    before = made(page, local_engine)
    page = run(page.select_slider(key="blocks").set_value(3))
    assert (offered(page).steps, offered(page).whole) == (1, True)
    page = run(press(page, "undo"))
    setup, nll, weights = made(page, local_engine)
    assert (setup, weights) == (before[0], before[2])
    assert nll == pytest.approx(before[1], abs=1e-6)
    assert own(page).report.arms[0].step == 0
    assert page.query_params["flow.name"] in ("before.safetensors", ["before.safetensors"])
    assert own(page).link.setup == own(page).setup  # what the link to copy begins with: it asks for the weights


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


def test_a_playing_flow_is_kept_at_the_step_at_which_it_came_to_rest_and_rests_there_when_it_is_back(page):
    page = press(page, "play")
    id = own(page).run
    page = run(page.select_slider(key="blocks").set_value(3))
    assert own(page).run != id
    steps = offered(page).steps
    page = press(press(page, "play"), "undo")
    assert (own(page).report.state, own(page).report.arms[0].step) == (State.PAUSED, steps)


def test_what_is_not_stored_any_more_is_trained_again(page, local_engine, monkeypatch):
    page = with_a_live_change(page)
    before = run_of(page, local_engine)
    page = press(page, "reset")
    local_engine._stored = Stored()
    page = run(press(page, "undo"))
    after = run_of(page, local_engine)
    assert (after[0][0], after[0][2], after[2:]) == (before[0][0], before[0][2], before[2:])
    assert after[1]["batch_nll"] == before[1]["batch_nll"]
    assert {"0", "2"} <= named(own(page).notice)
    assert page.select_slider(key="learning_rate").value == 0.001

    # A flow that is built anew has no step, whatever the last picture shows.
    shown = dataclasses.replace(own(page).report, state=State.LOADING)
    page = press(page, "reset")
    monkeypatch.setattr(local_engine, "poll", lambda id, request: shown)
    page = press(page, "reset")
    assert [past.steps for past in own(page).past] == [2]


def test_nothing_is_offered_where_nobody_made_anything(page):
    for change in CHANGES:
        if change not in ("a file", "a table"):
            page = run(CHANGES[change](page))
            assert not offered(page)


@pytest.mark.slow
def test_a_flow_from_a_file_is_kept_by_its_own_name(page, local_engine):
    page = upload(page, "open_flow", "mine.safetensors", examples.flow())
    before = made(page, local_engine)
    page = run(page.select_slider(key="blocks").set_value(3))
    assert (offered(page).steps, offered(page).setup.start.file.name) == (0, "mine.safetensors")
    page = run(press(page, "undo"))
    assert made(page, local_engine) == before
    assert own(page).setup.start.file.name == "mine.safetensors"


@pytest.mark.slow
def test_several_levels_are_kept_and_flows_without_a_step_are_passed_over(page):
    for blocks, key in ((3, "steps"), (4, "step"), (5, None), (6, "step")):
        page = run(page.select_slider(key="blocks").set_value(blocks))
        page = press(page, key) if key else page
    page = run(page.select_slider(key="blocks").set_value(7))
    for blocks, steps in ((6, 1), (4, 1), (3, 100)):
        assert offered(page).steps == steps
        page = press(page, "undo")
        assert own(page).setup.flow.blocks == blocks
        assert page.select_slider(key="blocks").value == blocks
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


@pytest.mark.slow
def test_a_level_beyond_the_tenth_and_weights_beyond_the_limit_are_forgotten_the_oldest_first(
    page, monkeypatch, too_large
):
    monkeypatch.setattr(kept, "MOST_LEVELS", 3)
    for blocks in (3, 4, 5, 6, 7):
        page = run(press(page, "step").select_slider(key="blocks").set_value(blocks))
    assert [past.setup.flow.blocks for past in own(page).past] == [4, 5, 6]
    largest = max(len(past.setup.start.weights) for past in own(page).past)
    monkeypatch.setattr(kept, "MOST_BYTES", int(2.5 * largest))
    page = run(press(page, "step").select_slider(key="blocks").set_value(8))
    assert [past.setup.flow.blocks for past in own(page).past] == [6, 7]


def test_settings_alone_are_kept_where_the_weights_cannot_be_had(page, local_engine, monkeypatch, too_large):
    page = press(page, "step")
    monkeypatch.setattr(local_engine, "export", lambda id, arm_index: None)
    page = run(page.select_slider(key="blocks").set_value(3))
    assert (offered(page).steps, offered(page).whole) == (1, False)
    page = press(page, "undo")
    assert (own(page).setup.flow, own(page).setup.start) == (FLOW, None)


def test_columns_of_somebodys_own_file_come_back_also_after_another_file(page):
    page = upload(pick(page, "csv"), "csv", "points.csv", CSV)
    page = press(run(page.selectbox(key="csv.x").set_value("c")), "step")
    before = own(page).setup.own
    page = run(page.selectbox(key="csv.x").set_value("b"))
    page = run(press(page, "undo"))
    assert own(page).setup.own is before
    assert page.selectbox(key="csv.x").value == "c"
    page = upload(press(page, "step"), "csv", "others.csv", OTHER)
    assert own(page).setup.own.choice.name == "others.csv"
    page = run(press(page, "undo"))
    assert own(page).setup.own is before
    assert own(page).picked == "csv"


def test_an_arm_that_was_taken_is_undone(local_engine):
    page = opened(COMPARED)
    page = press(run(page.toggle(key="compared").set_value(False)), "step")
    before = made(page, local_engine)
    page = press(run(page.toggle(key="compared").set_value(True)), "adopt.0")
    assert (offered(page).steps, offered(page).whole) == (1, True)
    page = press(run(page.toggle(key="compared").set_value(False)), "undo")
    assert made(page, local_engine) == before
