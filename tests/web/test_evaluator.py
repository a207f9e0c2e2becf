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
from resflow_core.expressions.functions import FUNCTIONS
from resflow_core.expressions.jets import derivatives_of
from resflow_core.expressions.json_tree import activation_tree, json_tree
from resflow_core.expressions.refusals import ARITY
from resflow_core.expressions.syntax import parse
from resflow_core.fast.closed_forms import closed_form
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
CASES = in_turn(
    covering({"activation": NAMES, "branch": [*BRANCHES]}),
    hidden_layers=(1, 2, 3),
    norms=[*NORM_CHAINS],
    actnorm=(True, False, True, True),
)
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
    """What Node says of each case, in double precision and in single, from one process."""
    requests = [request_of(shaken(config_of(case))) for case in CASES]
    both = [one | more for one in requests for more in ({"tolerance": 1e-12}, {"engine": "single"})]
    found = asked(both)
    return dict(zip(map(case_name, CASES), zip(found[::2], found[1::2], strict=True), strict=True))


@pytest.mark.parametrize("case", CASES, ids=case_name)
@torch.no_grad()
def test_a_flow_is_the_same_in_the_browser(answers, case):
    """By JavaScript, and by WebAssembly that is written for the shape and the activation. The points of the inverse are
    taken to z, so they are the inverse: it is unique."""
    flow = shaken(config_of(case))
    log_prob, stages, known = flow.log_prob(X).numpy(), torch.stack(flow.stages(X)).numpy(), terms(flow, X[0].numpy())
    of_sum, of_rest = (TOLERANCE, SINGLE), (TOLERANCE, SINGLE / 10)
    for found, worst, least in zip(answers[case_name(case)], of_sum, of_rest, strict=True):
        assert np.abs(array(found["logProb"]) - log_prob).max() < worst
        assert np.abs(array(found["stages"]).reshape(stages.shape) - stages).max() < least
        of_point = found["terms"]
        assert np.abs(array(of_point["jacobians"]) - known.jacobians.flatten()).max() < least
        assert np.abs(array(of_point["logDets"]) - known.log_dets).max() < worst
        assert np.abs(array(of_point["path"]) - known.path.flatten()).max() < least
        numbers = [of_point[name] for name in ("logProb", "logNormal", "actnorm")]
        assert numbers == pytest.approx([known.log_prob, known.log_normal, known.actnorm], rel=0, abs=worst)
        for inverse in (found["inverse"], found["again"]):
            assert not inverse["refusal"]
            x = torch.from_numpy(array(inverse["points"]).reshape(-1, 2))
            assert float((flow(x) - Z).abs().max()) < least


def numbers_of(flow: Flow, **more: object) -> dict:
    return {"numbers": folded_numbers(flow, np.float64).tolist(), "points": [], "point": [0, 0], **more}


@torch.no_grad()
def test_no_wrong_point_is_returned():
    """A block whose bound is 1 or more is refused; and one whose bound is wrong does not arrive, and says so. What is
    returned is as near as the usual tolerance allows."""
    flow = shaken(FlowConfig(blocks=3, width=8, budget=0.5))
    broken = flow.scaled(1, 40.0)
    shape, targets = flow_shape(broken), (3 * Z).flatten().tolist()
    usual, refused, lost, endless = asked(
        [
            numbers_of(flow, shape=flow_shape(flow), targets=Z.flatten().tolist()),
            numbers_of(broken, shape=shape, targets=targets),
            numbers_of(broken, shape=shape | {"bounds": [0.9] * 3}, targets=targets),
            numbers_of(broken, shape=flow_shape(flow), targets=["NaN", 0]),
        ]
    )
    x = torch.from_numpy(array(usual["inverse"]["points"]).reshape(-1, 2))
    assert float((flow.inverse(Z) - x).abs().max()) < 1e-5
    assert "Block 2 has the certified bound 20" in refused["inverse"]["refusal"]
    assert "did not arrive" in lost["inverse"]["refusal"] and "block 2" in lost["inverse"]["refusal"]
    assert "did not arrive" in endless["inverse"]["refusal"]
    for found in (refused, lost, endless):
        assert not found["inverse"]["points"] and not found["inverse"]["ways"]


@torch.no_grad()
def test_a_message_in_float32_is_read():
    """Of the default flow, rounded as it is sent: the map of exactly these numbers, which the core has in float32."""
    flow = FlowConfig().build(seeded(0))
    message = base64.b64encode(message_of(flow, step=3)).decode()
    (found,) = asked([{"message": message, "points": X.flatten().tolist(), "point": [0, 0]}])
    assert np.abs(array(found["logProb"]) - flow.double().log_prob(X).numpy()).max() < 1e-4


@torch.no_grad()
def test_what_training_believes():
    """By every estimator with a closed form, in flows near and far from a bound of 1. One without is refused."""
    flows = [shaken(FlowConfig(blocks=2, width=8, budget=budget)) for budget in (0.3, 0.7, 0.97)]
    x, estimators = X.flatten().tolist(), [{"is": name, **to_json(one)} for name, one in ESTIMATORS]
    found = asked([numbers_of(flow, shape=flow_shape(flow), points=x, estimators=estimators) for flow in flows])
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
    without = {"is": "roulette", **to_json(Roulette(n_draws=2))}
    with pytest.raises(AssertionError, match="no closed form"):
        asked([numbers_of(flows[0], shape=flow_shape(flows[0]), points=x, estimators=[without])])


def test_every_function_has_its_value_and_slope():
    """Those of the core: of each function that a formula may name, each entry and formulas, at corners too. In single
    precision to 5e-7 of what float32 can hold."""
    texts = [*(f"{name}(z)" for name in FUNCTIONS), "min(z, -z/3)", "max(z/2, z)", "(2 + z^2)^(1/3) - e*z^-2/z", "-z^3"]
    forms = [closed_form(activation_named(name)) for name in NAMES]
    trees = [*(json_tree(parse(text, ARITY)) for text in texts), *map(activation_tree, forms)]
    known = [*(derivatives_of(parse(text, ARITY)) for text in texts), *(form.derivatives for form in forms)]
    z = torch.cat([torch.linspace(-40, 40, 4001), torch.linspace(-2, 2, 400), torch.tensor([0.0, 0.2])]).double()
    found = asked([{"tree": tree, "z": z.tolist()} | more for tree in trees for more in ({}, {"engine": "single"})])
    for k, (name, derivatives) in enumerate(zip([*texts, *NAMES], known, strict=True)):
        for order, expected in zip(("value", "slope"), derivatives(z), strict=False):
            expected, ours = expected.numpy(), array(found[2 * k][order])
            assert np.allclose(expected, ours, rtol=1e-12, atol=1e-13, equal_nan=True), (name, order)
            if name in texts[len(FUNCTIONS) :] or name in FORMULAS:
                continue
            defined = np.isfinite(expected) & (np.abs(expected) < 1e30)
            there, single = expected[defined], array(found[2 * k + 1][order])[defined]
            assert (np.abs(there - single) <= 5e-7 * (1 + np.abs(there))).all(), (name, order)
