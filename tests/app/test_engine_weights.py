"""The weights of a flow as a message for browsers: its form, and that it is the flow that is looked at."""

import dataclasses
import json
import struct

import numpy as np
import pytest

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.training.job_kinds import job_of
from app.engine.training.job_records import DIGITS
from app.engine.training.weights import MOST_BYTES, Weights, addressed, decode, encode
from resflow_core.api import flow_file
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.data.digits import DIM
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.measure import Change, Edited, flow_shape, folded_numbers
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig
from tests.app.requests import engine_without_time

SMALL, TRAIN = FlowConfig(blocks=3, width=8), TrainConfig(batch=50)
RESIDUAL, PEER = 0, 1
ARMS = (
    Arm(SMALL, TRAIN, "moons"),
    Arm(BaselineConfig("nice", 2, 6), TRAIN, "moons"),
    Arm(FlowConfig(blocks=1, width=8, branch="dense"), TRAIN, "moons"),
)
PICTURES = ViewRequest(grid=8, points=20, ways=False, samples=False, pictured=(RESIDUAL, PEER))
WEIGHTS = dataclasses.replace(PICTURES, frames=False, weights=True)
DRAWS = ViewRequest(frames=False, weights=True)


def trained(flow=SMALL, steps=5, train=TRAIN, data="moons"):
    job = job_of(Arm(flow, train, data), 0, "cpu", lambda: 0.0)
    for _ in range(steps):
        job.step()
    return job


def sent(job, request=DRAWS):
    return decode(addressed(encode(job.weights(request)), "a:0"))


class TestMessage:
    @pytest.mark.parametrize(("run", "step"), [("0123456789abcdef:12", 123_456_789), ('é"\\ ', 0)])
    def test_header_and_numbers_come_back(self, run, step):
        numbers = np.array([0.1, -np.pi, 1e-30, np.inf], ">f8")
        message = addressed(encode(Weights(step, '{"blocks":2,"tree":["+","z",1.5]}', numbers)), run, arm=3)
        header, found = decode(message)
        assert header == {"run": run, "arm": 3, "step": step, "flow": {"blocks": 2, "tree": ["+", "z", 1.5]}}
        np.testing.assert_array_equal(found, numbers.astype(np.float32))
        assert message[-16:-12] == struct.pack("<f", 0.1)  # single precision, little-endian

    def test_numbers_begin_where_a_browser_may_read_them_in_place(self):
        for length in range(1, 20):
            bare = encode(Weights(1, json.dumps("x" * length), np.ones(2)))
            for message in (bare, addressed(bare, "r" * length)):
                (header,) = struct.unpack_from("<I", message)
                assert (4 + header) % 8 == 0 and len(message) == 4 + header + 2 * 4
                json.loads(message[4 : 4 + header].decode())


class TestWhatIsLookedAt:
    @pytest.mark.parametrize(
        "flow",
        [SMALL, FlowConfig(blocks=2, width=6, branch="dense", actnorm=False)],
        ids=["residual", "dense"],
    )
    def test_the_numbers_are_those_of_the_averaged_flow_with_its_edits(self, flow):
        changes = (Change("weight", 0, 1, 2.5, 1), Change("bias", 1, 0, -0.7), Change("row", 0, 2, 0.5))
        for edited in (None, Edited(1, 2.5), Edited(0, 1.0, changes)):
            job = trained(flow)
            assert job.flow is not job._trainer.flow
            header, numbers = sent(job, ViewRequest(edited=edited))
            expected = edited.of(job.flow) if edited else job.flow
            np.testing.assert_array_equal(numbers, folded_numbers(expected))
            assert header == {"run": "a:0", "arm": 0, "step": 5, "flow": json.loads(json.dumps(flow_shape(expected)))}
            job.step()
            assert not np.array_equal(sent(job, ViewRequest(edited=edited))[1], numbers)


@pytest.mark.parametrize(
    ("flow", "train", "has"),
    [
        (SMALL, TRAIN, True),
        (FlowConfig(blocks=2, activation="=tanh(z)/2 + z/3"), TRAIN, True),
        (BaselineConfig(), TRAIN, False),
        (HybridConfig(SMALL, 2), HybridTrainConfig(batch=50), False),
        (FlowConfig(blocks=1, width=8, dim=DIM), TRAIN, False),
    ],
    ids=["small", "a typed formula", "zuko's", "hybrid", "images"],
)
def test_what_a_browser_can_draw(flow, train, has):
    assert trained(flow, 0, train, data=DIGITS if flow.dim == DIM else "moons").has_weights is has


def test_the_largest_that_is_handed_out_is_just_below_the_limit():
    """24 blocks with 5 width + 7 numbers each, and 4 of the last ActNorm, are 16,384 at most."""
    largest, larger = (trained(FlowConfig(width=width), 0) for width in (135, 136))
    assert largest.has_weights and not larger.has_weights
    assert folded_numbers(largest.flow).nbytes <= MOST_BYTES < folded_numbers(larger.flow).nbytes


class TestComparison:
    """Browsers draw some arms from their weights, and the server all others."""

    def test_each_arm_has_its_weights_or_else_its_picture_and_who_cannot_draw_has_all_pictures(self):
        engine = engine_without_time()
        id = engine.create(Experiment(ARMS, 0))
        engine.step(id, 3)
        residual, peer, other = engine.poll(id, WEIGHTS).arms
        header, numbers = decode(residual.weights)
        assert header["step"] == 3
        np.testing.assert_array_equal(numbers, folded_numbers(flow_file.from_bytes(engine.export(id, RESIDUAL))))
        assert residual.frame is None
        assert peer.weights is None and peer.frame.step == 3
        assert (other.weights, other.frame) == (None, None)
        residual, peer, other = engine.poll(id, PICTURES).arms
        assert (residual.frame.step, peer.frame.step, other.frame) == (3, 3, None)
        # And back again.
        engine.step(id, 1)
        residual, peer, _ = engine.poll(id, WEIGHTS).arms
        assert decode(residual.weights)[0]["step"] == 4 and (residual.frame.step, peer.frame.step) == (3, 4)
