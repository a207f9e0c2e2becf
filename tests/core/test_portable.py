"""A flow as numbers for another program: read by NumPy as the docstring says, they are the flow's own maps."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch

import resflow_core as rf
from resflow_core.activations import ACTIVATIONS, Activation, activation_named
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.expressions.functions import FUNCTIONS, arc_tangent
from resflow_core.expressions.jets import derivatives_of
from resflow_core.expressions.json_tree import activation_tree, json_tree
from resflow_core.expressions.refusals import ARITY
from resflow_core.expressions.syntax import parse
from resflow_core.expressions.tree import Call, Number, Power, Symbol
from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import NORM_CHAINS
from resflow_core.measure.edits import Change, Edited
from resflow_core.measure.portable import flow_shape, folded_numbers
from resflow_core.residual import BRANCHES
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.core.oracles import points, seeded
from tests.covering import covering, in_turn

FORMULAS = ["=tanh(3*z)/3 + z/2", "=max(min(z, 1), -asinh(z)/2)", "=sin(pi*z) + (2 + sin(z))^(-3/2)"]
CASES = in_turn(
    covering({"branch": [*BRANCHES], "norms": [*NORM_CHAINS], "hidden_layers": [1, 2, 3], "actnorm": [True, False]}),
    activation=[*ACTIVATIONS, *FORMULAS],
) + [
    {"branch": branch, "activation": name, "hidden_layers": layers}
    for branch in BRANCHES
    for name in [*ACTIVATIONS, *FORMULAS]
    for layers in (1, 2)
]


def shaken(config: FlowConfig) -> rf.Flow:
    """A flow in float64 with random parameters, whose scales, orders and weights of concatenation differ."""
    flow = config.build(seeded(1)).double()
    with torch.no_grad():
        for k, parameter in enumerate(flow.parameters()):
            parameter += 0.1 * torch.randn(parameter.shape, generator=seeded(k), dtype=parameter.dtype)
    return flow


def raw_of(activation: Activation, z: np.ndarray) -> np.ndarray:
    """raw = C phi with beta = 1, for units as columns."""
    return activation.lipschitz(2) * activation(torch.from_numpy(z)).numpy()


def by_numpy(shape: dict, numbers: np.ndarray, activation: Activation, x: np.ndarray) -> np.ndarray:
    """z of points (batch, 2), from the numbers alone."""
    rest = iter(numbers.astype(float))
    here, copies = x.T, 2 if shape["activation"]["arrangement"] == "both signs" else 1

    def take(*size: int) -> np.ndarray:
        return np.array([next(rest) for _ in range(int(np.prod(size)))]).reshape(size)

    def norm(here: np.ndarray) -> np.ndarray:
        if not shape["actnorm"]:
            return here
        scale, shift = take(2, 1), take(2, 1)
        return scale * here + shift

    for _ in range(shape["blocks"]):
        here = norm(here)
        t, widths = here, shape["widths"]
        if shape["branch"] == "dense":
            for out in widths[1:-1]:
                weight, bias = take(out, len(t)), take(out, 1)
                t = np.concatenate([t, raw_of(activation, weight @ t + bias)])
            weight, bias = take(2, len(t)), take(2, 1)
            t = weight @ t + bias
        else:
            t = take(1, 1) * t
            for units, out in pairwise(widths):
                weight, bias = take(out, copies * units), take(out, 1)
                t = weight @ raw_of(activation, t) + bias
        here = here + t
    here = norm(here)
    assert not [*rest], "all numbers are used"
    return here.T


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case.values())))
@torch.no_grad()
def test_the_numbers_are_the_flow(case):
    flow = shaken(FlowConfig(blocks=3, width=5, **case))
    x, activation = 2 * points(20, 2, seed=3), activation_named(flow.config.activation)
    shape = json.loads(json.dumps(flow_shape(flow), allow_nan=False))
    numbers = folded_numbers(flow, np.float64)
    assert np.abs(by_numpy(shape, numbers, activation, x.numpy()) - flow(x).numpy()).max() < 1e-12
    single = folded_numbers(flow)
    assert single.dtype == np.float32 and np.array_equal(single, numbers.astype(np.float32))
    assert shape["bounds"] == flow.lipschitz_bounds()
    assert [float(p) for p in shape["orders"]] == [branch.orders[0] for branch in flow.branches]


@torch.no_grad()
def test_scaled_and_edited_flows_are_what_they_compute():
    flow, x = shaken(FlowConfig(blocks=3, width=5)), points(20, 2, seed=3)
    edited = Edited(1, 0.5, (Change("weight", 0, 1, 2.0, 1), Change("bias", 1, 0, -1.0)))
    for changed in (flow.scaled(2, 1.5), edited.of(flow)):
        found = by_numpy(flow_shape(changed), folded_numbers(changed, np.float64), activation_named("sine"), x.numpy())
        assert np.abs(found - changed(x).numpy()).max() < 1e-12
        assert np.abs(found - flow(x).numpy()).max() > 1e-3


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_text_of_an_activation_has_its_value_and_slope(name):
    """At corners too: every one of these functions has its corner at 0, where torch and NumPy round nothing."""
    activation = ACTIVATIONS[name]
    z = torch.cat([torch.linspace(-30, 30, 10_001, dtype=torch.float64), torch.tensor([0.0, -0.0, 0.2, 1e3, -1e3])])
    known, read = activation.function(z), derivatives_of(parse(activation.text, ARITY))(z)
    for _ in range(2):
        assert torch.allclose(next(known), next(read), rtol=1e-13, atol=1e-13)


def test_a_formula_has_its_own_text():
    """With which it is found again, and the same tree."""
    for name in FORMULAS:
        assert activation_named(name).text == name[1:]


def node_of(tree):
    """The node that a tree of JSON was made of, with constants as numbers."""
    if isinstance(tree, float):
        return tree
    return tree if isinstance(tree, str) else (tree[0], *map(node_of, tree[1:]))


def as_tuple(node):
    if isinstance(node, Number):
        return float(node.value)
    if isinstance(node, Symbol):
        return {"pi": np.pi, "e": np.e, "z": "z"}[node.name]
    if isinstance(node, Power):
        return ("^", as_tuple(node.base), float(node.exponent))
    assert isinstance(node, Call)
    return (node.name, *map(as_tuple, node.parts))


@pytest.mark.parametrize(
    "text", [*(f"{name}(z)" for name in FUNCTIONS), "min(z, -2*pi) + max(1e-3, e/z)", "-(z - 1)^(2/3) * z^-2"]
)
def test_a_tree_comes_back_from_its_json(text):
    node = parse(text, ARITY)
    assert node_of(json.loads(json.dumps(json_tree(node)))) == as_tuple(node)


def test_the_tree_of_an_entry():
    assert activation_tree(ACTIVATIONS["leaky_relu"]) == ["max", ["/", "z", 100.0], "z"]


@pytest.mark.parametrize("layers", [1, 2])
@torch.no_grad()
def test_kernels_fold_the_same_numbers(layers):
    config = FlowConfig(blocks=4, hidden_layers=layers, width=8)
    trainer = Trainer(config, TrainConfig(batch=64), DATASETS["moons"], seed=1, backend="numba")
    for _ in range(5):
        trainer.step()
    flow = trainer.evaluated
    assert flow.kernels is not None
    by_kernels = folded_numbers(flow)
    flow.kernels = None
    assert np.allclose(by_kernels, folded_numbers(flow), rtol=1e-5, atol=1e-7)
    # The array is the caller's own.
    kept = by_kernels.copy()
    trainer.step()
    folded_numbers(trainer.evaluated)
    assert np.array_equal(by_kernels, kept)


def test_what_has_no_description():
    three = FlowConfig(blocks=1, width=4, dim=3).build(seeded(0))
    coupling = BaselineConfig("realnvp", 2, 4, 1).build(seeded(0))
    for flow in (three, coupling):
        assert flow_shape(flow) is None
        with pytest.raises(ValueError, match="cannot be folded"):
            folded_numbers(flow)


def test_an_activation_without_a_text_has_no_description(monkeypatch):
    monkeypatch.setitem(ACTIVATIONS, "arctan", Activation("Arctan", arc_tangent))
    flow = FlowConfig(blocks=1, width=4, activation="arctan").build(seeded(0))
    assert flow_shape(flow) is None
