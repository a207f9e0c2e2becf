import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resflow_core.norms.spectral_estimates import bjorck, exact, gram_iteration, power_iteration
from resflow_core.spectral_norm import SLACK, certified
from tests.core.oracles import seeded


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def numpy_norms(weights):
    return np.linalg.svd(weights.detach().double().numpy(), compute_uv=False)[..., 0]


@st.composite
def stacks(draw):
    """Matrices of any shape, rank and scale, (n, out, in)."""
    n, rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 30)), draw(st.integers(1, 30))
    seed, rank = draw(st.integers(0, 2**31)), draw(st.integers(0, min(rows, columns)))
    weights = drawn(n, rows, rank, seed=seed) @ drawn(n, rank, columns, seed=seed + 1)
    return weights * 10.0 ** draw(st.sampled_from([-200, -30, 0, 30, 150]))


@settings(max_examples=100)
@given(stacks())
@pytest.mark.thorough
def test_all_of_them_enclose_the_norm(weights):
    norms = numpy_norms(weights)
    np.testing.assert_allclose(exact(weights), norms, rtol=1e-12)
    below, v = power_iteration(weights, drawn(len(weights), weights.shape[2]), 12)
    above, bound = gram_iteration(weights, 12).numpy(), certified(weights).numpy()
    assert (below.numpy() <= norms * (1 + 1e-13)).all()
    assert (below[1:] >= below[:-1] * (1 - 1e-13)).all()
    assert (above >= norms * (1 - 1e-14)).all()
    assert (above[1:] <= above[:-1] * (1 + 1e-13)).all()
    assert (bound >= norms * (1 - 1e-14)).all() and (bound <= norms * (1 + 1.01 * SLACK)).all()
    np.testing.assert_allclose(v.norm(dim=1), 1, rtol=1e-12)


class TestPowerIteration:
    def test_by_hand(self):
        """diag(2, 1) at (1, 1): v_k is (4^k, 1) at unit length."""
        estimates, v = power_iteration(torch.diag(torch.tensor([2.0, 1.0])), torch.ones(2), 3)
        expected = [math.sqrt((4 * 16**k + 1) / (16**k + 1)) for k in (1, 2, 3)]
        np.testing.assert_allclose(estimates, expected, rtol=1e-14)
        np.testing.assert_allclose(v, np.array([64, 1]) / math.hypot(64, 1), rtol=1e-14)

    def test_a_warm_start_goes_on(self):
        weights, v = drawn(3, 20, 10), drawn(3, 10, seed=1)
        whole, end = power_iteration(weights, v, 8)
        first, warm = power_iteration(weights, v, 5)
        rest, same_end = power_iteration(weights, warm, 3)
        torch.testing.assert_close(torch.cat([first, rest]), whole, rtol=1e-12, atol=0)
        torch.testing.assert_close(end, same_end, rtol=1e-10, atol=1e-14)

    def test_a_stack_is_each_alone(self):
        weights, v = drawn(3, 6, 5), drawn(3, 5, seed=1)
        together, _ = power_iteration(weights, v, 4)
        for k in range(3):
            torch.testing.assert_close(power_iteration(weights[k], v[k], 4)[0], together[:, k], rtol=1e-12, atol=0)
        assert power_iteration(weights, v, 0)[0].shape == (0, 3)

    def test_a_start_without_direction_is_refused(self):
        for v in (torch.zeros(2), torch.tensor([1.0, math.nan])):
            with pytest.raises(ValueError, match="draw v at random"):
                power_iteration(torch.eye(2), v, 1)

    def test_what_is_mapped_to_zero_stays(self):
        estimates, v = power_iteration(torch.diag(torch.tensor([1.0, 0.0])), torch.tensor([0.0, 2.0]), 2)
        assert estimates.tolist() == [0, 0] and v.tolist() == [0, 1]


def test_gram_bounds_are_schatten_norms():
    """||G_k||_F^(1 / 2^k) is (sum s^(2^(k+1)))^(1 / 2^(k+1)), and ends at the norm."""
    weights = drawn(3, 7, 5)
    s = np.linalg.svd(weights.numpy(), compute_uv=False)
    bounds = gram_iteration(weights, 20)
    for k in range(6):
        np.testing.assert_allclose(bounds[k], np.linalg.norm(s, 2 ** (k + 1), axis=1), rtol=1e-12)
    np.testing.assert_allclose(bounds[-1], s[:, 0], rtol=2e-6)
    assert gram_iteration(weights[0], 4).shape == (5,)


class TestBjorck:
    @pytest.mark.parametrize("shape", [(5, 5), (12, 4), (3, 9), (1, 4), (4, 1)])
    def test_it_becomes_the_polar_factor_from_below(self, shape):
        weights = 1e30 * drawn(4, *shape)
        u, _, vh = np.linalg.svd(weights.numpy(), full_matrices=False)
        smallest = np.zeros(4)
        for steps in (0, 1, 2, 5, 40):
            s = np.linalg.svd(bjorck(weights, steps).numpy(), compute_uv=False)
            assert (s <= 1 + 1e-13).all() and (s[:, -1] >= smallest).all()
            smallest = s[:, -1] * (1 - 1e-13)
        np.testing.assert_allclose(bjorck(weights, 40), u @ vh, atol=1e-9)

    def test_by_hand(self):
        """A step takes the singular values 1 and 1/2 to 1 and 11/16."""
        weights = 7 * torch.diag(torch.tensor([1.0, 0.5], dtype=torch.float64))[None]
        np.testing.assert_allclose(bjorck(weights, 1)[0], np.diag([1, 11 / 16]), atol=2 * SLACK)

    def test_its_gradient(self):
        weights = drawn(2, 4, 3).requires_grad_()
        assert torch.autograd.gradcheck(lambda w: bjorck(w, 3), weights)
        assert torch.autograd.gradcheck(lambda w: bjorck(w.mT, 3), weights)
        assert torch.autograd.gradcheck(certified, weights)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_matrix_that_is_not_finite_has_no_norm_and_spoils_no_other(bad):
    weights = drawn(3, 12, 10)
    weights[1, 3, 3], weights[2] = bad, 0.0
    v = drawn(3, 10, seed=1)
    norms = numpy_norms(weights[0])
    for found in (
        exact(weights),
        certified(weights),
        power_iteration(weights, v, 900)[0][-1],
        gram_iteration(weights, 30)[-1],
    ):
        assert found[0] == pytest.approx(norms, rel=2e-5)
        assert found[1].isnan() and found[2] == 0
    near = bjorck(weights, 3)
    assert near[1].isnan().all() and (near[2] == 0).all() and near[0].isfinite().all()
