from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from resflow_core import spectral_norm
from resflow_core.lipschitz import LipschitzLinear, SpectralNorm, constrained
from resflow_core.spectral_norm import BLOCK, SLACK, top_singular_triples
from tests.core.oracles import seeded
from tests.covering import covering

CAP = 0.9


def numpy_norms(weights):
    return np.linalg.svd(weights.detach().double().numpy(), compute_uv=False)[..., 0]


def constrained_weights(layers):
    """W of these layers, (n, out, in)."""
    return constrained(layers, torch.stack([layer.raw for layer in layers]), SpectralNorm())


def layers_of(weights, cap=CAP):
    """Layers that hold these matrices, (n, out, in)."""
    layers = [LipschitzLinear(w.shape[1], w.shape[0], cap, seeded(0)).to(w.dtype) for w in weights]
    for layer, weight in zip(layers, weights, strict=True):
        layer.raw.data = weight
    return layers


def random_matrices(n, rows, columns, seed, dtype=torch.float64):
    return torch.randn(n, rows, columns, generator=seeded(seed), dtype=dtype)


def with_singular_values(values, seed):
    """A square matrix with these singular values and random singular vectors, float64."""
    u, v = (torch.linalg.qr(m).Q for m in random_matrices(2, len(values), len(values), seed))
    return u @ torch.diag(values.double()) @ v


def assert_certified(weights):
    """The norms found are at most SLACK below the truth, and no more above it than float64 rounds."""
    certified, norms = top_singular_triples(weights)[0][:, 0, 0].numpy(), numpy_norms(weights)
    assert (norms <= (1 + SLACK) * certified * (1 + 1e-13)).all()
    assert (certified <= norms * (1 + 1e-13)).all()


SHAPES = st.tuples(st.integers(1, 70), st.integers(1, 70))
# From the smallest denormal float32 to near the largest.
SCALES = st.floats(-45, 37).map(lambda exponent: 10.0**exponent)


@st.composite
def matrices(draw):
    """float32 matrices (n, rows, columns) of any shape, rank and scale; zeros and tiny rows among them."""
    n, (rows, columns), seed = draw(st.integers(1, 4)), draw(SHAPES), draw(st.integers(0, 2**31))
    rank = draw(st.integers(0, min(rows, columns)))
    weights = random_matrices(n, rows, rank, seed) @ random_matrices(n, rank, columns, seed + 1)
    weights = weights * 10.0 ** (draw(st.integers(0, 20)) * -torch.rand(n, rows, 1, generator=seeded(seed)))
    scale = draw(SCALES) / (float(weights.abs().max()) or 1.0)
    return (scale * weights).float()


def of_rank_one(side, row, columns):
    """(1, side, side), with the smallest denormal float32 in some columns of one row."""
    weights = torch.zeros(1, side, side)
    weights[0, row, columns] = -1.4e-45
    return weights


class TestTheNorm:
    @settings(max_examples=100)
    @given(matrices())
    @example(of_rank_one(21, 15, [8, 16, 20]))
    @pytest.mark.thorough
    def test_it_is_certified_whatever_the_matrix(self, weights):
        assert_certified(weights)
        s, u, v = top_singular_triples(weights)
        torch.testing.assert_close(u.mT @ weights.double() @ v, s, rtol=1e-12, atol=0)
        for vector in (u, v):
            assert ((vector.norm(dim=1, keepdim=True) - 1).abs()[s > 0] < 1e-12).all()

    @settings(max_examples=60)
    @given(matrices())
    def test_the_cap_holds_and_is_reached(self, weights):
        norms, capped = numpy_norms(weights), constrained_weights(layers_of(weights))
        reached = numpy_norms(capped)
        assert (reached <= CAP).all()
        assert (reached >= np.minimum(norms, CAP) * (1 - 4 * SLACK)).all()

    @pytest.mark.thorough
    @pytest.mark.parametrize(
        ("size", "spread"), [*product([BLOCK + 1, 64], [0.0, 1e-6, 1e-3, 0.1]), (200, 1e-6), (200, 1e-3)]
    )
    def test_singular_values_that_crowd_at_the_top_are_no_trouble(self, size, spread):
        values = 1 - spread * torch.rand(3, size, generator=seeded(1), dtype=torch.float64)
        weights = torch.stack([with_singular_values(v, seed) for seed, v in enumerate(values)])
        assert_certified(weights)

    def test_a_certificate_that_fails_is_replaced_by_diagonalising(self, monkeypatch):
        """An estimate that has missed the top singular vector is found out, for each matrix by itself."""
        weights = torch.stack([with_singular_values(torch.linspace(1, 2, 20), seed) for seed in range(3)])

        def missed(gram):
            v = torch.linalg.eigh(gram).eigenvectors
            return torch.stack([v[0, :, -2:-1], v[1, :, -1:], v[2, :, :1]])

        assert_certified(weights)
        monkeypatch.setattr(spectral_norm, "_nearly_top_eigenvectors", missed)
        assert_certified(weights)
        diagonalised = []
        exactly = spectral_norm._top_eigenvectors
        monkeypatch.setattr(
            spectral_norm, "_top_eigenvectors", lambda gram: diagonalised.append(len(gram)) or exactly(gram)
        )
        top_singular_triples(weights)
        assert diagonalised == [2]

    def test_a_spectrum_as_training_makes_it_needs_no_diagonalising(self, monkeypatch):
        values = torch.cat([torch.tensor([1.31, 1.25, 1.23, 1.09, 1.08, 1.03]), torch.linspace(1.01, 0.01, 58)])
        weights = torch.stack([with_singular_values(values, seed) for seed in range(10)]).float()
        exactly = spectral_norm._top_eigenvectors

        def only_small(gram):
            assert gram.shape[-1] <= BLOCK
            return exactly(gram)

        monkeypatch.setattr(spectral_norm, "_top_eigenvectors", only_small)
        assert_certified(weights)

    def test_it_needs_no_global_randomness(self):
        before, weights = torch.get_rng_state(), random_matrices(2, 30, 30, 0)
        first, second = top_singular_triples(weights)[0], top_singular_triples(weights)[0]
        assert torch.equal(first, second)
        assert torch.equal(before, torch.get_rng_state())


OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=3.0),
    "adam": lambda p: torch.optim.Adam(p, lr=0.5),
    "fused adam": lambda p: torch.optim.Adam(p, lr=0.5, fused=True),  # does not move the version counter
}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("shape", "dtype", "optimiser"),
    [
        [*row.values()]
        for row in covering(
            {
                "shape": [(64, 64), (2, 64), (64, 2), (5, 5)],
                "dtype": [torch.float32, torch.float64],
                "optimiser": [*OPTIMISERS],
            }
        )
    ],
    ids=str,
)
def test_the_cap_holds_after_every_step_of_any_optimiser(shape, dtype, optimiser):
    layer = LipschitzLinear(shape[1], shape[0], CAP, seeded(0)).to(dtype)
    step_of = OPTIMISERS[optimiser](layer.parameters())
    x = torch.randn(20, shape[1], generator=seeded(1), dtype=dtype)
    reached = 0.0
    for _ in range(10):
        with torch.no_grad():
            layer(x)  # what was computed before a step must not survive it
        step_of.zero_grad()
        (-layer(x).square().mean()).backward()  # pushes the norm up
        step_of.step()
        with torch.no_grad():
            reached = max(reached, numpy_norms(layer.weight()))
            torch.testing.assert_close(layer(x), x @ constrained_weights([layer])[0].T + layer.bias)
        assert numpy_norms(layer.weight()) <= CAP
    assert reached > 0.8999  # the cap is reached, not only respected


def test_layers_are_capped_together_as_each_alone():
    layers = layers_of(3 * random_matrices(4, 20, 30, 0))
    together = constrained_weights(layers)
    torch.testing.assert_close(together, torch.stack([layer.weight() for layer in layers]), rtol=1e-12, atol=0)
    direction = random_matrices(4, 20, 30, 1)
    found = torch.autograd.grad(together, [layer.raw for layer in layers], direction)
    for layer, d, gradient in zip(layers, direction, found, strict=True):
        torch.testing.assert_close(torch.autograd.grad(layer.weight(), layer.raw, d)[0], gradient, rtol=1e-12, atol=0)


def test_weights_below_the_cap_are_left_alone():
    (layer,) = layers_of(0.5 * torch.eye(3)[None])
    assert torch.equal(layer.weight(), layer.raw)
    (gradient,) = torch.autograd.grad(layer.weight().sum(), layer.raw)
    assert torch.equal(gradient, torch.ones(3, 3))


@pytest.mark.parametrize("shape", [(3, 5), (12, 10)])
def test_the_gradient_through_the_cap_is_that_of_raw_over_its_norm(shape):
    (layer,) = layers_of(10 * random_matrices(1, *shape, 0))
    direction = random_matrices(1, *shape, 1)[0]
    (found,) = torch.autograd.grad(layer.weight(), layer.raw, direction)
    scaled = layer.raw / torch.linalg.matrix_norm(layer.raw, 2) * CAP
    (expected,) = torch.autograd.grad(scaled, layer.raw, direction)
    torch.testing.assert_close(layer.weight(), scaled, atol=0, rtol=3 * SLACK)
    torch.testing.assert_close(found, expected, atol=3 * SLACK, rtol=3 * SLACK)


def test_writes_to_data_are_seen():
    layer = LipschitzLinear(3, 3, CAP, seeded(0))
    with torch.no_grad():
        layer(torch.zeros(1, 3))
        layer.raw.data = 7 * torch.eye(3)
        assert numpy_norms(layer.weight()) == pytest.approx(CAP, rel=1e-4)


@torch.no_grad()
def test_another_type_or_device_is_no_old_acquaintance():
    layer = LipschitzLinear(4, 4, CAP, seeded(0))
    layer.raw.mul_(10)
    constrained_weights([layer])
    layer.double()
    assert constrained_weights([layer]).dtype == torch.float64
    torch.testing.assert_close(constrained_weights([layer]), constrained_weights([copy_of(layer)]), atol=0, rtol=0)
    assert constrained_weights([layer.to("meta")]).device.type == "meta"


def copy_of(layer):
    """A layer with the same `raw` that has not been asked for its weight yet."""
    fresh = LipschitzLinear(4, 4, CAP, seeded(1)).double()
    fresh.raw.copy_(layer.raw)
    return fresh


@pytest.mark.parametrize("size", [4, 20])
def test_a_zero_matrix_has_norm_zero_and_is_left_alone(size):
    s, u, v = top_singular_triples(torch.zeros(1, size, size))
    assert s == 0
    assert bool(torch.cat([u, v]).isfinite().all())
    (layer,) = layers_of(torch.zeros(1, size, size))
    (gradient,) = torch.autograd.grad(layer.weight().sum(), layer.raw)
    assert torch.equal(gradient, torch.ones(size, size))
