"""The live picture's JSON: what NumPy holds is what a browser decodes, and it is small."""

import base64
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from app.components.live.encode import (
    encode_curves,
    encode_frame,
    encode_labels,
    encode_points,
    encode_truth,
    encode_weights,
)
from app.engine.commands import ViewRequest
from app.engine.experiment import Arm
from app.engine.reports import Frame
from app.engine.training.frames import GRID_LINES, GRID_POINTS
from app.engine.training.job import Job
from app.engine.training.weights import Weights, encode
from app.engine.training.weights import decode as decode_message
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig
from tests.app.pages import decode

VIEW_REQUEST = ViewRequest(measured={"masses": True})
LINES = 2 * GRID_LINES  # in both directions


def make_frame(samples: int | None = None) -> Frame:
    rng = np.random.default_rng(0)

    def numbers(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    density, latent, grid = numbers(60, 60), numbers(500, 2), numbers(LINES, GRID_POINTS, 2)
    return Frame(1240, density, latent, grid, None if samples is None else numbers(samples, 2), 3)


def test_a_frame_survives_the_trip_through_json():
    frame = make_frame(samples=300)
    sent = json.loads(json.dumps(encode_frame(frame)))
    assert (sent["step"], sent["depth"]) == (1240, 3)
    for name in ("density", "latent", "grid", "samples"):
        assert sent[name]["dtype"] == "float32"
        np.testing.assert_array_equal(decode(sent[name]), getattr(frame, name))


def test_a_frame_without_samples_says_so():
    assert encode_frame(make_frame())["samples"] is None


def test_byte_order_and_memory_layout_do_not_matter():
    frame = make_frame()
    other = replace(
        frame,
        density=np.asfortranarray(frame.density),
        latent=frame.latent.astype(">f4"),
        grid=np.repeat(frame.grid, 2, axis=1)[:, ::2],
    )
    assert encode_frame(other) == encode_frame(frame)


def test_a_frame_is_as_small_as_is_said():
    job = Job(Arm(FlowConfig(blocks=1, width=8), TrainConfig(batch=16), "moons"), 0, "cpu", lambda: 0.0)
    size = len(json.dumps(encode_frame(job.frame(VIEW_REQUEST))))
    assert size == pytest.approx(41_400, abs=400)  # as `encode_frame` says


def test_points_return_in_single_precision():
    points = np.random.default_rng(1).uniform((-4, 10), (4, 12), (200, 2))
    packed = encode_points(points)
    assert (packed["dtype"], packed["shape"]) == ("float32", [200, 2])
    assert (decode(packed) == points.astype(np.float32)).all()


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


def test_classes_are_numbered_from_the_most_frequent_on():
    labels = encode_labels(["b", "a", "c", "a", "c"], 4)
    assert labels["names"] == ["a", "c", "b"]
    assert decode(labels["index"]).tolist() == [2, 0, 1, 0]


def test_more_than_eight_classes_are_seven_and_the_rest():
    names = [letter for count, letter in enumerate("abcdefghij", 1) for _ in range(count)]
    labels = encode_labels(names, len(names))
    assert labels["names"] == ["j", "i", "h", "g", "f", "e", "d", "other"]
    counts = np.bincount(decode(labels["index"]))
    assert counts.tolist() == [10, 9, 8, 7, 6, 5, 4, 3 + 2 + 1]


@pytest.mark.parametrize(
    ("frequent", "rest"), [(["other"], "(other)"), (["other", "(other)"], "((other))"), (["(other)"], "other")]
)
def test_a_class_that_is_called_other_is_not_the_rest(frequent, rest):
    rare = list("abcdefghi")
    labels = encode_labels(frequent * 2 + rare, 2 * len(frequent) + len(rare))
    named = 7 - len(frequent)
    assert labels["names"] == [*sorted(frequent), *rare[:named], rest]
    counts = np.bincount(decode(labels["index"])).tolist()
    assert counts == [2] * len(frequent) + [1] * named + [len(rare) - named]


def test_a_truth_returns_within_half_a_step_and_its_colours_end_at_its_top_quantile():
    density = np.random.default_rng(3).gamma(2.0, size=(200, 200))
    sent = json.loads(json.dumps(encode_truth("rings", density)))
    assert sent["id"] == "rings"
    back = decode(sent["density"]) / 65535 * sent["largest"]
    assert np.abs(back - density).max() <= 0.5001 / 65535 * density.max()
    assert sent["shown"] == pytest.approx(np.quantile(density, 0.995))


def test_a_data_set_without_a_truth_sends_none():
    assert encode_truth("wine", None) == {"id": "wine", "density": None}
