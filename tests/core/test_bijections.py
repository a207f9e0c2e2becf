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
from tests.covering import told


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


# Each activation has its Jacobian in `test_residual`. Here are those of several numbers, and some of one.
TRIED = [*(name for name, known in ACTIVATIONS.items() if not known.is_elementwise), "sine", "elu", "lipswish"]
BIJECTIONS = {
    "actnorm": _actnorm,
    **{f"residual, {name}": _block(name) for name in TRIED},
    "chain": lambda dim: Chain([_actnorm(dim), _block("elu")(dim)]),
    "flow": _flow,
}


# Activations take turns in the two dimensions; what has other code of its own is in both.
CASES = [
    *((name, dim) for name in ("actnorm", "chain", "flow") for dim in (2, 5)),
    *((f"residual, {name}", (2, 5)[k % 2]) for k, name in enumerate(TRIED)),
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}", scope="module")
def case(request):
    """A bijection and its dimension."""
    name, dim = request.param
    return BIJECTIONS[name](dim), dim


class TestLaws:
    def test_inverse_and_forward_undo_each_other(self, case):
        bijection, dim = case
        x = 2 * points(40, dim)
        with torch.no_grad():
            back, there = bijection.inverse(bijection(x)), bijection(bijection.inverse(x))
        # 1e-6 a block, multiplied by the later blocks' 1 / (1 - L)
        assert (back - x).norm(dim=1).max() < 1e-4
        assert (there - x).norm(dim=1).max() < 1e-4

    def test_an_inverse_is_a_constant(self, case):
        bijection, dim = case
        assert not bijection.inverse(points(3, dim).requires_grad_()).requires_grad

    @pytest.mark.thorough
    def test_log_det_is_that_of_the_autograd_jacobian_and_differentiable(self, case):
        bijection, dim = case
        x = 2 * points(6, dim)
        z, log_det = bijection.forward_and_log_det(x)
        expected = numpy_log_abs_det(autograd_jacobian(bijection, x))
        np.testing.assert_allclose(log_det.detach().numpy(), expected, atol=1e-10)
        torch.testing.assert_close(z, bijection(x), atol=1e-12, rtol=0)
        x = points(1, dim).requires_grad_()
        assert torch.autograd.gradcheck(lambda x: bijection.forward_and_log_det(x)[1], (x,), fast_mode=True)

    def test_points_of_another_shape_are_refused(self, case):
        bijection, dim = case
        for method in ("__call__", "inverse", "forward_and_log_det"):
            for wrong in (torch.zeros(dim), torch.zeros(4, dim + 1), torch.zeros(2, 3, dim)):
                with (
                    told((method, wrong.shape)),
                    pytest.raises(ValueError, match=rf"Expected points of shape \(batch, {dim}\); got \("),
                ):
                    getattr(bijection, method)(wrong.double())

    def test_nothing_depends_on_the_training_mode(self, case):
        bijection, dim = case
        x = points(10, dim)
        in_training = bijection.train().forward_and_log_det(x)
        in_evaluation = bijection.eval().forward_and_log_det(x)
        assert all(torch.equal(a, b) for a, b in zip(in_training, in_evaluation, strict=True))


def test_every_bijection_is_tried():
    assert {name for name, _ in CASES} == {*BIJECTIONS}


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

    def test_points_that_do_not_vary_are_refused(self):
        for x in (torch.ones(5, 2), torch.zeros(1, 2)):
            with pytest.raises(ValueError, match="vary in every coordinate"):
                ActNorm(2).initialize(x)
