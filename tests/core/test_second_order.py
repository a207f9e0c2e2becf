"""Second derivatives of densities are right, or refused: never zeros in silence."""

import pytest
import torch
from torch.autograd.functional import hessian

from resflow_core.activations import ACTIVATIONS
from resflow_core.flow import FlowConfig
from resflow_core.gradients import GRADIENTS
from resflow_core.log_det import Roulette, Truncated
from tests.core.oracles import points, seeded
from tests.covering import covering, in_turn

STEP = 1e-5
# LeakyReLU, ReLU and MaxMin have none; the others are smooth, or are so almost everywhere.
SMOOTH = [name for name in ACTIVATIONS if name not in ("relu", "leaky_relu", "maxmin")]


def flow_at_its_caps(implementation=None, **settings):
    flow = FlowConfig(blocks=2, width=5, **settings).build(seeded(0), implementation).double()
    flow.initialize(points(50, flow.dim))
    with torch.no_grad():
        for branch in flow.branches:
            for linear in branch.linears:
                linear.raw.mul_(3)
    return flow


def slope(log_prob, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(log_prob(x), x)[0]


def by_differences(function, x):
    """The derivative of a gradient, by central differences: (n, n) for x of n numbers."""
    rows = []
    for unit in torch.eye(x.numel(), dtype=x.dtype).view(-1, *x.shape):
        rows.append((function(x + STEP * unit) - function(x - STEP * unit)).flatten() / (2 * STEP))
    return torch.stack(rows)


def check(log_prob, x, tolerance=1e-6):
    found = hessian(log_prob, x).reshape(x.numel(), -1)
    assert found.abs().max() > 1e-3
    expected = by_differences(lambda x: slope(log_prob, x), x)
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize(
    "case",
    in_turn(covering({"dim": [2, 3], "implementation": [None, "paper"]}), activation=SMOOTH),
    ids=lambda case: "-".join(map(str, case.values())),
)
def test_the_hessian_of_log_prob_is_that_of_differences(case):
    flow = flow_at_its_caps(**case)
    check(lambda x: flow.log_prob(x).sum(), points(1, case["dim"], seed=1))


@pytest.mark.parametrize("implementation", [None, "paper"])
@pytest.mark.parametrize(("gradient", "estimator"), zip(GRADIENTS, [Roulette, Truncated] * 2, strict=True))
def test_estimates_have_a_right_hessian_or_none(estimator, gradient, implementation):
    flow, x = flow_at_its_caps(implementation), points(1, 2, seed=1)

    def log_prob(x):
        return flow.log_prob(x, estimator(gradient=gradient), seeded(3)).sum()

    # In the plane a fast flow has A itself, and no graph that is freed block by block.
    if gradient == "plain" or (implementation is None and not GRADIENTS[gradient].by_neumann):
        check(log_prob, x, 1e-5)
    else:
        with pytest.raises(RuntimeError, match=r"Use the exact log det"):
            hessian(log_prob, x)
