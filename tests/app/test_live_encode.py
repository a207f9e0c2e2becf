"""The live picture's JSON: what NumPy holds is what a browser decodes; and slow motion, a step in its parts."""

import base64
import dataclasses
import functools
import json
from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.components.live.encode import encode_curves, encode_frame, encode_labels, encode_truth, encode_weights
from app.components.live.encode_step import MOST_LAYERS
from app.engine.commands import ViewRequest
from app.engine.experiment import Arm
from app.engine.reports import ArmReport, Frame, Report, State
from app.engine.training.job import Job
from app.engine.training.weights import Weights, encode
from app.engine.training.weights import decode as decode_message
from app.link import query_of
from app.setup import Setup
from app.ui.step_parts import parts_of, said
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Truncated
from resflow_core.measure import grid_points
from resflow_core.training.step_parts import step_in_parts
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.app.pages import MAIN, decode, number, press, run, weights_of

FLOW, TRAIN = FlowConfig(blocks=2, width=16), TrainConfig(batch=64, log_det=Truncated(2))
SETUP = Setup(data="moons", flow=FLOW, train=TRAIN)


def test_a_frame_survives_the_trip_through_json():
    draw = np.random.default_rng(0)
    density, latent, grid, samples = (
        draw.normal(size=n).astype(np.float32) for n in ((6, 6), (5, 2), (4, 3, 2), (7, 2))
    )
    frame = Frame(1240, density, latent, grid, samples, 3)
    sent = json.loads(json.dumps(encode_frame(frame)))
    assert (sent["step"], sent["depth"]) == (1240, 3)
    for name in ("density", "latent", "grid", "samples"):
        np.testing.assert_array_equal(decode(sent[name]), getattr(frame, name))
    # Neither the order of bytes nor that in memory matters.
    other = dataclasses.replace(frame, density=np.asfortranarray(density), latent=latent.astype(">f4"))
    assert encode_frame(other) == encode_frame(frame)
    assert encode_frame(dataclasses.replace(frame, samples=None))["samples"] is None


def test_weights_return_with_the_name_of_their_run():
    numbers = np.array([0.5, -1.25], np.float32)
    message = encode(Weights(7, '{"blocks": 2}', numbers))
    header, found = decode_message(base64.b64decode(encode_weights(message, "run:1")))
    assert header == {"run": "run:1", "arm": 0, "step": 7, "flow": {"blocks": 2}}
    assert (found == numbers).all()


def test_curves_are_short_numbers_and_gaps_are_null():
    curves = SimpleNamespace(
        step=np.array([1, 2, 3]),
        batch_nll=np.array([5.123456, np.nan, np.inf], dtype=np.float32),
        held_step=np.array([2]),
        held_nll=np.array([4.98765432], dtype=np.float32),
        held_se=np.array([0.012345], dtype=np.float32),
        held_bias=np.array([0.0], dtype=np.float32),
    )
    sent = json.loads(json.dumps(encode_curves(curves), allow_nan=False))
    assert sent == {
        "step": [1, 2, 3],
        "batch_nll": [5.1235, None, None],
        "held_step": [2],
        "held_nll": [4.9877],
        "held_se": [0.0123],
        "held_believed": None,
    }
    curves.held_bias = np.array([0.5], dtype=np.float32)
    assert encode_curves(curves)["held_believed"] == [4.4877]


def test_more_than_eight_classes_are_seven_and_the_rest():
    names = [letter for count, letter in enumerate("abcdefghij", 1) for _ in range(count)]
    labels = encode_labels(names, len(names))
    assert labels["names"] == ["j", "i", "h", "g", "f", "e", "d", "other"]
    counts = np.bincount(decode(labels["index"]))
    assert counts.tolist() == [10, 9, 8, 7, 6, 5, 4, 3 + 2 + 1]
    few = encode_labels(["b", "a", "c", "a", "c"], 4)
    assert few["names"] == ["a", "c", "b"] and decode(few["index"]).tolist() == [2, 0, 1, 0]
    assert encode_labels([*"abcdefgh", "other", "other"], 10)["names"][-1] == "(other)"  # one of the seven has the name


def test_a_truth_returns_within_half_a_step_and_its_colours_end_at_its_top_quantile():
    density = np.random.default_rng(3).gamma(2.0, size=(200, 200))
    sent = json.loads(json.dumps(encode_truth("rings", density)))
    assert sent["id"] == "rings"
    back = decode(sent["density"]) / 65535 * sent["largest"]
    assert np.abs(back - density).max() <= 0.5001 / 65535 * density.max()
    assert sent["shown"] == pytest.approx(np.quantile(density, 0.995))
    assert encode_truth("wine", None) == {"id": "wine", "density": None}


def opened():
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in query_of(SETUP).items():
        page.query_params[name] = value
    return run(page)


def scene(page):
    (pane,) = (
        e.proto for e in page.main if e.type == "bidi_component" and e.proto.component_name == "resflow_live_panes"
    )
    return json.loads(pane.json)


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
    assert (parts["step"], len(parts["parts"]), parts["exact"]) == (1, 6, False)
    trainer = Trainer(FLOW, TRAIN, DATASETS["moons"], 0)
    expected = step_in_parts(trainer, grid_points(DATASETS["moons"].window, 60), 64)
    assert decode(parts["loss"]) == pytest.approx(expected.loss, abs=1e-5)
    assert decode(parts["true_log_det"]) == pytest.approx(expected.true_log_det, abs=1e-5)
    assert decode(parts["change"]).flatten() == pytest.approx(expected.change, abs=1e-6)
    assert decode(parts["stages"]).shape == (4, 64, 2)
    assert [row["name"] for row in parts["layers"]] == ["1.1", "1.2", "2.1", "2.2"]
    for row in parts["layers"]:
        assert row["weight"] <= row["cap"] and row["weight"] <= row["raw"] * (1 + 1e-5)

    # They are there while the flow stands at this step.
    assert scene(run(page))["parts"]["step"] == 1
    assert scene(press(page, "step"))["parts"] is None
    page = press(press(page, "play"), "slowly")  # it pauses first
    assert not scene(page)["playing"] and scene(page)["parts"]["step"] == weights_of(scene(page))[0]["step"]
    assert scene(press(page, "reset"))["parts"] is None


def value(text):
    return number(text.split()[0])


def test_each_estimate_stands_beside_the_exact_value():
    picture = picture_after_one_step()
    parts = said(picture, SETUP)
    loss = dict(parts[2].numbers)
    for estimate, exact, mean, true in (
        ("mean loss, as training estimates it", "exact mean loss", picture.numbers.loss, picture.numbers.true_loss),
        ("mean log det, estimated", "exact mean log det", picture.numbers.log_det, picture.numbers.true_log_det),
    ):
        assert value(loss[estimate]) == pytest.approx(mean.value, abs=mean.error)
        assert value(loss[exact]) == pytest.approx(true.value, abs=true.error)
        assert loss[estimate] != loss[exact]
    gradient = dict(parts[3].numbers)
    assert value(gradient["length of the gradient"]) == pytest.approx(picture.numbers.gradient_norm, rel=0.01)
    assert value(gradient["with the exact log det"]) == pytest.approx(picture.numbers.true_gradient_norm, rel=0.01)
    update = dict(parts[4].numbers)
    before, after = map(value, update["mean exact loss of the batch"].split(" → "))
    assert after - before == pytest.approx(picture.numbers.gain.value, rel=0.1)
    assert update["points whose loss fell"] == f"{picture.numbers.fell} of 64"


def report(picture, state=State.PAUSED, step=1):
    return Report("a", state, (ArmReport(step, 0.0, 0.0, parts=picture),))


def test_no_parts_while_it_moves_or_stands_elsewhere():
    picture = picture_after_one_step()
    assert parts_of(SETUP, report(picture)) is not None
    assert parts_of(SETUP, report(picture, State.STEPPING)) is None
    assert parts_of(SETUP, report(picture, step=2)) is None
    assert parts_of(SETUP, report(None)) is None
    assert parts_of(SETUP, Report("a", State.LOADING)) is None


def test_at_most_eight_layers_are_drawn_and_those_that_changed_most():
    picture = picture_after_one_step(FlowConfig(blocks=8, width=8))
    layers = picture.layers
    rows = parts_of(SETUP, report(picture))["layers"]
    assert len(rows) == MOST_LAYERS
    moved = np.sort(np.abs(layers.raw - layers.raw_before).flatten())[-MOST_LAYERS:]
    assert np.sort([abs(row["raw"] - row["raw_before"]) for row in rows]) == pytest.approx(moved)
