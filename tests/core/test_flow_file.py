import json

import pytest
import torch
from safetensors.torch import load, save

from resflow_core.api import flow_file
from resflow_core.flow import FlowConfig
from resflow_core.norms.constraints import Bjorck, Power
from resflow_core.residual import BRANCHES
from resflow_core.settings import to_json
from resflow_core.training.parameter_count import parameter_count
from tests.core.oracles import points, seeded

CONFIGS = [
    FlowConfig(blocks=2, width=8),
    FlowConfig(blocks=1, width=2, hidden_layers=1, activation="elu", actnorm=False, budget=0.3),
    FlowConfig(blocks=1, width=3, norms="learned", constraint=Power(iterations=3, warm=False)),
    FlowConfig(blocks=2, width=4, norms="mixed", constraint=Bjorck(5)),
]
FLOW = CONFIGS[0].build(seeded(1))
GOOD = flow_file.to_bytes(FLOW)


def file(tensors=None, **settings):
    """`GOOD` with other tensors or settings; a setting of None is left out."""
    values = to_json(FLOW.config) | settings
    text = json.dumps({k: v for k, v in values.items() if v is not None})
    return save({**load(GOOD), **(tensors or {})}, {flow_file.FORMAT: text})


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_what_is_read_is_bitwise_what_was_written(config):
    flow = config.build(seeded(5))
    flow.initialize(points(50, 2).float())
    again = flow_file.from_bytes(flow_file.to_bytes(flow))
    assert again.config == config
    state, other = flow.state_dict(), again.state_dict()
    assert state.keys() == other.keys()
    assert all(torch.equal(state[name], other[name]) for name in state)
    x = points(20, 2).float()
    assert torch.equal(flow.log_prob(x), again.log_prob(x))
    assert flow_file.to_bytes(again) == flow_file.to_bytes(flow)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04 not a flow at all", "cannot be read as safetensors"),
        (GOOD[:-1], "cannot be read as safetensors"),
        (bytes(flow_file.MOST_BYTES + 1), r"has 117,440,513 bytes; a flow has at most 117,440,512"),
        (save(load(GOOD)), "not a flow that was saved here: its metadata has no 'residual flow 1'"),
        (save(load(GOOD), {flow_file.FORMAT: "{"}), "settings in the file cannot be read"),
        (save(load(GOOD), {flow_file.FORMAT: "[" * 50_000}), "settings in the file cannot be read"),
        (save(load(GOOD), {flow_file.FORMAT: "[" * 10**5}), "100,000 characters; 65,536 are allowed"),
        (bytes([1, 0, 16, 0, 0, 0, 0, 0]) + bytes(2**21), "1,048,577 bytes of names; a flow has at most 1,048,576"),
        (file(notes=[1, 2]), r"notes in the file are `\[1, 2\]`: names with values are needed"),
        (file({"bijections.0.shift": torch.full((2,), 3e38)}), r"no finite density .* largest weight is 3e\+38"),
        (file(blocks=400), "blocks = 400: use a value from 1 to 32"),
        (file(blocks="2"), "blocks = '2': use a whole number"),
        (file(budget=float("nan")), "budget = nan"),
        (file(activation="swish"), "activation = 'swish': use one of"),
        (file(activation="=log(z)"), "is undefined at z = "),
        (file(constraint={"is": "tight"}), "constraint is 'tight': use one of soft"),
        (file(constraint={"is": "bjorck", "steps": 99}), "steps = 99: use a value from 1 to 30"),
        (file(constraint={"is": "power", "iterations": 1, "warm": True}), r"linears\.0\.v is missing"),
        (file(colour="red"), "'colour' is unknown"),
        (file(width=None), "'width' is missing"),
        (file(dim=3), "not one of the plane"),
        (file(width=9), "holds float32"),
        (file(blocks=3), r"bijections\.5\.branch\.\S+ is missing"),
        (file({"more": torch.ones(1)}), "'more' does not belong"),
        (file({"bijections.0.shift": torch.zeros(2, dtype=torch.float64)}), r"shift holds float64 \(2,\)"),
        (file({"bijections.0.shift": torch.tensor([0.0, torch.nan])}), r"not finite, in bijections\.0\.shift"),
    ],
)
def test_everything_else_is_refused_in_a_sentence(data, words):
    with pytest.raises(ValueError, match=words):
        flow_file.from_bytes(data)


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("activation", ["sine", "clipswish"])
def test_the_largest_flow_that_the_settings_allow_fits(activation, branch):
    config = FlowConfig(blocks=1, width=256, hidden_layers=4, activation=activation, branch=branch)
    assert 32 * 4 * parameter_count(config) < 0.9 * flow_file.MOST_BYTES
