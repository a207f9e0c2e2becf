"""The weights of a flow as a message for browsers: its form, and that it is the flow that is looked at."""

import json
import struct

import numpy as np
import pytest

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm
from app.engine.training.backends import TORCH_ALONE
from app.engine.training.job import _numbers_bytes
from app.engine.training.job_kinds import job_of
from app.engine.training.job_records import DIGITS
from app.engine.training.weights import MOST_BYTES, Weights, addressed, decode, encode
from app.evidence.training import Compiled
from resflow_core.baselines.coupling import CouplingConfig
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.data.digits import DIM
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.measure import Change, Edited, flow_shape, folded_numbers
from resflow_core.norms.constraints import Off
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig

SMALL, TRAIN = FlowConfig(blocks=3, width=8), TrainConfig(batch=50)
DRAWS = ViewRequest(frames=False, weights=True)


def trained(flow=SMALL, steps=5, train=TRAIN, backends=TORCH_ALONE, data="moons"):
    job = job_of(Arm(flow, train, data), 0, "cpu", lambda: 0.0, backends)
    for _ in range(steps):
        job.step()
    return job


def sent(job, request=DRAWS):
    return decode(addressed(encode(job.weights(request)), "a:0"))


class TestMessage:
    @pytest.mark.parametrize("run", ["a:0", "0123456789abcdef:12", 'é"\\ ', ""])
    @pytest.mark.parametrize("step", [0, 7, 123_456_789])
    def test_header_and_numbers_come_back(self, run, step):
        numbers = np.array([0.1, -np.pi, 1e-30, np.inf], np.float32)
        message = addressed(encode(Weights(step, '{"blocks":2,"tree":["+","z",1.5]}', numbers)), run, arm=3)
        header, found = decode(message)
        assert header == {"run": run, "arm": 3, "step": step, "flow": {"blocks": 2, "tree": ["+", "z", 1.5]}}
        np.testing.assert_array_equal(found, numbers)

    @pytest.mark.parametrize("length", range(1, 20))
    def test_numbers_begin_where_a_browser_may_read_them_in_place(self, length):
        bare = encode(Weights(1, json.dumps("x" * length), np.ones(2)))
        for message in (bare, addressed(bare, "r" * length)):
            (header,) = struct.unpack_from("<I", message)
            assert (4 + header) % 8 == 0 and len(message) == 4 + header + 2 * 4
            json.loads(message[4 : 4 + header].decode())

    def test_numbers_are_single_precision_and_little_endian(self):
        message = encode(Weights(1, "{}", np.array([1 / 3], ">f8")))
        assert message[-4:] == struct.pack("<f", 1 / 3)

    @pytest.mark.parametrize("message", [b"", b"\0\0", b"\x04\0\0\0oops", b"\x08\0\0\0{}      \0\0\0"])
    def test_what_is_no_message_is_refused(self, message):
        with pytest.raises(ValueError):
            decode(message)

    def test_the_default_flow_takes_at_most_20_kb(self):
        job = trained(FlowConfig(), steps=0)
        assert len(addressed(encode(job.weights(DRAWS)), "0" * 32 + ":0")) <= 20_000


class TestWhatIsLookedAt:
    @pytest.mark.parametrize("backends", [TORCH_ALONE, pytest.param(Compiled(), marks=pytest.mark.thorough)])
    @pytest.mark.parametrize(
        "flow",
        [
            SMALL,
            FlowConfig(blocks=2, width=6, hidden_layers=2, activation="clipswish"),
            FlowConfig(blocks=2, width=6, branch="dense", actnorm=False),
        ],
        ids=["residual", "two layers", "dense"],
    )
    def test_the_numbers_are_those_of_the_averaged_flow_with_its_edits(self, flow, backends):
        changes = (Change("weight", 0, 1, 2.5, 1), Change("bias", 1, 0, -0.7), Change("row", 0, 2, 0.5))
        for edited in (None, Edited(1, 0.0), Edited(1, 2.5), Edited(0, 1.0, changes)):
            job = trained(flow, backends=backends)
            assert job.flow is not job._trainer.flow
            header, numbers = sent(job, ViewRequest(edited=edited))
            expected = edited.of(job.flow) if edited else job.flow
            np.testing.assert_array_equal(numbers, folded_numbers(expected))
            assert header == {"run": "a:0", "arm": 0, "step": 5, "flow": json.loads(json.dumps(flow_shape(expected)))}
            job.step()
            assert not np.array_equal(sent(job, ViewRequest(edited=edited))[1], numbers)

    def test_an_edit_of_a_block_that_the_flow_has_not_is_none(self):
        job = trained()
        np.testing.assert_array_equal(sent(job, ViewRequest(edited=Edited(7)))[1], folded_numbers(job.flow))

    @pytest.mark.parametrize("settings", [{}, {"constraint": Off()}, {"norms": "learned"}], ids=str)
    def test_bounds_are_always_those_of_the_weights(self, settings):
        job = trained(FlowConfig(blocks=2, width=8, **settings), train=TrainConfig(batch=50, learning_rate=0.05))
        for _ in range(3):
            header, _ = sent(job)
            assert header["flow"] == json.loads(json.dumps(flow_shape(job.flow)))
            job.step()

    def test_a_run_that_goes_on_from_its_checkpoint_has_the_same(self):
        job, other = trained(), trained(steps=2)
        other.restore(job.save())
        assert encode(other.weights(DRAWS)) == encode(job.weights(DRAWS))


@pytest.mark.parametrize(
    ("flow", "train", "has"),
    [
        (SMALL, TRAIN, True),
        (FlowConfig(), TRAIN, True),
        (FlowConfig(blocks=2, activation="=tanh(z)/2 + z/3"), TRAIN, True),
        (FlowConfig(blocks=10, width=64, hidden_layers=2), TRAIN, False),
        (CouplingConfig(), TRAIN, False),
        (BaselineConfig(), TRAIN, False),
        (HybridConfig(SMALL, 2), HybridTrainConfig(batch=50), False),
        (FlowConfig(blocks=1, width=8, dim=DIM), TRAIN, False),
    ],
    ids=["small", "default", "a typed formula", "too large", "coupling", "zuko's", "hybrid", "images"],
)
def test_what_a_browser_can_draw(flow, train, has):
    assert trained(flow, 0, train, data=DIGITS if flow.dim == DIM else "moons").has_weights is has


@pytest.mark.parametrize("branch", ["residual", "dense"])
@pytest.mark.parametrize("actnorm", [True, False])
@pytest.mark.parametrize("activation", ["sine", "clipswish", "maxmin"])
def test_the_size_is_known_before_the_numbers(branch, actnorm, activation):
    """Or a little less: nobody folds weights in order to learn that they are too many."""
    flow = trained(FlowConfig(blocks=3, width=8, branch=branch, actnorm=actnorm, activation=activation), 0).flow
    assert 0 <= _numbers_bytes(flow) - folded_numbers(flow).nbytes <= 4 * (4 + 5 * 3)


def test_the_largest_that_is_handed_out_is_just_below_the_limit():
    """24 blocks with 5 width + 7 numbers each, and 4 of the last ActNorm, are 16,384 at most."""
    largest, larger = (trained(FlowConfig(width=width), 0) for width in (135, 136))
    assert largest.has_weights and not larger.has_weights
    assert folded_numbers(largest.flow).nbytes <= MOST_BYTES < folded_numbers(larger.flow).nbytes
