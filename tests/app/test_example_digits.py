"""The stored flow on the digits: what its file says of itself is so, its script works, and damage is noticed."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load, save

from app.examples import digits as example
from resflow_core import measure
from resflow_core.api import flow_file
from resflow_core.data.digits import DIGITS, DIM
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Roulette
from resflow_core.training.trainer import TrainConfig
from tests.app.pages import named

FLOW = FlowConfig(blocks=1, width=8, dim=DIM)
TRAIN = TrainConfig(batch=16, log_det=Roulette(shared=True))


def test_the_file_is_small_and_has_the_bits_that_it_notes():
    data = example.weights()
    stored = example.read(data)
    assert len(data) <= example.MOST_BYTES and stored.flow.config == example.FLOW
    bits = measure.held_out_bits(stored.flow, DIGITS)
    step, seconds, value, error = stored.curve[-1]
    assert (step, seconds) == (stored.steps, pytest.approx(stored.seconds, abs=0.1))
    assert value == pytest.approx(bits.value, abs=1e-4) and error == pytest.approx(bits.standard_error, abs=1e-4)
    assert stored.steps == example.STEPS and value < measure.gaussian_bits(DIGITS).value - 0.2


def test_the_script_builds_a_file_that_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["digits", "--steps", "2", "--every", "1", "--out", str(tmp_path / "small")])
    monkeypatch.setattr(example.build, "__defaults__", (2, 1, FLOW, TRAIN))
    threads = torch.get_num_threads()
    example.main()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)
    stored = example.read((tmp_path / "small").read_bytes())
    assert stored.flow.config == FLOW and stored.steps == 2
    assert [at[0] for at in stored.curve] == [0, 1, 2]
    bits = measure.held_out_bits(stored.flow, DIGITS)
    assert stored.curve[-1][2] == pytest.approx(bits.value, abs=1e-5)


def file(notes=None, **tensors):
    flow = FLOW.build(torch.Generator().manual_seed(0))
    data = flow_file.to_bytes(flow, notes)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    return save({**load(data), **tensors}, header)


GOOD = {"steps": 2, "seconds": 1.0, "curve": [[0, 0.0, 3.0, 0.1], [2, 1.0, 2.9, 0.1]]}


def test_a_good_one_is_read():
    assert example.read(file(GOOD)).curve[-1] == (2, 1.0, 2.9, 0.1)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"nothing", {"safetensors"}),
        (bytes(example.MOST_BYTES + 1), {"2,097,153", "2,097,152"}),
        (file(None), {"notes", "read"}),
        (file(GOOD | {"curve": [["x"]]}), {"notes", "read"}),
        (file(GOOD | {"curve": []}), {"notes", "end", "step"}),
        (file(GOOD | {"steps": 3}), {"notes", "end", "step"}),
        (file(GOOD, **{"bijections.0.shift": torch.full((DIM,), torch.nan)}), {"not", "finite"}),
        (file(GOOD, **{"bijections.0.shift": torch.zeros(2)}), {"float32", "64"}),
        (flow_file.to_bytes(FlowConfig(blocks=1, width=8).build(torch.Generator())), {"64", "dimensions"}),
    ],
)
def test_others_are_refused_with_the_reason(data, says):
    with pytest.raises(ValueError) as error:
        example.read(data)
    assert says <= named(str(error.value))


def test_training_goes_on_at_a_rate_that_keeps_what_there_is():
    from app.features.dimensions.digits import CONTINUED

    assert dataclasses.replace(CONTINUED, learning_rate=example.TRAIN.learning_rate,
                               schedule=example.TRAIN.schedule) == example.TRAIN  # fmt: skip
    assert CONTINUED.rate(10**6) == pytest.approx(example.TRAIN.learning_rate / 10)
