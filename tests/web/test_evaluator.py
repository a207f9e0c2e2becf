"""The evaluator in the browser against the core in float64: the same numbers to 1e-9 in double precision, and to what
float32 has in single precision."""

import base64
import json
from itertools import product

import numpy as np
import pytest
import torch

from resflow_core import branches, expressions, fast, norms  # noqa: F401 -- they register what a flow is built of
from resflow_core.activations import ACTIVATIONS, activation_named
from resflow_core.estimators.moments import believed_log_det
from resflow_core.expressions.functions import FUNCTIONS
from resflow_core.expressions.jets import derivatives_of
from resflow_core.expressions.json_tree import activation_tree, json_tree
from resflow_core.expressions.refusals import ARITY
from resflow_core.expressions.syntax import parse
from resflow_core.flow import Flow, FlowConfig
from resflow_core.lipschitz import NORM_CHAINS
from resflow_core.log_det import Exact, LogDet, Roulette, Truncated
from resflow_core.measure import believed_log_prob, evaluate, flow_shape, folded_numbers, terms
from resflow_core.probes import PROBES
from resflow_core.residual import BRANCHES
from resflow_core.roulette import Custom, Geometric, Poisson
from resflow_core.settings import to_json
from tests.core.oracles import points, seeded
from tests.covering import covering, in_turn
from tests.web.node import node
from tests.web.site import message_of

TOLERANCE = 1e-9
SINGLE = 1e-4  # of log p, in nats: what a few blocks add up to in float32
FORMULAS = ["=tanh(3*z)/3 + z/2", "=max(min(z, 1), -asinh(z)/2)", "=sin(pi*z) + (2 + sin(z))^(-3/2)"]
NAMES = [*ACTIVATIONS, *FORMULAS]
CASES = [
    *({"activation": name, "branch": b, "hidden_layers": n} for name, b, n in product(NAMES, BRANCHES, (1, 2, 3))),
    *in_turn(
        covering({"branch": [*BRANCHES], "norms": [*NORM_CHAINS], "actnorm": [True, False], "hidden_layers": [1, 2]}),
        activation=NAMES,
    ),
]
ESTIMATORS: list[tuple[str, LogDet]] = [
    ("exact", Exact()),
    *(("truncated", Truncated(n, exact_traces=m)) for n, m in ((1, 0), (1, 2), (4, 0), (7, 1))),
    *(
        ("roulette", Roulette(law, probe, n_probes=n, exact_traces=m))
        for (n, m), probe, law in product(
            ((1, 0), (3, 1), (2, 2)), PROBES, (Geometric(), Geometric(0.2, 1), Poisson(3.0, 1), Custom())
        )
    ),
    ("roulette", Roulette(Geometric(0.3, 2), "orthogonal", n_probes=2, n_draws=3)),
]


def shaken(config: FlowConfig) -> Flow:
    """A flow in float64 whose parameters are as uneven as those of one that was trained."""
    flow = config.build(seeded(1)).double()
    with torch.no_grad():
        for k, (name, parameter) in enumerate(flow.named_parameters()):
            noise = torch.randn(parameter.shape, generator=seeded(k), dtype=parameter.dtype)
            parameter += (1.0 if name.endswith("raw") else 0.2) * noise
    return flow


def asked(requests: list[dict]) -> list[dict]:
    found = node("evaluated.js", data=json.dumps(requests).encode())
    return json.loads(found, parse_constant=None)


def array(numbers: list) -> np.ndarray:
    """Numbers as they come from Node, where one that is not finite is a text."""
    return np.array([float(one) for one in numbers])


def case_name(case: dict) -> str:
    return "-".join(map(str, case.values()))


def config_of(case: dict) -> FlowConfig:
    return FlowConfig(blocks=3, width=6, **case)


X = torch.cat([2 * points(40, 2, seed=3), torch.zeros(1, 2, dtype=torch.float64)])
Z = points(40, 2, seed=4)


def request_of(flow: Flow) -> dict:
    return {
        "shape": flow_shape(flow),
        "numbers": folded_numbers(flow, np.float64).tolist(),
        "points": X.flatten().tolist(),
        "targets": Z.flatten().tolist(),
        "point": X[0].tolist(),
    }


@pytest.fixture(scope="module")
def answers():
    """What Node says of each case, from one process."""
    requests = [request_of(shaken(config_of(case))) | {"tolerance": 1e-12} for case in CASES]
    return dict(zip(map(case_name, CASES), asked(requests), strict=True))


@pytest.fixture(scope="module")
def answers_in_single():
    requests = [request_of(shaken(config_of(case))) | {"engine": "single"} for case in CASES]
    return dict(zip(map(case_name, CASES), asked(requests), strict=True))


@pytest.mark.parametrize("case", CASES, ids=case_name)
@torch.no_grad()
def test_a_flow_is_the_same_in_the_browser(answers, case):
    flow, found = shaken(config_of(case)), answers[case_name(case)]
    assert np.abs(array(found["logProb"]) - flow.log_prob(X).numpy()).max() < TOLERANCE
    stages = array(found["stages"]).reshape(-1, *X.shape)
    assert np.abs(stages - torch.stack(flow.stages(X)).numpy()).max() < TOLERANCE
    known = terms(flow, X[0].numpy())
    of_point = found["terms"]
    assert abs(of_point["logProb"] - known.log_prob) < TOLERANCE
    assert abs(of_point["logNormal"] - known.log_normal) < TOLERANCE
    assert abs(of_point["actnorm"] - known.actnorm) < TOLERANCE
    assert np.abs(array(of_point["logDets"]) - known.log_dets).max() < TOLERANCE
    assert np.abs(array(of_point["jacobians"]) - known.jacobians.flatten()).max() < TOLERANCE
    assert np.abs(array(of_point["path"]) - known.path.flatten()).max() < TOLERANCE


@pytest.mark.parametrize("case", CASES, ids=case_name)
@torch.no_grad()
def test_the_inverse_is_one(answers, case):
    """The points are taken to z, so they are the inverse: it is unique."""
    flow = shaken(config_of(case))
    for found in (answers[case_name(case)]["inverse"], answers[case_name(case)]["again"]):
        assert not found["refusal"]
        x = torch.from_numpy(array(found["points"]).reshape(-1, 2))
        assert float((flow(x) - Z).abs().max()) < TOLERANCE


@pytest.mark.parametrize("case", CASES, ids=case_name)
@torch.no_grad()
def test_single_precision_is_as_good_as_float32(answers_in_single, case):
    """By WebAssembly that is written for the shape and the activation."""
    flow, found = shaken(config_of(case)), answers_in_single[case_name(case)]
    assert np.abs(array(found["logProb"]) - flow.log_prob(X).numpy()).max() < SINGLE
    stages = array(found["stages"]).reshape(-1, *X.shape)
    assert np.abs(stages - torch.stack(flow.stages(X)).numpy()).max() < SINGLE / 10
    jacobians = terms(flow, X[0].numpy()).jacobians.flatten()
    assert np.abs(array(found["terms"]["jacobians"]) - jacobians).max() < SINGLE / 10
    for inverse in (found["inverse"], found["again"]):
        assert not inverse["refusal"]
        x = torch.from_numpy(array(inverse["points"]).reshape(-1, 2))
        assert float((flow(x) - Z).abs().max()) < SINGLE / 10


@torch.no_grad()
def test_the_usual_tolerance_is_kept():
    """Each block adds at most its share of the error, and later blocks stretch it by at most 1 / (1 - L)."""
    flow = shaken(FlowConfig(blocks=2, width=8, budget=0.5))
    (found,) = asked(
        [
            {
                "shape": flow_shape(flow),
                "numbers": folded_numbers(flow, np.float64).tolist(),
                "points": [],
                "point": [0, 0],
                "targets": Z.flatten().tolist(),
            }
        ]
    )
    x = torch.from_numpy(array(found["inverse"]["points"]).reshape(-1, 2))
    assert float((flow.inverse(Z) - x).abs().max()) < 1e-5


@torch.no_grad()
def test_no_wrong_point_is_returned():
    """A block whose bound is 1 or more is refused; and one whose bound is wrong does not arrive, and says so."""
    flow = shaken(FlowConfig(blocks=3, width=8, budget=0.9))
    broken = flow.scaled(1, 40.0)
    shape = flow_shape(broken)
    request = {
        "numbers": folded_numbers(broken, np.float64).tolist(),
        "points": [],
        "point": [0, 0],
        "targets": (3 * Z).flatten().tolist(),
    }
    refused, lost, endless = asked(
        [
            request | {"shape": shape},
            request | {"shape": shape | {"bounds": [0.9] * 3}},
            request | {"shape": flow_shape(flow), "targets": ["NaN", 0]},
        ]
    )
    assert "Block 2 has the certified bound 36" in refused["inverse"]["refusal"]
    assert "did not arrive" in lost["inverse"]["refusal"] and "block 2" in lost["inverse"]["refusal"]
    assert "did not arrive" in endless["inverse"]["refusal"]
    for found in (refused, lost, endless):
        assert not found["inverse"]["points"] and not found["inverse"]["ways"]


@torch.no_grad()
def test_a_message_in_float32_is_read():
    """Of the default flow, rounded as it is sent: the map of exactly these numbers, which the core has in float32."""
    flow = FlowConfig().build(seeded(0))
    message = message_of(flow, step=3)
    assert len(message) < 20_000
    (found,) = asked(
        [
            {
                "message": base64.b64encode(message).decode(),
                "points": X.flatten().tolist(),
                "point": [0, 0],
                "targets": Z.flatten().tolist(),
            }
        ]
    )
    assert np.abs(array(found["logProb"]) - flow.double().log_prob(X).numpy()).max() < 1e-4
    x = torch.from_numpy(array(found["inverse"]["points"]).reshape(-1, 2))
    assert float((flow(x) - Z).abs().max()) < 1e-4


@torch.no_grad()
def test_what_training_believes():
    """By every estimator with a closed form, in flows near and far from a bound of 1."""
    flows = [shaken(FlowConfig(blocks=2, width=8, budget=budget)) for budget in (0.3, 0.7, 0.97)]
    found = asked(
        [
            {
                "shape": flow_shape(flow),
                "numbers": folded_numbers(flow, np.float64).tolist(),
                "points": X.flatten().tolist(),
                "point": [0, 0],
                "estimators": [{"is": name, **to_json(one)} for name, one in ESTIMATORS],
            }
            for flow in flows
        ]
    )
    infinite = finite = 0
    for flow, answer in zip(flows, found, strict=True):
        evaluation = evaluate(flow, X)
        for (_, estimator), ours in zip(ESTIMATORS, answer["beliefs"], strict=True):
            known, ours = believed_log_prob(evaluation, estimator).numpy(), array(ours)
            assert np.array_equal(np.isfinite(known), np.isfinite(ours)), estimator
            both = np.isfinite(known)
            assert np.allclose(known[both], ours[both], rtol=1e-9, atol=1e-9), estimator
            infinite, finite = infinite + int((~both).sum()), finite + int(both.sum())
    assert infinite > 100 and finite > 1000, "both happen"


def test_a_belief_without_a_closed_form_is_refused():
    estimator = Roulette(n_draws=2)
    with pytest.raises(ValueError):
        believed_log_det(estimator, torch.zeros(1, 2, 2))
    flow = shaken(FlowConfig(blocks=1, width=4))
    request = {
        "shape": flow_shape(flow),
        "numbers": folded_numbers(flow, np.float64).tolist(),
        "points": [0, 0],
        "point": [0, 0],
        "estimators": [{"is": "roulette", **to_json(estimator)}],
    }
    with pytest.raises(AssertionError, match="no closed form"):
        asked([request])


def test_every_function_has_its_value_and_slope():
    """Those of the core: of each function that a formula may name, each entry and formulas, at corners too."""
    texts = [
        *(f"{name}(z)" for name in FUNCTIONS),
        "min(z, -z/3)",
        "max(z/2, z)",
        "(2 + z^2)^(1/3) - e*z^-2/z",
        "-z^3/pi",
    ]
    trees = [json_tree(parse(text, ARITY)) for text in texts]
    known = [derivatives_of(parse(text, ARITY)) for text in texts]
    for name in NAMES:
        activation = activation_named(name)
        trees.append(activation_tree(activation))
        known.append(activation.function)
    z = torch.cat([torch.linspace(-40, 40, 4001), torch.linspace(-2, 2, 400), torch.tensor([0.0, 0.2])]).double()
    found = asked([{"tree": tree, "z": z.tolist()} for tree in trees])
    for name, derivatives, ours in zip([*texts, *NAMES], known, found, strict=True):
        for order, expected in zip(("value", "slope"), derivatives(z), strict=False):
            ours_here = array(ours[order])
            assert np.allclose(expected.numpy(), ours_here, rtol=1e-12, atol=1e-13, equal_nan=True), (name, order)


def test_every_function_has_its_value_and_slope_in_single_precision():
    """To 5e-7 of what float32 can hold of it, for float32 numbers z."""
    z = torch.cat([torch.linspace(-40, 40, 4001), torch.linspace(-2, 2, 400), torch.tensor([0.0, 0.2])]).double()
    z = z.float().double()
    names = [*(f"{name}(z)" for name in FUNCTIONS), *ACTIVATIONS]
    known = [FUNCTIONS[name].derivatives for name in FUNCTIONS]
    known += [activation.function for activation in ACTIVATIONS.values()]
    trees = [json_tree(parse(name, ARITY)) for name in names[: len(FUNCTIONS)]]
    trees += [activation_tree(activation) for activation in ACTIVATIONS.values()]
    found = asked([{"tree": tree, "z": z.tolist(), "engine": "single"} for tree in trees])
    for name, derivatives, ours in zip(names, known, found, strict=True):
        for order, expected in zip(("value", "slope"), derivatives(z), strict=False):
            expected = expected.numpy()
            defined = np.isfinite(expected) & (np.abs(expected) < 1e30)
            known_there, ours_there = expected[defined], array(ours[order])[defined]
            error = np.abs(known_there - ours_there) / (1 + np.abs(known_there))
            assert error.max() < 5e-7, (name, order, error.max())
