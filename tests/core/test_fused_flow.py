"""A flow in one function, with its hand-written backward pass, against its parts by automatic differentiation."""

import pytest
import torch

from resflow_core.activations import ACTIVATIONS
from resflow_core.actnorm import ActNorm
from resflow_core.flow import Flow, FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.residual import Branch
from tests.core.oracles import points, seeded


def flow(activation="sine", dim=2, hidden_layers=1, actnorm=True, blocks=3) -> Flow:
    """A flow in float64 whose parts differ from each other, with some layers at their cap."""
    config = FlowConfig(
        blocks=blocks, width=4, hidden_layers=hidden_layers, activation=activation, actnorm=actnorm, dim=dim
    )
    flow, generator = config.build(seeded(0)).double(), seeded(1)
    with torch.no_grad():
        for k, (name, parameter) in enumerate(flow.named_parameters()):
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            if k % 3 == 0 and name.endswith("raw"):
                parameter *= 5
    return flow


def plainly(flow, x):
    """z and every Jacobian, block after block as the formulas say."""
    jacobians = []
    for part in flow.bijections:
        if isinstance(part, ActNorm):
            x = part.log_scale.exp() * x + part.shift
        else:
            value, jacobian = Branch.value_and_jacobian(part.branch, x)
            x = x + value
            jacobians.append(jacobian)
    return x, torch.stack(jacobians, 1)


def gradients(outputs, inputs):
    """The gradients of a random linear function of the outputs."""
    weights = [torch.randn(o.shape, generator=seeded(i), dtype=o.dtype) for i, o in enumerate(outputs)]
    return torch.autograd.grad(outputs, inputs, weights, materialize_grads=True)


@pytest.mark.parametrize("actnorm", [True, False])
@pytest.mark.parametrize(("dim", "hidden_layers"), [(2, 1), (2, 2), (5, 1)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_points_jacobians_and_every_gradient_are_those_of_the_parts(activation, dim, hidden_layers, actnorm):
    f, x = flow(activation, dim, hidden_layers, actnorm), 2 * points(7, dim).requires_grad_()
    inputs = [x, *f.parameters()]
    found, expected = f.forward_and_jacobians(x), plainly(f, x)
    assert found[1].shape == (7, 3, dim, dim)
    for mine, plain in zip([*found, *gradients(found, inputs)], [*expected, *gradients(expected, inputs)], strict=True):
        torch.testing.assert_close(mine, plain, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("actnorm", [True, False])
def test_the_gradient_of_the_exact_loss_is_that_of_the_parts(actnorm):
    f, x = flow(actnorm=actnorm), points(50, 2)
    fast = torch.autograd.grad(-f.log_prob(x).mean(), list(f.parameters()))
    z, log_dets = f.forward_and_log_dets(x)
    loss = (0.5 * z.square().sum(1) - log_dets.sum(1)).mean()
    for mine, plain in zip(fast, torch.autograd.grad(loss, list(f.parameters())), strict=True):
        torch.testing.assert_close(mine, plain, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("activation", ["sine", "clipswish", "maxmin"])
def test_without_gradients_the_numbers_are_the_same(activation):
    f, x = flow(activation), points(30, 2)
    with torch.no_grad():
        found = f.forward_and_jacobians(x)
    for mine, expected in zip(found, f.forward_and_jacobians(x), strict=True):
        assert not mine.requires_grad
        torch.testing.assert_close(mine, expected.detach(), atol=1e-14, rtol=0)


def test_no_points_are_no_trouble():
    z, jacobians = flow().forward_and_jacobians(points(0, 2))
    assert (z.shape, jacobians.shape) == ((0, 2), (0, 3, 2, 2))
    for log_det in (Exact(), Truncated(), Roulette()):
        assert flow().log_prob(points(0, 2), log_det, seeded(0)).shape == (0,)
        with torch.no_grad():
            assert flow().log_prob(points(0, 2), log_det, seeded(0)).shape == (0,)
