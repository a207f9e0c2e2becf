"""Norms of matrices and their estimates, and layers that are capped by them, against NumPy's and dense directions."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resflow_core.fast.folding import constrained_weights
from resflow_core.lipschitz import LipschitzLinear
from resflow_core.norms.induced import (
    is_exact,
    lower_bound,
    norm_of_2x2,
    upper_bound,
    vector_norm,
)
from resflow_core.norms.spectral_estimates import bjorck, exact, gram_iteration, power_iteration
from resflow_core.spectral_norm import BLOCK, SLACK, certified, top_singular_triples
from tests.core.oracles import dense_norms, seeded
from tests.covering import told

INF = math.inf
ORDERS = [1, 1.1, 2, 3, 7, INF]


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def numpy_norm(x, p):
    """NumPy's norms of the rows, of x over its largest entry: NumPy overflows at high orders."""
    largest = abs(x).max(-1, keepdims=True)
    return largest[..., 0] * np.linalg.norm(x / np.where(largest > 0, largest, 1), p, axis=-1)


@st.composite
def stacks(draw, largest=12, powers=(-30, -3, 0, 30)):
    """Matrices of any shape, rank and scale, (n, out, in); diagonal ones, zeros and tiny rows among them."""
    n, rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, largest)), draw(st.integers(1, largest))
    seed, rank = draw(st.integers(0, 2**31)), draw(st.integers(0, min(rows, columns)))
    weights = drawn(n, rows, rank, seed=seed) @ drawn(n, rank, columns, seed=seed + 1)
    weights = weights * 10.0 ** (draw(st.integers(0, 20)) * -torch.rand(n, rows, 1, generator=seeded(seed)))
    if draw(st.booleans()):
        weights = weights * torch.eye(rows, columns, dtype=torch.float64)
    return weights * 10.0 ** draw(st.sampled_from(powers))


orders = st.one_of(st.sampled_from(ORDERS), st.floats(1, 40))


class TestVectorNorm:
    def test_it_is_numpys_at_every_scale(self):
        x = drawn(20, 5)
        for p, scale in itertools.product([*ORDERS, 200.5], [1e-200, 1.0, 1e200]):
            found = vector_norm(scale * x, p, 1) / scale
            with told((p, scale)):
                np.testing.assert_allclose(found, np.linalg.norm(x.numpy(), p, axis=1), rtol=1e-12)


class TestBothBounds:
    @settings(max_examples=40)
    @given(stacks(), orders, orders)
    def test_the_upper_one_is_above_and_the_lower_one_is_attained(self, weights, p, q):
        upper, (lower, x) = upper_bound(weights, p, q), lower_bound(weights, p, q, starts=6, steps=8)
        assert (lower <= upper).all()
        np.testing.assert_allclose(numpy_norm(x.numpy(), p), 1, rtol=1e-12)
        attained = numpy_norm((weights @ x[..., None])[..., 0].numpy(), q)
        np.testing.assert_allclose(attained, lower, rtol=1e-11)
        if is_exact(p, q):
            np.testing.assert_allclose(upper, lower, rtol=1.01 * SLACK)

    def test_two_columns_against_dense_directions(self):
        weights = torch.cat([drawn(8, 5, 2), drawn(8, 5, 2, seed=1) * torch.tensor([1.0, 1e-3])])
        for p, q in itertools.product(ORDERS, ORDERS):
            dense = dense_norms(weights, p, q, 2000)
            with told((p, q)):
                assert (upper_bound(weights, p, q).numpy() >= dense * (1 - 1e-14)).all()
                np.testing.assert_allclose(lower_bound(weights, p, q)[0], dense, rtol=2e-3)

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

    @pytest.mark.parametrize(("bad", "p", "q"), [(math.nan, 1, 1), (INF, 2, 2), (math.nan, 3, 3), (INF, 4, INF)])
    def test_a_matrix_that_is_not_finite_has_no_bound_and_spoils_no_other(self, bad, p, q):
        weights = drawn(3, 12, 10)
        alone = upper_bound(weights[:1], p, q)
        weights[1, 2, 2], weights[2] = bad, 0.0
        upper, (lower, x) = upper_bound(weights, p, q), lower_bound(weights, p, q)
        assert upper[1].isnan() and lower[1].isnan() and x[1].isnan().all()
        torch.testing.assert_close(upper[:1], alone, rtol=1e-12, atol=0)
        assert upper[2] == lower[2] == 0


class TestGradients:
    @pytest.mark.parametrize(("p", "q"), [(2, 2), (1.4, 1.4), (1.5, 4), (4, 1.5), (INF, 2), (1, 3), (3, INF)])
    def test_in_the_matrix(self, p, q):
        assert torch.autograd.gradcheck(lambda w: upper_bound(w, p, q), drawn(2, 4, 3).requires_grad_())

    def test_in_the_orders(self):
        weights = drawn(6, 4, 3)
        p = torch.tensor([3.0, 1.3, 1.5, 2.0, 4.0, 9.0], dtype=torch.float64, requires_grad=True)
        q = torch.tensor([3.1, 1.4, 4.0, 5.0, 1.5, 1.2], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda p, q: upper_bound(weights, p, q), (p, q))


class TestInThePlane:
    @pytest.mark.parametrize("p", [1, 1.5, 2, 3, 20, INF])
    def test_it_is_within_1e_4_of_dense_directions(self, p):
        near = torch.tensor([[[1.0, 1], [1, -1]], [[1, 0], [0, 1]]], dtype=torch.float64)
        near = near[:, None] + 10 ** torch.linspace(-6, 0, 30)[:, None, None] * drawn(2, 30, 2, 2, seed=1)
        matrices = torch.cat([drawn(340, 2, 2), near.reshape(60, 2, 2)])
        found, dense = norm_of_2x2(matrices, p).numpy(), dense_norms(matrices, p, p, 3000)
        assert (found >= dense * (1 - 1e-4)).all()
        # What it finds is a value that a vector attains: denser directions come no lower.
        assert (found <= dense * (1 + 1e-4)).all()
        assert (found <= upper_bound(matrices, p, p).numpy()).all()


CAP = 0.9


def numpy_norms(weights):
    return np.linalg.svd(weights.detach().double().numpy(), compute_uv=False)[..., 0]


def layers_of(weights, cap=CAP):
    """Layers that hold these matrices, (n, out, in)."""
    layers = [LipschitzLinear(w.shape[1], w.shape[0], cap, seeded(0)).to(w.dtype) for w in weights]
    for layer, weight in zip(layers, weights, strict=True):
        layer.raw.data = weight
    return layers


def with_singular_values(values, seed):
    """A square matrix with these singular values and random singular vectors, float64."""
    u, v = (torch.linalg.qr(m).Q for m in drawn(2, len(values), len(values), seed=seed))
    return u @ torch.diag(values.double()) @ v


def assert_certified(weights):
    """The norms found are at most SLACK below the truth, and no more above it than float64 rounds."""
    certified, norms = top_singular_triples(weights)[0][:, 0, 0].numpy(), numpy_norms(weights)
    assert (norms <= (1 + SLACK) * certified * (1 + 1e-13)).all()
    assert (certified <= norms * (1 + 1e-13)).all()


@settings(max_examples=50)
@given(stacks(50, [-200, -30, 0, 30, 150]))
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
    # A layer's cap holds, and is reached.
    reached = numpy_norms(constrained_weights(layers_of(weights)))
    assert (reached <= CAP).all() and (reached >= np.minimum(norms, CAP) * (1 - 4 * SLACK)).all()


class TestBjorck:
    @pytest.mark.parametrize("shape", [(12, 4), (3, 9)])
    def test_it_becomes_the_polar_factor_from_below(self, shape):
        weights = 1e30 * drawn(4, *shape)
        u, _, vh = np.linalg.svd(weights.numpy(), full_matrices=False)
        smallest = np.zeros(4)
        for steps in (0, 1, 2, 5, 40):
            s = np.linalg.svd(bjorck(weights, steps).numpy(), compute_uv=False)
            assert (s <= 1 + 1e-13).all() and (s[:, -1] >= smallest).all()
            smallest = s[:, -1] * (1 - 1e-13)
        np.testing.assert_allclose(bjorck(weights, 40), u @ vh, atol=1e-9)

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


@pytest.mark.parametrize(("size", "spread"), [(BLOCK + 1, 0.0), (64, 1e-3), (64, 0.1), (200, 1e-6)])
def test_singular_values_that_crowd_at_the_top_are_no_trouble(size, spread):
    values = 1 - spread * torch.rand(3, size, generator=seeded(1), dtype=torch.float64)
    weights = torch.stack([with_singular_values(v, seed) for seed, v in enumerate(values)])
    assert_certified(weights)


def test_weights_below_the_cap_are_left_alone():
    (layer,) = layers_of(0.5 * torch.eye(3)[None])
    assert torch.equal(layer.weight(), layer.raw)
    (gradient,) = torch.autograd.grad(layer.weight().sum(), layer.raw)
    assert torch.equal(gradient, torch.ones(3, 3))


@pytest.mark.parametrize("shape", [(3, 5), (12, 10)])
def test_the_gradient_through_the_cap_is_that_of_raw_over_its_norm(shape):
    (layer,) = layers_of(10 * drawn(1, *shape))
    direction = drawn(*shape, seed=1)
    (found,) = torch.autograd.grad(layer.weight(), layer.raw, direction)
    scaled = layer.raw / torch.linalg.matrix_norm(layer.raw, 2) * CAP
    (expected,) = torch.autograd.grad(scaled, layer.raw, direction)
    torch.testing.assert_close(layer.weight(), scaled, atol=0, rtol=3 * SLACK)
    torch.testing.assert_close(found, expected, atol=3 * SLACK, rtol=3 * SLACK)
