import itertools

import numpy as np
import pytest
import torch

from resflow_core.activations import ACTIVATIONS
from resflow_core.residual import Branch
from tests.core.oracles import autograd_jacobian, points, seeded


def branch(activation="lipswish", dim=2, budget=0.97, hidden=(16, 16)):
    return Branch([dim, *hidden, dim], activation, budget, seeded(0)).double()


@pytest.mark.thorough
@pytest.mark.parametrize(("activation", "dim"), [*zip(ACTIVATIONS, itertools.cycle([2, 5]), strict=False)])
def test_tangents_carry_the_jacobian_of_autograd(activation, dim):
    g, x = branch(activation, dim), 3 * points(8, dim)
    value, jacobian = g.value_and_jacobian(x)
    torch.testing.assert_close(value, g(x), atol=1e-12, rtol=0)
    np.testing.assert_allclose(jacobian.detach(), autograd_jacobian(g, x), atol=1e-10)


@pytest.mark.thorough
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.slow
def test_the_jacobian_is_differentiable_in_every_parameter(activation):
    g, x = branch(activation, hidden=(3, 2)), points(2, 2)
    names, values = zip(*g.named_parameters(), strict=True)

    def jacobian(*parameters):
        return torch.func.functional_call(
            _Jacobian(g), {f"g.{n}": p for n, p in zip(names, parameters, strict=True)}, x
        )

    assert torch.autograd.gradcheck(jacobian, values)


class _Jacobian(torch.nn.Module):
    def __init__(self, g):
        super().__init__()
        self.g = g

    def forward(self, x):
        return self.g.value_and_jacobian(x)[1]


@pytest.mark.parametrize(("activation", "budget"), [*zip(ACTIVATIONS, itertools.cycle([0.3, 0.999]), strict=False)])
def test_the_certified_bound_is_the_budget_and_covers_every_jacobian_seen(activation, budget):
    g = branch(activation, budget=budget)
    with torch.no_grad():
        for parameter in g.parameters():
            parameter.mul_(10)  # far over every cap
    assert g.lipschitz == pytest.approx(budget, rel=1e-12)
    jacobian = g.value_and_jacobian(4 * points(2_000, 2))[1].detach().numpy()
    assert np.linalg.norm(jacobian, 2, axis=(1, 2)).max() <= budget
