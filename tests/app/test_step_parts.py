"""Slow motion on Explore, without a browser: what the picture is given, and what is said of each part."""

import base64
import dataclasses
import functools
import json
import math

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.components.live.encode_step import MOST_LAYERS
from app.engine.commands import ViewRequest
from app.engine.experiment import Arm
from app.engine.reports import ArmReport, Report, State
from app.engine.training.job import Job
from app.engine.training.step_picture import Mean
from app.link import query_of
from app.setup import Setup
from app.ui.step_parts import parts_of, said
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import grid_points
from resflow_core.norms.constraints import Off, Power
from resflow_core.training.step_parts import step_in_parts
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.app.pages import MAIN, MINUS, weights_of

FLOW, TRAIN = FlowConfig(blocks=2, width=16), TrainConfig(batch=64, log_det=Truncated(2))
SETUP = Setup(data="moons", flow=FLOW, train=TRAIN)
PARTS = 6


def opened(setup=SETUP):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in query_of(setup).items():
        page.query_params[name] = value
    page.run()
    assert not page.exception, page.exception
    return page


def press(page, key):
    page.button(key=key).click().run()
    assert not page.exception, page.exception
    return page


def scene(page):
    (pane,) = (
        e.proto for e in page.main if e.type == "bidi_component" and e.proto.component_name == "resflow_live_panes"
    )
    return json.loads(pane.json)


def unpacked(packed):
    return np.frombuffer(base64.b64decode(packed["base64"]), packed["dtype"]).reshape(packed["shape"])


@functools.cache
def picture_after_one_step(flow=FLOW, train=TRAIN):
    job = Job(Arm(flow, train, "moons"), 0, "cpu", lambda: 0.0)
    job.record_next_step(ViewRequest())
    while job.step():
        pass
    return job.hand_over_parts()


@pytest.mark.thorough
@pytest.mark.usefixtures("local_engine")
def test_slowly_takes_the_step_that_one_step_takes_and_shows_its_parts_while_the_flow_stands_there():
    plain, page = press(opened(), "step"), press(opened(), "slowly")
    assert scene(plain)["parts"] is None
    shown = scene(page)
    assert (weights_of(shown)[1] == weights_of(scene(plain))[1]).all()  # the flow after the last part
    parts = shown["parts"]
    assert (parts["step"], len(parts["parts"]), parts["exact"]) == (1, PARTS, False)
    trainer = Trainer(FLOW, TRAIN, DATASETS["moons"], 0)
    expected = step_in_parts(trainer, grid_points(DATASETS["moons"].window, 60), 64)
    assert unpacked(parts["loss"]) == pytest.approx(expected.loss, abs=1e-5)
    assert unpacked(parts["true_log_det"]) == pytest.approx(expected.true_log_det, abs=1e-5)
    assert unpacked(parts["change"]).flatten() == pytest.approx(expected.change, abs=1e-6)
    assert unpacked(parts["stages"]).shape == (4, 64, 2)
    assert [row["name"] for row in parts["layers"]] == ["1.1", "1.2", "2.1", "2.2"]
    for row in parts["layers"]:
        assert row["weight"] <= row["cap"] and row["weight"] <= row["raw"] * (1 + 1e-5)

    # They are there while the flow stands at this step.
    assert scene(page.run())["parts"]["step"] == 1  # again and again: the browser knows what it has shown
    assert scene(press(page, "step"))["parts"] is None
    press(page, "play")
    assert scene(page)["playing"] and scene(page)["parts"] is None
    shown = scene(press(page, "slowly"))  # it pauses first
    assert not shown["playing"] and shown["parts"]["step"] == weights_of(shown)[0]["step"]
    assert scene(press(page, "reset"))["parts"] is None


def numbers(part):
    return dict(part.numbers)


def value(text):
    return float(text.split()[0].replace(MINUS, "-").replace(",", ""))


def test_each_estimate_stands_beside_the_exact_value():
    picture = picture_after_one_step()
    parts = said(picture, SETUP)
    loss = numbers(parts[2])
    for estimate, exact, mean, true in (
        ("mean loss, as training estimates it", "exact mean loss", picture.numbers.loss, picture.numbers.true_loss),
        ("mean log det, estimated", "exact mean log det", picture.numbers.log_det, picture.numbers.true_log_det),
    ):
        assert value(loss[estimate]) == pytest.approx(mean.value, abs=mean.error)
        assert value(loss[exact]) == pytest.approx(true.value, abs=true.error)
        assert loss[estimate] != loss[exact]
    gradient = numbers(parts[3])
    assert value(gradient["length of the gradient"]) == pytest.approx(picture.numbers.gradient_norm, rel=0.01)
    assert value(gradient["with the exact log det"]) == pytest.approx(picture.numbers.true_gradient_norm, rel=0.01)
    update = numbers(parts[4])
    before, after = map(value, update["mean exact loss of the batch"].split(" → "))
    assert after - before == pytest.approx(picture.numbers.gain.value, rel=0.1)
    assert update["points whose loss fell"] == f"{picture.numbers.fell} of 64"


def test_an_exact_log_det_is_not_called_an_estimate():
    picture = picture_after_one_step(train=TrainConfig(batch=64, log_det=Exact()))
    words = " ".join(name for part in said(picture, SETUP) for name, _ in part.numbers)
    assert "estimate" not in words
    assert parts_of(SETUP, report(picture))["exact"]


def report(picture, state=State.PAUSED, step=1):
    return Report("a", state, (ArmReport(step, 0.0, 0.0, parts=picture),))


def test_no_parts_while_it_moves_or_stands_elsewhere():
    picture = picture_after_one_step()
    assert parts_of(SETUP, report(picture)) is not None
    assert parts_of(SETUP, report(picture, State.STEPPING)) is None
    assert parts_of(SETUP, report(picture, step=2)) is None
    assert parts_of(SETUP, report(None)) is None
    assert parts_of(SETUP, Report("a", State.LOADING)) is None


@pytest.mark.parametrize("constraint", [Power(), Off()])
def test_a_constraint_that_promises_nothing_is_said_to_promise_nothing(constraint):
    flow = dataclasses.replace(FLOW, constraint=constraint)
    picture = picture_after_one_step(flow)
    last = said(picture, dataclasses.replace(SETUP, flow=flow))[-1]
    assert "stays invertible" not in last.text
    touched = int(picture.layers.touched.sum())
    assert numbers(last)["layers that the constraint changes"] == f"{touched} of 4"


def test_numbers_that_are_not_finite_are_said_to_be_so():
    picture = picture_after_one_step(train=TrainConfig(batch=64, log_det=Roulette()))
    nothing = Mean(math.nan, math.nan)
    layers = dataclasses.replace(picture.layers, raw=picture.layers.raw * np.nan)
    broken = dataclasses.replace(
        picture,
        numbers=dataclasses.replace(
            picture.numbers, loss=nothing, gain=nothing, true_loss_after=math.inf, moved=math.nan, update_norm=math.nan,
            update_cosine=math.nan,
        ),
        layers=layers,
    )  # fmt: skip
    shown = parts_of(SETUP, report(broken))
    json.dumps(shown, allow_nan=False)
    words = " ".join(value for part in shown["parts"] for _, value in part["numbers"])
    assert "not finite" in words and "nan" not in words.lower()
    assert shown["layers"] == []


def test_at_most_eight_layers_are_drawn_and_those_that_changed_most():
    picture = picture_after_one_step(FlowConfig(blocks=8, width=8))
    layers = picture.layers
    rows = parts_of(SETUP, report(picture))["layers"]
    assert len(rows) == MOST_LAYERS
    moved = np.sort(np.abs(layers.raw - layers.raw_before).flatten())[-MOST_LAYERS:]
    assert np.sort([abs(row["raw"] - row["raw_before"]) for row in rows]) == pytest.approx(moved)
