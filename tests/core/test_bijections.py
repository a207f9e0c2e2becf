"""One suite of laws for every bijection: add an entry to `BIJECTIONS`, and all of them hold or fail for it."""

import numpy as np
import pytest
import torch

from resflow_core.activations import ACTIVATIONS
from resflow_core.actnorm import ActNorm
from resflow_core.bijection import Chain
from resflow_core.flow import FlowConfig
from resflow_core.residual import Branch, ResidualBlock
from tests.core.oracles import autograd_jacobian, numpy_log_abs_det, points, seeded


def _actnorm(dim):
    norm = ActNorm(dim).double()
    norm.initialize(3 * points(100, dim, seed=1) + 2)
    return norm


def _block(activation):
    return lambda dim: ResidualBlock(Branch([dim, 16, 16, dim], activation, 0.97, seeded(0)), dim).double()


def _flow(dim):
    flow = FlowConfig(blocks=3, width=16, budget=0.9, dim=dim).build(seeded(0)).double()
    flow.initialize(points(100, dim, seed=1))
    return flow


BIJECTIONS = {
    "actnorm": _actnorm,
    **{f"residual, {name}": _block(name) for name in ACTIVATIONS},
    "chain": lambda dim: Chain([_actnorm(dim), _block("elu")(dim)]),
    "flow": _flow,
}


@pytest.fixture(params=BIJECTIONS.values(), ids=BIJECTIONS.keys())
def build(request):
    return request.param


@pytest.mark.parametrize("dim", [2, 5])
class TestLaws:
    def test_inverse_undoes_forward(self, build, dim):
        bijection, x = build(dim), 2 * points(40, dim)
        with torch.no_grad():
            error = (bijection.inverse(bijection(x)) - x).norm(dim=1).max()
        assert error < 1e-4  # 1e-6 a block, multiplied by the later blocks' 1 / (1 - L)

    def test_forward_undoes_inverse(self, build, dim):
        bijection, z = build(dim), 2 * points(40, dim)
        with torch.no_grad():
            assert (bijection(bijection.inverse(z)) - z).norm(dim=1).max() < 1e-4

    def test_an_inverse_is_a_constant(self, build, dim):
        assert not build(dim).inverse(points(3, dim).requires_grad_()).requires_grad

    @pytest.mark.thorough
    def test_log_det_is_that_of_the_autograd_jacobian(self, build, dim):
        bijection, x = build(dim), 2 * points(20, dim)
        z, log_det = bijection.forward_and_log_det(x)
        expected = numpy_log_abs_det(autograd_jacobian(bijection, x))
        np.testing.assert_allclose(log_det.detach().numpy(), expected, atol=1e-10)
        torch.testing.assert_close(z, bijection(x), atol=1e-12, rtol=0)

    @pytest.mark.thorough
    def test_log_det_is_differentiable(self, build, dim):
        bijection, x = build(dim), points(1, dim).requires_grad_()
        assert torch.autograd.gradcheck(lambda x: bijection.forward_and_log_det(x)[1], (x,))

    @pytest.mark.parametrize("method", ["__call__", "inverse", "forward_and_log_det"])
    def test_points_of_another_shape_are_refused(self, build, dim, method):
        for wrong in (torch.zeros(dim), torch.zeros(4, dim + 1), torch.zeros(2, 3, dim)):
            with pytest.raises(ValueError, match=rf"Expected points of shape \(batch, {dim}\); got \("):
                getattr(build(dim), method)(wrong.double())

    def test_nothing_depends_on_the_training_mode(self, build, dim):
        bijection, x = build(dim), points(10, dim)
        in_training = bijection.train().forward_and_log_det(x)
        in_evaluation = bijection.eval().forward_and_log_det(x)
        assert all(torch.equal(a, b) for a, b in zip(in_training, in_evaluation, strict=True))


def test_a_chain_gives_the_log_det_of_every_part():
    flow, x = _flow(2), points(10, 2)
    z, parts = flow.forward_and_log_dets(x)
    assert parts.shape == (10, 7)  # ActNorm and block three times, and a last ActNorm
    torch.testing.assert_close(parts.sum(1), flow.forward_and_log_det(x)[1])
    here = x
    for part, log_det in zip(flow.bijections, parts.unbind(1), strict=True):
        expected = numpy_log_abs_det(autograd_jacobian(part, here))
        np.testing.assert_allclose(log_det.detach().numpy(), expected, atol=1e-10)
        here = part(here).detach()
    torch.testing.assert_close(here, z)


class TestActNorm:
    def test_only_initialize_initialises_it(self):
        norm, grid = ActNorm(2), 5 + torch.rand(50, 2, generator=seeded(0))
        assert torch.equal(norm(grid), grid)
        norm.initialize(grid)
        z = norm(grid)
        torch.testing.assert_close(z.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
        torch.testing.assert_close(z.std(0), torch.ones(2), atol=1e-5, rtol=0)

    @pytest.mark.parametrize("x", [torch.ones(5, 2), torch.zeros(1, 2)])
    def test_points_that_do_not_vary_are_refused(self, x):
        with pytest.raises(ValueError, match="vary in every coordinate"):
            ActNorm(2).initialize(x)
