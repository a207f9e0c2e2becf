"""Second derivatives of densities are right, or refused: never zeros in silence."""

import copy

import pytest
import torch
from torch.autograd.functional import hessian
from torch.func import jacfwd, jacrev

from resflow_core.activations import ACTIVATIONS
from resflow_core.flow import FlowConfig
from resflow_core.gradients import GRADIENTS
from resflow_core.lipschitz import LipschitzLinear
from resflow_core.log_det import Roulette, Truncated
from resflow_core.norms.constraints import Power
from resflow_core.spectral_norm import SLACK, certified
from tests.core.oracles import points, seeded
from tests.covering import covering, in_turn

STEP = 1e-5
# LeakyReLU, ReLU and MaxMin have none; the others are smooth, or are so almost everywhere.
SMOOTH = [name for name in ACTIVATIONS if name not in ("relu", "leaky_relu", "maxmin")]


def flow_at_its_caps(**settings):
    flow = FlowConfig(blocks=2, width=5, **settings).build(seeded(0)).double()
    flow.initialize(points(50, flow.dim))
    with torch.no_grad():
        for branch in flow.branches:
            for linear in branch.linears:
                linear.raw.mul_(3)
    return flow


def by_differences(function, x):
    """The derivative of a gradient, by central differences: (n, n) for x of n numbers."""
    rows = []
    for unit in torch.eye(x.numel(), dtype=x.dtype).view(-1, *x.shape):
        rows.append((function(x + STEP * unit) - function(x - STEP * unit)).flatten() / (2 * STEP))
    return torch.stack(rows)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "case",
    in_turn(covering({"dim": [2, 3], "hidden_layers": [1, 2]}), activation=SMOOTH),
    ids=lambda case: "-".join(map(str, case.values())),
)
def test_the_hessian_of_log_prob_is_that_of_differences(case):
    dim = case["dim"]
    flow, x = flow_at_its_caps(**case), points(1, dim, seed=1)

    def gradient(x):
        x = x.clone().requires_grad_()
        return torch.autograd.grad(flow.log_prob(x).sum(), x)[0]

    found = hessian(lambda x: flow.log_prob(x).sum(), x).reshape(dim, dim)
    assert found.abs().max() > 1e-3
    torch.testing.assert_close(found, by_differences(gradient, x), atol=1e-6, rtol=1e-6)


def test_second_derivatives_in_the_weights_are_those_of_differences():
    flow, x = flow_at_its_caps(), points(4, 2, seed=1)
    raw = flow.blocks[0].branch.linears[0].raw

    def gradient(value, create_graph=False):
        with torch.no_grad():
            raw.copy_(value)
        return torch.autograd.grad(flow.log_prob(x).sum(), raw, create_graph=create_graph)[0]

    start, direction = raw.detach().clone(), points(*raw.shape, seed=2)
    (found,) = torch.autograd.grad((gradient(start, True) * direction).sum(), raw)
    expected = (gradient(start + STEP * direction) - gradient(start - STEP * direction)) / (2 * STEP)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("outer", [jacfwd, jacrev])
@pytest.mark.parametrize("inner", [jacfwd, jacrev])
@pytest.mark.parametrize("scale", [1.0, 1e-100])
def test_second_derivatives_of_the_norm_in_torch_func(outer, inner, scale):
    """The certified norm of a matrix, against autograd of its largest singular value."""
    w = scale * points(4, 3, seed=2)

    def largest(w):
        return (1 + SLACK) * torch.linalg.svdvals(w)[0]

    def norm(w):
        return certified(w[None])[0]

    found = scale * outer(inner(norm))(w)
    torch.testing.assert_close(found, hessian(largest, w / scale), atol=1e-12, rtol=0)
    each = torch.func.vmap(inner(norm))(w[None])[0]
    torch.testing.assert_close(each, jacrev(largest)(w), atol=1e-12, rtol=0)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("estimator", [Roulette, Truncated])
def test_estimates_have_a_right_hessian_or_none(estimator, gradient, dim):
    flow, x = flow_at_its_caps(dim=dim), points(1, dim, seed=1)

    def log_prob(x):
        return flow.log_prob(x, estimator(gradient=gradient), seeded(3)).sum()

    def slope(x):
        x = x.clone().requires_grad_()
        return torch.autograd.grad(log_prob(x), x)[0]

    # In the plane A itself is at hand, and no graph is freed block by block.
    is_right = gradient == "plain" or (dim == 2 and not GRADIENTS[gradient].by_neumann)
    if not is_right:
        with pytest.raises(RuntimeError, match=r"Use the exact log det"):
            hessian(log_prob, x)
        return
    found = hessian(log_prob, x).reshape(dim, dim)
    torch.testing.assert_close(found, by_differences(slope, x), atol=1e-5, rtol=1e-5)


def test_forward_mode_is_differentiated_backward():
    w, direction = points(4, 3, seed=2).requires_grad_(), points(4, 3, seed=4)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(w, direction)
        slope = torch.autograd.forward_ad.unpack_dual(certified(dual[None])).tangent
        (found,) = torch.autograd.grad(slope.sum(), w)
    expected = hessian(lambda w: (1 + SLACK) * torch.linalg.svdvals(w)[0], w.detach())
    torch.testing.assert_close(found, torch.einsum("ijkl,kl->ij", expected, direction), atol=1e-12, rtol=0)


def test_what_power_iteration_carries_is_no_tensor_of_a_transform():
    flow, x = flow_at_its_caps(constraint=Power()), points(1, 2, seed=1)
    before = flow.log_prob(x).sum()
    carried = [linear.next_v for branch in flow.branches for linear in branch.linears]
    found = torch.func.hessian(lambda x: flow.log_prob(x).sum())(x).reshape(2, 2)
    torch.testing.assert_close(found, hessian(lambda x: flow.log_prob(x).sum(), x).reshape(2, 2), atol=1e-12, rtol=0)
    copied = copy.deepcopy(flow)
    again = [linear.next_v for branch in copied.branches for linear in branch.linears]
    assert all(map(torch.equal, carried, again)) and not any(v.requires_grad for v in again)
    assert torch.equal(copied.log_prob(x).sum(), before)


def test_first_derivatives_keep_their_graph_out_of_it():
    layer = LipschitzLinear(3, 4, 0.5, seeded(0))
    layer(torch.ones(2, 3)).sum().backward()
    assert layer.raw.grad.isfinite().all()
