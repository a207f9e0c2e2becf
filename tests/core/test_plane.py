import numpy as np
import pytest
import torch

from resflow_core.log_det import residual_log_det
from resflow_core.measure.inverse_iterations import residual_solve
from tests.core.oracles import numpy_log_abs_det, points


def jacobians(d):
    return points(30 * d, d).view(30, d, d)  # some of the determinants are negative


@pytest.mark.parametrize("d", [1, 2, 3])
class TestIdentityPlus:
    def test_the_log_det_is_numpys(self, d):
        a = jacobians(d)
        expected = numpy_log_abs_det(torch.eye(d, dtype=a.dtype) + a)
        np.testing.assert_allclose(residual_log_det(a), expected, atol=1e-12)

    def test_its_gradient_is_the_inverse_transposed(self, d):
        a, weight = jacobians(d).requires_grad_(), points(30, 1)[:, 0]
        (found,) = torch.autograd.grad(residual_log_det(a), a, weight)
        inverse = np.linalg.inv(np.eye(d) + a.detach().numpy())
        np.testing.assert_allclose(found, weight[:, None, None] * inverse.transpose(0, 2, 1), rtol=1e-10)
        assert torch.autograd.gradcheck(residual_log_det, (a,))

    def test_the_solution_is_numpys(self, d):
        a, r = jacobians(d), points(30, d, seed=1)
        expected = np.linalg.solve(np.eye(d) + a.numpy(), r.numpy()[:, :, None])[:, :, 0]
        np.testing.assert_allclose(residual_solve(a, r), expected, rtol=1e-9)


def test_a_singular_matrix_has_an_infinite_log_det_and_solution():
    a = torch.tensor([[[-1.0, 0.0], [0.0, 0.3]]])
    assert residual_log_det(a).item() == -torch.inf
    assert not bool(residual_solve(a, torch.ones(1, 2)).isfinite().all())
