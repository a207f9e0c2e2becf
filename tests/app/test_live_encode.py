"""The live picture's JSON: what NumPy holds is what a browser decodes, and it is small."""

import base64
import json
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
from app.engine.frames import GRID_LINES, GRID_POINTS, STAGE_STRIDE, STILL_GRID_POINTS
from app.engine.job import Job
from app.engine.weights import Weights, encode
from app.engine.weights import decode as decode_message
from resflow_core.fast.pieces import finished
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig
from tests.app.pages import decode

VIEW_REQUEST = ViewRequest(measured={"masses": True})
LINES = 2 * GRID_LINES  # in both directions


def make_frame(samples: int | None = None) -> SimpleNamespace:
    rng = np.random.default_rng(0)
    return SimpleNamespace(
        step=1240,
        density=rng.integers(0, 65536, (VIEW_REQUEST.grid, VIEW_REQUEST.grid), dtype=np.uint16),
        density_largest=np.float32(0.0412),
        density_top=np.float32(0.0312),
        latent=rng.integers(0, 65536, (VIEW_REQUEST.points, 2), dtype=np.uint16),
        grid=rng.integers(0, 65536, (LINES, GRID_POINTS, 2), dtype=np.uint16),
        samples=None if samples is None else rng.integers(0, 65536, (samples, 2), dtype=np.uint16),
        depth=None,
        stages=None,
    )


def test_a_frame_survives_the_trip_through_json():
    frame = make_frame(samples=300)
    sent = json.loads(json.dumps(encode_frame(frame)))
    assert sent["step"] == 1240
    assert (sent["density_largest"], sent["density_top"]) == pytest.approx((0.0412, 0.0312))
    for name in ("density", "latent", "grid", "samples"):
        original = getattr(frame, name)
        assert sent[name]["dtype"] == original.dtype.name
        np.testing.assert_array_equal(decode(sent[name]), original)


def test_a_frame_without_samples_says_so():
    assert encode_frame(make_frame())["samples"] is None


def test_byte_order_and_memory_layout_do_not_matter():
    frame = make_frame()
    expected = encode_frame(frame)
    frame.density = np.asfortranarray(frame.density)
    frame.latent = frame.latent.astype(">u2")
    frame.grid = np.repeat(frame.grid, 2, axis=1)[:, ::2]
    assert encode_frame(frame) == expected


def test_a_playing_frame_stays_below_sixteen_kilobytes():
    job = Job(Arm(FlowConfig(blocks=1, width=8), TrainConfig(batch=16), "moons"), 0, "cpu", lambda: 0.0)
    sizes = [
        len(json.dumps(encode_frame(finished(job.frame(VIEW_REQUEST, with_samples=some))))) for some in (False, True)
    ]
    assert sizes == [pytest.approx(13_000, abs=100), pytest.approx(15_700, abs=100)]  # as `encode_frame` says
    assert max(sizes) < 16_000


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


def test_the_stages_of_a_sharp_picture_are_packed_whole():
    rng = np.random.default_rng(2)
    frame = make_frame()
    frame.depth = 3
    frame.stages = SimpleNamespace(
        latent=rng.integers(0, 65536, (12, 500, 2), dtype=np.uint16),
        grid=rng.integers(0, 65536, (12, LINES, -(-STILL_GRID_POINTS // STAGE_STRIDE), 2), dtype=np.uint16),
    )
    sent = json.loads(json.dumps(encode_frame(frame)))
    assert sent["depth"] == 3
    for name in ("latent", "grid"):
        np.testing.assert_array_equal(decode(sent["stages"][name]), getattr(frame.stages, name))
    assert encode_frame(make_frame())["stages"] is None


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
    rng = np.random.default_rng(3)
    density = {4: rng.random((4, 4)), 200: rng.gamma(2.0, size=(200, 200))}
    sent = json.loads(json.dumps(encode_truth("rings", density)))
    assert sent["id"] == "rings"
    for n, grid in density.items():
        back = decode(sent["grids"][str(n)]) / 65535 * sent["largest"]
        assert np.abs(back - grid).max() <= 0.5001 / 65535 * density[200].max()
    assert sent["shown"] == pytest.approx(np.quantile(density[200], 0.995))


def test_a_data_set_without_a_truth_sends_none():
    assert encode_truth("wine", {}) == {"id": "wine", "grids": {}}
