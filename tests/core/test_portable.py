"""A flow as numbers for another program: read by NumPy as the docstring says, they are the flow's own maps."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch

import resflow_core as rf
from resflow_core.activations import ACTIVATIONS, Activation, activation_named
from resflow_core.expressions.jets import derivatives_of
from resflow_core.expressions.refusals import ARITY
from resflow_core.expressions.syntax import parse
from resflow_core.fast.closed_forms import closed_form
from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import NORM_CHAINS
from resflow_core.measure.edits import Change, Edited
from resflow_core.measure.portable import flow_shape, folded_numbers
from resflow_core.residual import BRANCHES
from tests.core.oracles import points, seeded
from tests.covering import covering, in_turn

FORMULAS = ["=tanh(3*z)/3 + z/2", "=max(min(z, 1), -asinh(z)/2)", "=sin(pi*z) + (2 + sin(z))^(-3/2)"]
CASES = in_turn(
    covering({"branch": [*BRANCHES], "norms": [*NORM_CHAINS], "hidden_layers": [1, 2]}),
    activation=[*ACTIVATIONS, *FORMULAS],
    actnorm=[True, False],
)


def shaken(config: FlowConfig) -> rf.Flow:
    """A flow in float64 with random parameters, whose scales, orders and weights of concatenation differ."""
    flow = config.build(seeded(1)).double()
    with torch.no_grad():
        for k, parameter in enumerate(flow.parameters()):
            parameter += 0.1 * torch.randn(parameter.shape, generator=seeded(k), dtype=parameter.dtype)
    return flow


def raw_of(activation: Activation, z: np.ndarray) -> np.ndarray:
    """raw = C phi with beta = 1, by the paper's function, for units as columns."""
    phi = activation.function(torch.from_numpy(z.T), *([1.0] if activation.initial_scale else []))
    return closed_form(activation).lipschitz(2) * phi.numpy().T


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


def test_the_text_of_an_activation_has_its_value_and_slope():
    """At corners too: every one of these functions has its corner at 0, where torch and NumPy round nothing."""
    z = torch.cat([torch.linspace(-30, 30, 1_001, dtype=torch.float64), torch.tensor([0.0, -0.0, 0.2, 1e3, -1e3])])
    for name in ACTIVATIONS:
        form = closed_form(ACTIVATIONS[name])
        known, read = form.derivatives(z), derivatives_of(parse(form.text, ARITY))(z)
        for _ in range(2):
            assert torch.allclose(next(known), next(read), rtol=1e-13, atol=1e-13), name
