"""The backward pass by hand, in float64: finite differences, many points, none, and no second derivative.

`test_laws.py` compares it with automatic differentiation of the plain branch.
"""

import pytest
import torch

from resflow_core.activations import ACTIVATIONS
from resflow_core.fast.closed_forms import closed_form
from resflow_core.fast.folding import CHUNK, FoldedBranch
from resflow_core.fast.forward_mode import FoldedWeights, value_and_jacobian
from resflow_core.residual import Branch
from tests.core.oracles import points, seeded

BATCH = 7


def branch(activation, dim=2, hidden_layers=2):
    """A branch of which some layers are at their cap, with a scale of its own in every layer."""
    g = FoldedBranch([dim, *[6] * hidden_layers, dim], activation, 0.9, seeded(0)).double()
    with torch.no_grad():
        g.linears[0].raw.mul_(5)
        if g.raw_scales is not None:
            g.raw_scales += 0.05 * torch.arange(hidden_layers + 1)
    return g


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_finite_differences_agree_in_every_argument(activation):
    phi = closed_form(ACTIVATIONS[activation])
    copies = phi.arrangement.copies
    shapes = [(4, 2 * copies), (2, 4 * copies), (4, 1), (2, 1)]
    tensors = [torch.randn(shape, generator=seeded(i), dtype=torch.float64) for i, shape in enumerate(shapes)]
    scale = torch.tensor(0.7, dtype=torch.float64)
    arguments = [t.requires_grad_() for t in (points(3, 2), scale, *tensors)]

    def function(x, scale, w1, w2, b1, b2):
        return value_and_jacobian(x, phi, FoldedWeights(scale, (w1, w2), (b1, b2)))

    assert torch.autograd.gradcheck(function, arguments)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_without_gradients_many_points_are_the_same_points(activation):
    g, x = branch(activation), points(CHUNK + 3, 2)
    with torch.no_grad():
        found = g.value_and_jacobian(x)
    for mine, expected in zip(found, Branch.value_and_jacobian(g, x), strict=True):
        torch.testing.assert_close(mine, expected.detach(), atol=1e-12, rtol=0)
        assert not mine.requires_grad


def test_no_points_have_no_jacobians():
    value, jacobian = branch("sine").value_and_jacobian(points(0, 2))
    assert value.shape == (0, 2)
    assert jacobian.shape == (0, 2, 2)


def test_its_second_derivative_is_that_of_the_plain_branch():
    g, x = branch("sine"), points(BATCH, 2).requires_grad_()

    def second_derivative(method):
        (first,) = torch.autograd.grad(method(x)[0].sum(), x, create_graph=True)
        return torch.autograd.grad(first.sum(), x)[0]

    plain = second_derivative(lambda x: Branch.value_and_jacobian(g, x))
    assert plain.abs().sum() > 0
    torch.testing.assert_close(second_derivative(g.value_and_jacobian), plain, atol=1e-10, rtol=1e-10)
