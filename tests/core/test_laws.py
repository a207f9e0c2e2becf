"""`resflow_core.fast` gives the values and gradients of the paper's files, for every entry of the registries.

Any two settings meet in one case at least (`tests.covering`); activations of one kind take turns. Both flows of a case
have the same weights, in float64.
"""

import itertools
import math
from functools import partial

import pytest
import torch

from resflow_core import branches, log_det  # noqa: F401  branches registers its own
from resflow_core.activations import ACTIVATIONS
from resflow_core.fast import capped, plane
from resflow_core.fast.broyden import solve_broyden
from resflow_core.fast.fused_flow import FusedFlow
from resflow_core.fixed_point import solve_banach
from resflow_core.flow import FlowConfig, Uncertified
from resflow_core.gradients import GRADIENTS
from resflow_core.lipschitz import CONSTRAINTS, NORM_CHAINS, Soft, SpectralNorm
from resflow_core.log_det import Truncated
from resflow_core.norms.constraints import Bjorck, Hard, Off, Power
from resflow_core.norms.norm_orders import InducedNorm
from resflow_core.residual import BRANCHES
from tests.core.oracles import points, seeded
from tests.covering import covering, in_turn, told

EXACTLY = {"atol": 1e-10, "rtol": 1e-10}
SOLVED = 1e-6  # the solvers' tolerance
CONSTRAINTS_TRIED = [Soft(), Hard(), Bjorck(3), Power(3), Power(1, warm=False), Off()]
FORMULA = "=sin(z) + tanh(z)/4"
# What the code tells apart: whether an activation takes each number for itself. `test_activations` has each alone.
OF_ONE = [FORMULA, *(name for name, known in ACTIVATIONS.items() if known.is_elementwise)]
KINDS = {
    "some of one": OF_ONE[::2],
    "others of one": OF_ONE[1::2],
    "of several": [name for name, known in ACTIVATIONS.items() if not known.is_elementwise],
}
ROWS = in_turn(
    covering(
        {
            "kind": [*KINDS],
            "norms": [*NORM_CHAINS],
            "hidden_layers": [1, 2, 3],
            "dim": [2, 5],
            "actnorm": [True, False],
            "scale": [1.0, 0.6, 1.3],
            "gradient": [*GRADIENTS],
            "branch": [*BRANCHES],
        }
    ),
    constraint=CONSTRAINTS_TRIED,  # with each norm in `test_constrained_weights`
)
TURNS = {kind: itertools.cycle(names) for kind, names in KINDS.items()}
CASES = [{"activation": next(TURNS[row["kind"]]), **row} for row in ROWS]
# One case of each activation before each commit.
BRIEFLY = list({case["activation"]: case for case in reversed(CASES)}.values())


@pytest.fixture(
    params=[case if case in BRIEFLY else pytest.param(case, marks=pytest.mark.thorough) for case in CASES],
    ids=lambda case: "-".join(str(level) for level in case.values()),
    scope="module",
)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def flows(case):
    """The paper's flow and the fast one, with the same weights: unlike each other, and some above their cap."""
    names = ("activation", "norms", "constraint", "hidden_layers", "dim", "actnorm", "branch")
    config = FlowConfig(blocks=2, width=5, budget=0.9, **{name: case[name] for name in names})
    paper, fused = (config.build(seeded(0), name).double().scaled(1, case["scale"]) for name in ("paper", "fused"))
    with torch.no_grad():
        for k, (name, parameter) in enumerate(paper.named_parameters()):
            parameter += 0.1 * torch.randn(parameter.shape, generator=seeded(k), dtype=parameter.dtype)
            if k % 3 == 0 and name.endswith("raw"):
                parameter *= 5
    fused.load_state_dict(paper.state_dict())
    assert isinstance(fused, FusedFlow) and not isinstance(paper, FusedFlow)
    return paper, fused


@pytest.fixture
def x(case):
    return (2 * points(7, case["dim"])).requires_grad_()


def gradients(outputs, inputs):
    """The gradients of a random linear function of the outputs."""
    weights = [torch.randn(o.shape, generator=seeded(i), dtype=o.dtype) for i, o in enumerate(outputs)]
    return torch.autograd.grad(outputs, inputs, weights, materialize_grads=True)


def alike(flows, outputs_of, *inputs):
    """Outputs are the same, and so is every gradient: by the inputs and by all parameters."""
    paper, fused = (
        [*(outputs := outputs_of(flow)), *gradients(outputs, [*inputs, *flow.parameters()])] for flow in flows
    )
    for expected, found in zip(paper, fused, strict=True):
        torch.testing.assert_close(found, expected, **EXACTLY)


class TestFlows:
    @pytest.mark.thorough
    def test_points_jacobians_and_exact_densities(self, flows, x):
        def outputs_of(flow):
            block_by_block = flow.forward_and_log_dets(x)
            return [flow(x), *flow.forward_and_jacobians(x), *block_by_block, flow.log_prob(x)]

        alike(flows, outputs_of, x)

    def test_estimated_densities(self, flows, x, case):
        estimator = Truncated(3, n_probes=2, gradient=case["gradient"])

        def outputs_of(flow):
            # In the forward pass gradients are taken of a mean, and once more if the points' weights differ.
            return [
                (weights * flow.log_prob(x, estimator, seeded(1))).sum()
                for weights in (torch.ones(7).double(), torch.arange(7).double())
            ]

        alike(flows, outputs_of, x)

    def test_without_gradients(self, flows, x, case):
        estimator, x = Truncated(3, gradient=case["gradient"]), x.detach()
        with torch.no_grad():
            paper, fused = (
                [*flow.stages(x), *flow.forward_and_jacobians(x), flow.log_prob(x, estimator, seeded(1))]
                for flow in flows
            )
        for expected, found in zip(paper, fused, strict=True):
            assert not found.requires_grad
            torch.testing.assert_close(found, expected, **EXACTLY)

    def test_the_second_derivative_of_a_branch(self, flows, x):
        def outputs_of(flow):
            value = flow.branches[1](x)
            (slope,) = torch.autograd.grad(value, x, torch.ones_like(value).cumsum(1), create_graph=True)
            return [value, slope]

        alike(flows, outputs_of, x)

    def test_bounds_and_inverses(self, flows, x):
        paper, fused = flows
        bounds = paper.lipschitz_bounds()
        assert fused.lipschitz_bounds() == pytest.approx(bounds, rel=1e-10)
        if uncertified := [f"Block {k} .* {bound:.4g}" for k, bound in enumerate(bounds, 1) if bound >= 1]:
            for flow in flows:
                with pytest.raises(Uncertified, match=uncertified[0]):
                    flow.inverse(x.detach())
            return
        # The inverse of a block is short by the solver's tolerance, which each block before it stretches.
        tolerance = SOLVED * sum((3 / (1 - max(bounds))) ** k for k in range(len(bounds)))
        for flow in flows:
            torch.testing.assert_close(flow.inverse(fused(x).detach()), x.detach(), atol=tolerance, rtol=0)

    def test_solvers(self, flows, x):
        """Each within its tolerance of the truth, and so of each other, in the norm of the bound."""
        for branch in flows[1].branches:
            if branch.lipschitz < 1:
                z = (x + branch(x)).detach()
                banach, broyden = (
                    solve(branch, z, branch.lipschitz, 1e-9, branch.size) for solve in (solve_banach, solve_broyden)
                )
                for found, other in ((broyden, banach), (broyden, x.detach()), (banach, x.detach())):
                    assert float(branch.size((found - other).T).max()) <= 2e-9


def test_the_log_det_of_the_plane():
    for shape in ((7, 1, 1), (7, 2, 2), (2, 3, 2, 2), (7, 3, 3), (0, 2, 2)):
        a = points(math.prod(shape), 1).view(shape).requires_grad_()
        expected, found = log_det.residual_log_det(a), plane.residual_log_det(a)
        with told(shape):
            torch.testing.assert_close(found, expected, **EXACTLY)
            torch.testing.assert_close(*gradients([found], a), *gradients([expected], a), **EXACTLY)


@pytest.mark.parametrize("constraint", CONSTRAINTS_TRIED, ids=str)
def test_constrained_weights(constraint):
    """Of a matrix above its cap, of one below it, and of zeros."""
    of_each = [torch.tensor(orders, dtype=torch.float64) for orders in ([1.5, 1.2, 7.0], [3.0, 1.1, 2.5])]  # learned
    orders = [(2.0, 2.0), (math.inf, 2.0), (1.0, 1.0), (1.5, 3.0), of_each]
    for case in itertools.product(orders, [(4, 3), (3, 4), (8, 2), (1, 1)]):
        with told(case):
            check_constrained(constraint, *case)


def check_constrained(constraint, orders, shape):
    p, q = orders
    raw = torch.randn(3, *shape, generator=seeded(0), dtype=torch.float64)
    raw = (raw * torch.tensor([5.0, 0.05, 0.0])[:, None, None].double()).requires_grad_()
    norm = InducedNorm(p, q) if isinstance(p, torch.Tensor) or (p, q) != (2, 2) else SpectralNorm()
    v = points(3, shape[1], seed=1)
    (expected, ahead), (found, found_ahead) = (
        weights(raw, 0.7, norm, v) for weights in (constraint.weights, partial(capped.weights, constraint))
    )
    torch.testing.assert_close(found, expected, **EXACTLY)
    torch.testing.assert_close(found_ahead, ahead, **EXACTLY)
    torch.testing.assert_close(*gradients([found], raw), *gradients([expected], raw), **EXACTLY)


def test_every_entry_is_tried():
    assert {type(constraint) for constraint in CONSTRAINTS_TRIED} == {*CONSTRAINTS.values()}
    assert {type(constraint) for constraint in CONSTRAINTS_TRIED} > {*capped.BY_HAND}
    assert {case["activation"] for case in CASES} == {*ACTIVATIONS, FORMULA}
    assert {case["constraint"] for case in CASES} == {*CONSTRAINTS_TRIED}
    assert {case["branch"] for case in CASES} == {"residual", "dense"}
    assert len(CASES) < 30
