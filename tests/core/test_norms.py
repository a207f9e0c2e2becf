import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from resflow_core.norms.induced import (
    MOST_ENUMERATED,
    dual,
    is_exact,
    largest_singular_value,
    lower_bound,
    norm_of_2x2,
    power_method,
    upper_bound,
    vector_norm,
)
from resflow_core.norms.spectral_estimates import power_iteration
from resflow_core.spectral_norm import SLACK
from tests.core.oracles import dense_norms, seeded
from tests.covering import told

INF = math.inf
ORDERS = [1, 1.1, 1.5, 2, 3, 7, INF]
FEW = [1, 1.1, 2, 3, INF]


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def numpy_norm(x, p):
    """NumPy's norms of the rows, of x over its largest entry: NumPy overflows at high orders."""
    largest = abs(x).max(-1, keepdims=True)
    return largest[..., 0] * np.linalg.norm(x / np.where(largest > 0, largest, 1), p, axis=-1)


@st.composite
def stacks(draw):
    """Matrices of any shape, rank and scale, (n, out, in); diagonal and zero ones among them."""
    n, rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 12)), draw(st.integers(1, 12))
    seed, rank = draw(st.integers(0, 2**31)), draw(st.integers(0, min(rows, columns)))
    weights = drawn(n, rows, rank, seed=seed) @ drawn(n, rank, columns, seed=seed + 1)
    if draw(st.booleans()):
        weights = weights * torch.eye(rows, columns, dtype=torch.float64)
    return weights * 10.0 ** draw(st.sampled_from([-30, -3, 0, 30]))


orders = st.one_of(st.sampled_from(ORDERS), st.floats(1, 40))


class TestVectorNorm:
    def test_it_is_numpys_at_every_scale(self):
        x = drawn(20, 5)
        for p, scale in itertools.product([*ORDERS, 200.5], [1e-200, 1.0, 1e200]):
            found = vector_norm(scale * x, p, 1) / scale
            with told((p, scale)):
                np.testing.assert_allclose(found, np.linalg.norm(x.numpy(), p, axis=1), rtol=1e-12)

    @pytest.mark.parametrize("p", ORDERS)
    def test_its_gradient(self, p):
        assert torch.autograd.gradcheck(lambda x: vector_norm(x, p, 0), drawn(4, 3).requires_grad_())
        zero = torch.zeros(3, requires_grad=True)
        assert vector_norm(zero, p, 0) == 0
        assert torch.equal(torch.autograd.grad(vector_norm(zero, p, 0), zero)[0], zero)

    @pytest.mark.parametrize("p", ORDERS)
    def test_what_is_not_finite_has_no_finite_norm(self, p):
        assert vector_norm(torch.tensor([1.0, math.nan]), p, 0).isnan()
        assert not vector_norm(torch.tensor([1.0, INF]), p, 0).isfinite()


@pytest.mark.parametrize("p", [0.5, math.nan, -INF])
def test_orders_below_1_are_refused(p):
    one = torch.ones(1, 2, 2)
    calls = (
        lambda: vector_norm(one, p, 1),
        lambda: upper_bound(one, p, 2),
        lambda: upper_bound(one, 2, torch.tensor([p])),
        lambda: lower_bound(one, 2, p),
        lambda: is_exact(p, 1),
        lambda: dual(p),
        lambda: norm_of_2x2(one, p),
    )
    for call in calls:
        with pytest.raises(ValueError, match="use an order from 1 to inf"):
            call()


def test_what_is_no_stack_is_refused():
    for bound in (upper_bound, lower_bound):
        with pytest.raises(ValueError, match=r"\(n, out, in\)"):
            bound(torch.ones(2, 2), 2, 2)
    with pytest.raises(ValueError, match="starts = 0"):
        lower_bound(torch.ones(1, 2, 2), 3, 3, starts=0)


class TestBothBounds:
    @settings(max_examples=120)
    @given(stacks(), orders, orders)
    @pytest.mark.thorough
    def test_the_upper_one_is_above_and_the_lower_one_is_attained(self, weights, p, q):
        upper, (lower, x) = upper_bound(weights, p, q), lower_bound(weights, p, q, starts=6, steps=8)
        assert (lower <= upper).all()
        np.testing.assert_allclose(numpy_norm(x.numpy(), p), 1, rtol=1e-12)
        attained = numpy_norm((weights @ x[..., None])[..., 0].numpy(), q)
        np.testing.assert_allclose(attained, lower, rtol=1e-11)
        if is_exact(p, q):
            np.testing.assert_allclose(upper, lower, rtol=1.01 * SLACK)

    @pytest.mark.parametrize("shape", [(1, 5), (4, 1), (2, 2), (6, 2), (3, 7), (9, 9)])
    def test_many_matrices_with_orders_of_their_own(self, shape):
        """1,500 random (W, p, q), stretched at random vectors x."""
        weights = drawn(250, *shape) * 3 ** drawn(250, shape[0], 1, seed=1)
        a, b = torch.rand(2, 250, generator=seeded(2), dtype=torch.float64)
        a[:40], b[20:60] = 0, 1
        upper, x = upper_bound(weights, 1 / a, 1 / b), drawn(250, 200, shape[1], seed=3).numpy()
        for w, p, q, bound, points in zip(weights.numpy(), 1 / a, 1 / b, upper, x, strict=True):
            p, q = float(p), float(q)
            stretched = numpy_norm(points @ w.T, q) / numpy_norm(points, p)
            assert stretched.max() <= bound

    @pytest.mark.thorough
    def test_two_columns_against_dense_directions(self):
        weights = torch.cat([drawn(8, 5, 2), drawn(8, 5, 2, seed=1) * torch.tensor([1.0, 1e-3])])
        for p, q in itertools.product(ORDERS, ORDERS):
            dense = dense_norms(weights, p, q, 2000)
            with told((p, q)):
                assert (upper_bound(weights, p, q).numpy() >= dense * (1 - 1e-14)).all()
                np.testing.assert_allclose(lower_bound(weights, p, q)[0], dense, rtol=2e-3)

    @pytest.mark.parametrize("q", ORDERS)
    def test_the_cube_is_stretched_most_at_a_vertex(self, q):
        weights = drawn(20, 4, 6)
        vertices = np.array(list(itertools.product([-1, 1], repeat=6)))
        brute = [np.linalg.norm(vertices @ w.T, q, axis=1).max() for w in weights.numpy()]
        assert (upper_bound(weights, INF, q).numpy() >= brute).all()
        np.testing.assert_allclose(lower_bound(weights, INF, q, starts=30)[0], brute, rtol=1e-12)

    @pytest.mark.parametrize(("p", "q"), [(3, 3), (1.5, 4), (4, 1.5)])
    @pytest.mark.thorough
    def test_scipy_finds_no_vector_that_is_stretched_more(self, p, q):
        for w in drawn(3, 4, 3):
            value, upper = float(lower_bound(w[None], p, q)[0]), float(upper_bound(w[None], p, q))

            def shrink(x, w=w):
                return -np.linalg.norm(w.numpy() @ x, q) / np.linalg.norm(x, p)

            best = max(-optimize.minimize(shrink, x).fun for x in drawn(15, 3, seed=5).numpy())
            assert best <= upper
            assert value == pytest.approx(best, rel=1e-6)

    @pytest.mark.thorough
    def test_duality_and_scaling(self):
        weights, scales = drawn(8, 3, 4), itertools.cycle([-1e-30, 1e30, 1e200])
        for (p, q), scale in zip(itertools.product(FEW, FEW), scales, strict=False):
            mirrored = weights.mT, dual(q), dual(p)
            upper, (lower, _) = upper_bound(weights, p, q), lower_bound(weights, p, q, starts=30)
            with told((p, q, scale)):
                np.testing.assert_allclose(upper, upper_bound(*mirrored), rtol=1e-10)
                np.testing.assert_allclose(lower, lower_bound(*mirrored, starts=30)[0], rtol=1e-6)
                np.testing.assert_allclose(upper_bound(scale * weights, p, q), abs(scale) * upper)
                np.testing.assert_allclose(lower_bound(scale * weights, p, q, starts=30)[0], abs(scale) * lower)

    def test_the_closed_forms(self):
        weights = drawn(10, 4, 6)
        w = weights.numpy()
        expected = {
            (1, 3): np.linalg.norm(w, 3, axis=1).max(1),
            (3, INF): np.linalg.norm(w, 1.5, axis=2).max(1),
            (1, INF): abs(w).max((1, 2)),
            (1, 1): np.linalg.norm(w, 1, axis=(1, 2)),
            (INF, INF): np.linalg.norm(w, INF, axis=(1, 2)),
            (2, 2): np.linalg.norm(w, 2, axis=(1, 2)),
        }
        for (p, q), norms in expected.items():
            assert is_exact(p, q)
            np.testing.assert_allclose(upper_bound(weights, p, q), norms, rtol=1.01 * SLACK if p == q == 2 else 1e-11)
            np.testing.assert_allclose(lower_bound(weights, p, q)[0], norms, rtol=1e-12)
        assert not is_exact(3, 3) and not is_exact(INF, 2)

    @pytest.mark.parametrize("bad", [math.nan, INF])
    @pytest.mark.parametrize(("p", "q"), [(1, 1), (2, 2), (3, 3), (INF, 2), (4, INF)])
    def test_a_matrix_that_is_not_finite_has_no_bound_and_spoils_no_other(self, bad, p, q):
        weights = drawn(3, 12, 10)
        alone = upper_bound(weights[:1], p, q)
        weights[1, 2, 2], weights[2] = bad, 0.0
        upper, (lower, x) = upper_bound(weights, p, q), lower_bound(weights, p, q)
        assert upper[1].isnan() and lower[1].isnan() and x[1].isnan().all()
        torch.testing.assert_close(upper[:1], alone, rtol=1e-12, atol=0)
        assert upper[2] == lower[2] == 0

    def test_single_precision_is_computed_in_double(self):
        weights = drawn(5, 6, 7).float()
        assert torch.equal(upper_bound(weights, 3, 2), upper_bound(weights.double(), 3, 2))


class TestGradients:
    @pytest.mark.parametrize(
        ("p", "q"), [(2, 2), (3, 3), (1.4, 1.4), (1.5, 4), (2, 3), (4, 1.5), (INF, 2), (1, 3), (3, INF)]
    )
    def test_in_the_matrix(self, p, q):
        assert torch.autograd.gradcheck(lambda w: upper_bound(w, p, q), drawn(2, 4, 3).requires_grad_())

    def test_in_the_orders(self):
        weights = drawn(6, 4, 3)
        p = torch.tensor([3.0, 1.3, 1.5, 2.0, 4.0, 9.0], dtype=torch.float64, requires_grad=True)
        q = torch.tensor([3.1, 1.4, 4.0, 5.0, 1.5, 1.2], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda p, q: upper_bound(weights, p, q), (p, q))

    def test_they_are_finite_everywhere(self):
        weights = torch.cat([drawn(2, 4, 3), torch.zeros(1, 4, 3), torch.eye(4, 3)[None]]).requires_grad_()
        for pair in itertools.product(ORDERS, ORDERS):
            orders = [torch.full((4,), float(order), dtype=torch.float64, requires_grad=True) for order in pair]
            for gradient in torch.autograd.grad(upper_bound(weights, *orders).sum(), [weights, *orders]):
                assert gradient.isfinite().all(), pair


class TestInThePlane:
    @pytest.mark.parametrize("p", [1, 1.05, 1.5, 2, 2.5, 3, 6, 20, 100, INF])
    def test_it_is_within_1e_4_of_dense_directions(self, p):
        near = torch.tensor([[[1.0, 1], [1, -1]], [[1, 0], [0, 1]]], dtype=torch.float64)
        near = near[:, None] + 10 ** torch.linspace(-6, 0, 30)[:, None, None] * drawn(2, 30, 2, 2, seed=1)
        matrices = torch.cat([drawn(340, 2, 2), near.reshape(60, 2, 2)])
        found, dense = norm_of_2x2(matrices, p).numpy(), dense_norms(matrices, p, p, 3000)
        assert (found >= dense * (1 - 1e-4)).all()
        # What it finds is a value that a vector attains: denser directions come no lower.
        assert (found <= dense * (1 + 1e-4)).all()
        assert (found <= upper_bound(matrices, p, p).numpy()).all()

    def test_shapes_scales_and_what_is_not_finite(self):
        matrices = drawn(3, 5, 2, 2)
        for p in ORDERS:
            assert norm_of_2x2(matrices, p).shape == (3, 5)
            np.testing.assert_allclose(norm_of_2x2(1e200 * matrices, p), 1e200 * norm_of_2x2(matrices, p))
            assert norm_of_2x2(torch.zeros(2, 2), p) == 0
            assert norm_of_2x2(torch.tensor([[1, math.nan], [0, 1]]), p).isnan()
        np.testing.assert_allclose(
            largest_singular_value(matrices), np.linalg.norm(matrices.numpy(), 2, axis=(-2, -1)), rtol=1e-12
        )


class TestPowerMethod:
    @pytest.mark.parametrize("shape", [(5, 3), (3, 8), (2, 2)])
    @pytest.mark.parametrize("steps", [0, 1, 4, 300])
    def test_in_the_2_norm_it_is_power_iteration(self, shape, steps):
        weights, start = drawn(6, *shape), drawn(6, shape[1], seed=1)
        u, v = power_method(weights, 2.0, 2.0, start, steps)
        x = start.numpy()
        for _ in range(steps):
            x = np.einsum("noi,noj,nj->ni", weights.numpy(), weights.numpy(), x)
            x = x / np.linalg.norm(x, axis=1, keepdims=True)
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        np.testing.assert_allclose(v, x, atol=1e-12)
        wx = np.einsum("noi,ni->no", weights.numpy(), x)
        np.testing.assert_allclose(u, wx / np.linalg.norm(wx, axis=1, keepdims=True), atol=1e-12)
        value = torch.einsum("no,noi,ni->n", u, weights, v)
        if steps:
            np.testing.assert_allclose(value, power_iteration(weights, start, steps)[0][-1], rtol=1e-12)
        if steps == 300:
            np.testing.assert_allclose(value, np.linalg.norm(weights.numpy(), 2, (1, 2)), rtol=1e-6)

    @pytest.mark.thorough
    def test_its_vectors_are_units_and_attain_a_lower_bound_that_never_falls(self):
        for p, q in itertools.product(FEW, FEW):
            with told((p, q)):
                self.check_vectors(float(p), float(q))

    @staticmethod
    def check_vectors(p, q):
        weights, start = drawn(8, 4, 3) * 10.0 ** drawn(8, 1, 1, seed=3), drawn(8, 3, seed=1)
        before = 0.0
        for steps in (0, 1, 2, 5, 20):
            u, v = power_method(weights, p, q, start, steps)
            np.testing.assert_allclose(numpy_norm(v.numpy(), p), 1, rtol=1e-12)
            np.testing.assert_allclose(numpy_norm(u.numpy(), dual(q)), 1, rtol=1e-12)
            value = torch.einsum("no,noi,ni->n", u, weights, v).numpy()
            attained = numpy_norm(torch.einsum("noi,ni->no", weights, v).numpy(), q)
            np.testing.assert_allclose(value, attained, rtol=1e-11)
            assert (value <= upper_bound(weights, p, q).numpy()).all()
            assert (value >= before * (1 - 1e-9)).all()
            before = value

    @pytest.mark.parametrize("steps", [0, 3])
    def test_every_matrix_may_have_orders_of_its_own(self, steps):
        weights, start = drawn(5, 4, 3), drawn(5, 3, seed=1)
        p = torch.tensor([1.3, 2.0, 3.0, 1.01, 8.0], dtype=torch.float64)
        q = torch.tensor([2.0, 2.0, 1.5, 30.0, 8.0], dtype=torch.float64)
        u, v = power_method(weights, p, q, start, steps)
        for i in range(5):
            alone = power_method(weights[i : i + 1], float(p[i]), float(q[i]), start[i : i + 1], steps)
            np.testing.assert_allclose(u[i], alone[0][0], rtol=1e-9, atol=1e-300)
            np.testing.assert_allclose(v[i], alone[1][0], rtol=1e-9, atol=1e-300)

    def test_what_is_zero_or_not_finite_harms_nothing(self):
        weights = torch.stack([torch.zeros(3, 3), torch.full((3, 3), math.nan), torch.eye(3)])
        start = drawn(3, 3)
        for p, q in ((2.0, 2.0), (1.0, INF), (3.0, 1.5)):
            u, v = power_method(weights, p, q, start, 5)
            assert u.isfinite().all() and v.isfinite().all()
            assert torch.einsum("no,noi,ni->n", u, weights.double(), v)[0] == 0


class TestVertices:
    """With few columns inf -> q, and with few rows p -> 1, are known."""

    def test_the_bound_is_the_norm(self):
        for few, order in itertools.product(range(1, MOST_ENUMERATED + 1), ORDERS):
            weights = drawn(7, 9, few)
            vertices = np.array(list(itertools.product([-1, 1], repeat=few)))
            brute = [np.linalg.norm(vertices @ w.T, order, axis=1).max() for w in weights.numpy()]
            with told((few, order)):
                np.testing.assert_allclose(upper_bound(weights, INF, order), brute, rtol=1e-11)
                np.testing.assert_allclose(upper_bound(weights.mT, dual(order), 1), brute, rtol=1e-11)
                assert (upper_bound(weights, INF, order).numpy() >= brute).all()

    def test_with_more_it_is_a_bound_again(self):
        weights = drawn(7, 9, MOST_ENUMERATED + 1)
        vertices = np.array(list(itertools.product([-1, 1], repeat=MOST_ENUMERATED + 1)))
        brute = np.array([np.linalg.norm(vertices @ w.T, 2, axis=1).max() for w in weights.numpy()])
        assert (upper_bound(weights, INF, 2).numpy() > brute * 1.001).all()
        assert (upper_bound(weights.mT, 2, 1).numpy() > brute * 1.001).all()

    @pytest.mark.parametrize(("p", "q"), [(INF, 2.0), (INF, 1.0), (2.0, 1.0), (INF, 3.0)])
    def test_gradients(self, p, q):
        assert torch.autograd.gradcheck(lambda w: upper_bound(w, p, q), drawn(2, 4, 3).requires_grad_())
