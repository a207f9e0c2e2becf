"""The page without a browser: its widgets, its numbers and the JSON of its picture, over the engine of this process."""

import base64
import json

import numpy as np
import pytest
import safetensors.torch
from streamlit.testing.v1 import AppTest

from app.engine.training import job
from app.link import query_of
from app.setup import Setup
from app.ui import block_table
from app.ui.transport import Digits
from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette
from resflow_core.training.device import choose
from resflow_core.training.trainer import TrainConfig, Trainer, step_bytes
from tests.app.pages import MAIN, copied_link, finding, link, named, number, own, table, weights_of

pytestmark = pytest.mark.usefixtures("local_engine")
SMALL = {"blocks": "2", "width": "16", "batch": "64"}
FLOW, TRAIN = FlowConfig(blocks=2, width=16), TrainConfig(batch=64)


def opened(**query):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in (SMALL | query).items():
        page.query_params[name] = value
    return checked(page.run())


def checked(page):
    assert not page.exception, page.exception
    assert len(page.title) == 1
    return page


def press(page, key):
    return checked(page.button(key=key).click().run())


def scene(page):
    panes = [
        e.proto for e in page.main if e.type == "bidi_component" and e.proto.component_name == "resflow_live_panes"
    ]
    assert len(panes) == 1
    return json.loads(panes[0].json)


def unpacked(packed):
    return np.frombuffer(base64.b64decode(packed["base64"]), packed["dtype"]).reshape(packed["shape"])


def step_of(page):
    """The steps done, as the line of numbers beside the buttons has them."""
    step = own(page).report.arms[0].step
    assert any(f"**{step:,}**" in m.value for m in page.main if m.type == "markdown")
    return step


def test_it_opens_with_the_picture_of_a_flow_at_step_0_and_names_the_device_and_why():
    page = opened(data="moons", device="cpu")
    shown = scene(page)
    trainer = Trainer(FLOW, TRAIN, DATASETS["moons"], seed=0)
    held_out = measure.mean_nll(measure.log_prob(trainer.evaluated, DATASETS["moons"].held_out()))
    header, numbers = weights_of(shown)
    assert (header["run"], header["step"]) == (shown["run"], 0)
    assert header["flow"] == measure.flow_shape(trainer.flow)
    assert (numbers == measure.folded_numbers(trainer.flow)).all()
    assert shown["frame"] is None, "the browser draws"
    assert (unpacked(shown["points"]) == DATASETS["moons"].held_out()[:500].numpy()).all()
    assert shown["loss"]["held_nll"] == [pytest.approx(held_out.value, abs=1e-3)]
    assert step_of(page) == 0
    report, (line,) = own(page).report, [m for m in page.main if m.type == "markdown" and m.proto.help]
    assert report.device == "cpu"
    assert report.device_reason == choose("cpu", FLOW, TRAIN, DATASETS["moons"]).reason
    assert "CPU" in named(line.proto.help) and report.device_reason in line.proto.help


@pytest.mark.thorough
def test_100_steps_are_100_steps_of_the_trainer():
    page = press(opened(data="8gaussians", seed="3"), "steps")
    trainer = Trainer(FLOW, TRAIN, DATASETS["8gaussians"], seed=3)
    nll = [trainer.step() for _ in range(100)]
    shown = scene(page)
    assert shown["loss"]["step"][-1] == 100
    np.testing.assert_allclose(shown["loss"]["batch_nll"], nll, atol=2e-4)
    data = DATASETS["8gaussians"]
    log_prob = measure.log_prob(trainer.evaluated, data.held_out())
    held_out = measure.mean_nll(log_prob)
    assert shown["loss"]["held_nll"][-1] == pytest.approx(held_out.value, abs=2e-4)
    assert shown["loss"]["held_se"][-1] == pytest.approx(held_out.standard_error, abs=2e-4)
    gap = measure.kl(data.truth.log_prob(data.held_out()), log_prob)
    shown_gap = next(readout for readout in shown["readouts"] if readout["name"] == "gap")
    assert float(shown_gap["value"]) == pytest.approx(gap.value, abs=gap.standard_error)
    header, numbers = weights_of(shown)
    assert step_of(page) == header["step"] == 100
    assert (numbers == measure.folded_numbers(trainer.evaluated)).all()


@pytest.mark.thorough
def test_one_step_then_reset_then_play_and_pause():
    page = press(opened(), "step")
    assert step_of(page) == 1
    first = scene(page)
    page = press(press(page, "step"), "reset")
    page = checked(page.run())
    assert step_of(page) == 0
    assert scene(page)["run"] != first["run"]  # a new timeline for the picture
    page = press(page, "play")
    assert scene(page)["playing"]
    page = press(checked(page.run()), "play")
    assert not scene(page)["playing"]
    step = step_of(page)
    assert step > 0
    assert step_of(checked(page.run())) == step


@pytest.mark.thorough
def test_training_settings_change_live_and_a_flow_setting_builds_another_that_goes_on_playing():
    page = press(opened(), "step")
    before = scene(page)["run"]
    page = checked(page.select_slider(key="learning_rate").set_value(0.001).run())
    assert scene(page)["run"] == before
    assert step_of(page) == 1
    page = press(page, "play")
    page = checked(page.selectbox(key="activation").set_value("lipswish").run())
    assert scene(page)["run"] != before
    assert scene(page)["playing"]


@pytest.mark.thorough
def test_the_link_follows_every_setting():
    page = opened(data="moons", seed="5")
    page = checked(page.selectbox(key="log_det").set_value("roulette").run())
    page = checked(page.select_slider(key="log_det.law.p").set_value(0.3).run())
    said = link(page)
    assert said["log_det.law.p"] == "0.3"
    assert said["data"] == "moons"
    assert said["seed"] == "5"
    assert set(said) >= set(query_of(Setup()))
    again = opened(**said)
    assert again.select_slider(key="log_det.law.p").value == 0.3
    assert not again.warning


def test_refused_parts_of_a_link_are_named_and_the_rest_is_followed():
    page = opened(width="400", colour="red", data="moons")
    assert len(page.warning) == 1
    assert {"width", "400", "2", "256", str(FlowConfig().width), "colour"} <= named(page.warning[0].value)
    assert scene(page)["truth"] == DATASETS["moons"].title
    page = checked(page.selectbox(key="activation").set_value("elu").run())
    assert not page.warning  # it has been read once something else is chosen


def test_settings_that_need_too_much_together_are_refused_and_lowering_one_goes_on(monkeypatch):
    monkeypatch.setattr(job, "step_bytes", lambda flow, train: train.batch * 2**20)
    page = opened(batch="4096", log_det="roulette", blocks="32", width="256", hidden_layers="4")
    most = job.MOST_STEP_BYTES / 2**30
    assert {"4", f"{most:.0f}", "GiB", "batch"} <= named(page.error[0].value)
    page = checked(page.select_slider(key="batch").set_value(64).run())
    assert not page.error
    assert step_of(page) == 0


def test_the_largest_settings_of_the_page_are_trained():
    large = FlowConfig(blocks=32, width=256, hidden_layers=4)
    for log_det in (Exact(), Roulette(), Roulette(gradient="plain", n_probes=16)):
        assert step_bytes(large, TrainConfig(log_det, batch=4096)) < job.MOST_STEP_BYTES / 3


def test_real_data_are_shown_in_their_units():
    axes = scene(opened(data="wine"))["axes"]
    assert [(a["name"], a["unit"]) for a in axes] == [("alcohol", "% vol"), ("proline", "mg/l")]
    assert axes[0]["centre"] == pytest.approx(13, abs=0.5)


def shared(page):
    """The query that Share offers to copy."""
    page.session_state["share"] = True
    return copied_link(checked(page.run()))


@pytest.mark.thorough
def test_a_link_from_another_machine_says_that_digits_are_close_and_not_equal():
    here = shared(press(opened(), "step"))["by"]
    same, other = (opened(by=by) for by in (here, "torch 2.0.0 VSX, 7 threads"))
    for page in (same, other):
        assert not finding(page, Digits).differ
        press(page, "step")
    assert not finding(same, Digits).differ
    assert finding(other, Digits) == Digits("torch 2.0.0 VSX, 7 threads", here)
    assert finding(other, Digits).differ
    assert other.query_params["by"] == "torch 2.0.0 VSX, 7 threads"  # so it is said after a reload too
    other = checked(other.select_slider(key="width").set_value(8).run())
    assert "by" not in other.query_params  # another flow is nobody's


def saved_flow(page, local_engine):
    """The flow of the page's run as the contents of a file; what is in it, bit by bit."""
    saved = local_engine.export(page.session_state["page"].run, 0)
    return saved, {name: tensor.numpy().tobytes() for name, tensor in safetensors.torch.load(saved).items()}


@pytest.mark.thorough
@pytest.mark.slow
def test_whoever_opens_the_copied_link_sees_the_same_run_bit_by_bit(local_engine):
    page = opened(data="pinwheel", seed="4")
    page = checked(page.select_slider(key="batch").set_value(32).run())  # before the first step
    page = press(page, "steps")
    page = checked(page.select_slider(key="learning_rate").set_value(0.001).run())
    page = press(page, "step")
    page = checked(page.selectbox(key="log_det").set_value("roulette").run())
    page = checked(page.select_slider(key="log_det.law.p").set_value(0.3).run())
    page = press(page, "steps")
    copied = shared(page)
    assert copied["batch"] == "32"
    assert copied["changes"].startswith("100:learning_rate=0.001;101:log_det=roulette,")
    again = checked(opened(**copied).run())
    assert step_of(again) == 201 == int(copied["at"])
    assert saved_flow(again, local_engine)[1] == saved_flow(page, local_engine)[1]
    assert scene(again)["loss"]["batch_nll"] == scene(page)["loss"]["batch_nll"]
    again = checked(again.run())
    assert again.selectbox(key="log_det").value == "roulette"
    assert again.select_slider(key="learning_rate").value == 0.001
    assert shared(again) == copied
    again = press(again, "reset")
    for button in ("steps", "step", "steps"):
        again = press(again, button)
    assert saved_flow(again, local_engine)[1] == saved_flow(page, local_engine)[1]


@pytest.mark.thorough
def test_a_change_of_ones_own_keeps_what_was_planned_from_coming(local_engine):
    page = press(press(opened(changes="1:batch=32;3:batch=16"), "step"), "step")
    page = checked(page.run())
    page = checked(page.select_slider(key="learning_rate").set_value(0.001).run())
    page = press(press(page, "step"), "step")
    assert page.select_slider(key="batch").value == 32
    assert shared(page)["changes"] == "1:batch=32;2:learning_rate=0.001"


@pytest.mark.thorough
def test_a_saved_flow_goes_on_where_it_was_and_reset_goes_back_to_it(local_engine):
    page = press(opened(data="moons"), "step")
    saved, tensors = saved_flow(page, local_engine)
    held_nll = scene(page)["loss"]["held_nll"][-1]
    page = opened(data="moons", blocks="3")
    page = checked(page.file_uploader(key="open_flow").set_value(("moons.safetensors", saved, "")).run())
    assert page.select_slider(key="blocks").value == 2
    assert step_of(page) == 0
    assert saved_flow(page, local_engine)[1] == tensors
    assert scene(page)["loss"]["held_nll"] == [held_nll]
    page = press(page, "step")
    assert saved_flow(page, local_engine)[1] != tensors
    page = press(page, "reset")
    assert saved_flow(page, local_engine)[1] == tensors


@pytest.mark.thorough
def test_own_data_are_learnt_and_shown_in_their_units(local_engine):
    draw = np.random.default_rng(1)
    rows = draw.normal([170, 70], [3, 5], (400, 2)) + draw.choice([-10, 10], (400, 1))
    csv = "\n".join(["height (cm),weight", *(f"{x:.2f},{y:.2f}" for x, y in rows)]).encode()
    page = opened()
    page.session_state["page"].picked = "csv"
    page = checked(page.run())
    page = checked(page.file_uploader(key="csv").set_value(("people.csv", csv, "")).run())
    shown = scene(page)
    assert [axis["name"] for axis in shown["axes"]] == ["height (cm)", "weight"]
    assert shown["axes"][0]["centre"] == pytest.approx(170, abs=3)
    assert own(page).setup.own.choice.name == own(page).setup.dataset.title == "people.csv"
    before = shown["loss"]["held_nll"][0]
    assert scene(press(page, "steps"))["loss"]["held_nll"][-1] < before


@pytest.mark.thorough
def test_the_blocks_are_shown_in_numbers_when_they_are_unfolded(local_engine):
    page = press(opened(log_det="roulette"), "step")
    assert not any("| block |" in m.value for m in page.markdown)
    page.session_state["blocks_table"] = True
    page = checked(page.run())
    blocks, (head, *rows) = own(page).report.arms[0].blocks, table(page, "| block |").items()
    assert [name for name, _ in rows] == ["1", "2"]
    assert len(head[1]) == 5 and blocks.beyond.shape == (2,)  # with a column for the roulette
    trainer = Trainer(FLOW, TRAIN, DATASETS["checkerboard"], seed=0)
    certified = pytest.approx(trainer.flow.blocks[0].branch.lipschitz, abs=1e-3)
    assert number(rows[0][1][1]) == certified and blocks.lipschitz[0] == certified
    assert finding(page, block_table.Standouts) == block_table.standouts(blocks)
