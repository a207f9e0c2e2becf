"""Explore without a browser: its widgets, its numbers and the JSON of its picture, over the engine of this process; and
the flow that the project lends to screens about one flow, and somebody's own data."""

import base64
import json

import numpy as np
import pytest
import safetensors.torch
from streamlit.testing.v1 import AppTest

from app import examples
from app.csv_file import digest_of
from app.setup import Setup
from app.ui import block_table
from app.ui.transport import Digits
from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.app.held_back import steps_at_most
from tests.app.pages import MAIN, copied_link, finding, go, link, named, number, own, press, run, table, weights_of

pytestmark = pytest.mark.usefixtures("local_engine")
SMALL = {"blocks": "2", "width": "16", "batch": "64"}
FLOW, TRAIN = FlowConfig(blocks=2, width=16), TrainConfig(batch=64)
EXPLORE, LIPSCHITZ = "features/explore/explore.py", "features/lipschitz/lipschitz.py"


def opened(**query):
    return at_screen(EXPLORE, SMALL | query)


def at_screen(screen, query):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in query.items():
        page.query_params[name] = value
    return go(page, screen)


def scene(page):
    (pane,) = (
        e.proto for e in page.main if e.type == "bidi_component" and e.proto.component_name == "resflow_live_panes"
    )
    return json.loads(pane.json)


def unpacked(packed):
    return np.frombuffer(base64.b64decode(packed["base64"]), packed["dtype"]).reshape(packed["shape"])


def step_of(page):
    return own(page).report.arms[0].step


def flow_of(page, local_engine):
    """The flow of the page's run as the contents of a file; what is in it, bit by bit."""
    saved = local_engine.export(own(page).run, 0)
    return saved, {name: tensor.numpy().tobytes() for name, tensor in safetensors.torch.load(saved).items()}


def test_numbers_and_picture_are_those_of_the_trainer(local_engine, monkeypatch):
    steps_at_most(local_engine, monkeypatch, 20)
    data = DATASETS["8gaussians"]
    page = opened(data="8gaussians", seed="3", device="cpu")
    trainer = Trainer(FLOW, TRAIN, data, seed=3)
    first = scene(page)
    assert (unpacked(first["points"]) == data.held_out()[:500].numpy()).all() and step_of(page) == 0
    assert (weights_of(first)[1] == measure.folded_numbers(trainer.flow)).all()
    page = press(page, "steps")
    nll = [trainer.step() for _ in range(20)]
    shown, log_prob = scene(page), measure.log_prob(trainer.evaluated, data.held_out())
    np.testing.assert_allclose(shown["loss"]["batch_nll"], nll, atol=2e-4)
    held_out = measure.mean_nll(log_prob)
    assert shown["loss"]["held_nll"][-1] == pytest.approx(held_out.value, abs=2e-4)
    assert shown["loss"]["held_se"][-1] == pytest.approx(held_out.standard_error, abs=2e-4)
    gap = measure.kl(data.truth.log_prob(data.held_out()), log_prob)
    (shown_gap,) = (readout for readout in shown["readouts"] if readout["name"] == "gap")
    assert float(shown_gap["value"]) == pytest.approx(gap.value, abs=gap.standard_error)
    header, numbers = weights_of(shown)
    assert step_of(page) == header["step"] == 20 and shown["floor"] == pytest.approx(data.truth.entropy)
    assert (numbers == measure.folded_numbers(trainer.evaluated)).all()
    page.session_state["blocks_table"] = True
    (_, *rows), blocks = table(run(page), "| block |").items(), own(page).report.arms[0].blocks
    assert [name for name, _ in rows] == ["1", "2"]
    certified = pytest.approx(trainer.flow.blocks[0].branch.lipschitz, abs=1e-3)
    assert number(rows[0][1][1]) == certified and blocks.lipschitz[0] == certified
    assert finding(page, block_table.Standouts) == block_table.standouts(blocks)


@pytest.mark.thorough
def test_steps_reset_play_and_settings_that_change_live_or_build_another_flow():
    page = press(press(opened(), "step"), "step")
    first = scene(page)["run"]
    page = run(page.select_slider(key="learning_rate").set_value(0.001))
    assert (scene(page)["run"], step_of(page)) == (first, 2)
    page = run(press(page, "reset"))
    assert step_of(page) == 0 and scene(page)["run"] != first  # a new timeline for the picture
    page = press(page, "play")
    assert scene(page)["playing"]
    page = run(page.selectbox(key="activation").set_value("lipswish"))
    assert scene(page)["playing"] and own(page).setup.flow.activation == link(page)["activation"] == "lipswish"
    page = press(run(page), "play")
    step = step_of(page)
    assert not scene(page)["playing"] and step_of(run(page)) == step


@pytest.mark.thorough
def test_whoever_opens_the_copied_link_sees_the_same_run_bit_by_bit(local_engine):
    page = opened(data="pinwheel", seed="4")
    page = run(page.select_slider(key="batch").set_value(32))  # before the first step
    page = press(page, "step")
    page = run(page.select_slider(key="learning_rate").set_value(0.001))
    page = press(page, "step")
    page = run(page.selectbox(key="log_det").set_value("roulette"))
    page = press(page, "step")
    page.session_state["share"] = True
    copied = copied_link(run(page))
    assert copied["batch"] == "32" and copied["changes"].startswith("1:learning_rate=0.001;2:log_det=roulette,")
    again = run(opened(**copied))
    assert step_of(again) == 3 == int(copied["at"]) and not finding(again, Digits).differ
    assert flow_of(again, local_engine)[1] == flow_of(page, local_engine)[1]
    assert again.selectbox(key="log_det").value == "roulette"
    other = press(opened(**copied | {"by": "torch 2.0.0 VSX, 7 threads"}), "step")
    assert finding(other, Digits).differ  # another machine rounds in another way


@pytest.mark.thorough
def test_a_saved_flow_goes_on_where_it_was_and_reset_goes_back_to_it(local_engine):
    saved, tensors = flow_of(press(opened(data="moons"), "step"), local_engine)
    page = opened(data="moons", blocks="3")
    page = run(page.file_uploader(key="open_flow").set_value(("moons.safetensors", saved, "")))
    assert page.select_slider(key="blocks").value == 2 and step_of(page) == 0
    assert flow_of(page, local_engine)[1] == tensors
    page = press(page, "step")
    assert flow_of(page, local_engine)[1] != tensors
    assert flow_of(press(page, "reset"), local_engine)[1] == tensors


ROWS = np.random.default_rng(0).normal([170, 70, 0], [3, 5, 1], size=(40, 3))


def csv(names, *more):
    """Three columns of numbers with these names, and others behind them."""
    rows = (",".join([*map(str, row), *(column[i] for column in more)]) for i, row in enumerate(ROWS))
    return "\n".join([names, *rows]).encode()


def upload(page, name, data):
    own(page).picked = "csv"
    return run(run(page).file_uploader(key="csv").set_value((name, data, "")))


def chosen(page):
    choice = own(page).setup.own.choice
    assert tuple(page.selectbox(key=f"csv.{part}").value for part in ("x", "y")) == (choice.x, choice.y)
    return choice.name, choice.x, choice.y, choice.label


@pytest.mark.thorough
def test_own_data_are_learnt_in_their_units_and_their_columns_stay_chosen():
    page = upload(opened(), "people.csv", csv("a,b,c,kind", "ab" * 20))
    assert [axis["name"] for axis in scene(page)["axes"]] == ["a", "b"]
    assert scene(page)["axes"][0]["centre"] == pytest.approx(170, abs=3)
    for part, value in (("x", "b"), ("label", "kind"), ("y", "c")):  # the vertical axis makes way for the other
        page = run(page.selectbox(key=f"csv.{part}").set_value(value))
    assert chosen(page) == ("people.csv", "b", "c", "kind")
    own(page).picked = "moons"
    page = run(page)
    own(page).picked = "csv"
    page = run(page)
    assert chosen(page) == ("people.csv", "b", "c", "kind") and own(page).setup.own.table.names == ("b", "c")
    page = upload(page, "second.csv", csv("b,d,e"))  # keeps what it has
    assert chosen(page) == ("second.csv", "b", "d", "") and not page.error
    page = upload(page, "empty.csv", b"")
    assert {"empty.csv", "empty"} <= named(page.error[0].value)


def is_lent(page):
    start = own(page).setup.start
    return start is not None and start.file.digest == digest_of(examples.flow())


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("screen", "query", "lent"),
    [
        (LIPSCHITZ, {"lipschitz.view": "weights"}, True),
        (LIPSCHITZ, {"lipschitz.view": "weights", "data": "moons"}, False),
        (LIPSCHITZ, {"lesson": "inverse", "step": "edge"}, False),
        (EXPLORE, {}, False),
    ],
)
def test_who_has_not_trained_any_flow_is_lent_one(screen, query, lent):
    page = at_screen(screen, query)
    assert is_lent(page) is lent
    if lent:
        assert own(page).setup == Setup(start=own(page).setup.start) and link(page)["flow.name"] == examples.NAME


def test_dense_blocks_are_bounded_by_what_their_layers_and_weights_of_concatenation_allow():
    page = opened(branch="dense", activation="clipswish", hidden_layers="2", width="4")
    blocks = own(page).report.arms[0].blocks
    np.testing.assert_allclose(blocks.lipschitz, FlowConfig().budget)
    assert (blocks.layer_norms.prod(1) <= FlowConfig().budget * (1 + 1e-6)).all() and blocks.layer_norms.shape == (2, 3)
    assert (blocks.largest_norm <= blocks.layer_norms.prod(1) * (1 + 1e-6)).all()
