import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resflow_core.lipschitz import ROUNDING_MARGIN, LipschitzLinear, top_singular_triple
from tests.core.oracles import seeded


def numpy_norm(weight):
    return np.linalg.svd(weight.detach().double().numpy(), compute_uv=False)[0]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31), st.floats(1e-3, 1e3))
def test_the_top_singular_triple_is_numpys(rows, columns, seed, scale):
    weight = scale * torch.randn(rows, columns, generator=seeded(seed), dtype=torch.float64)
    norm, u, v = top_singular_triple(weight)
    assert norm.item() == pytest.approx(numpy_norm(weight), rel=1e-10)
    torch.testing.assert_close(weight @ v, norm * u, rtol=1e-9, atol=1e-12 * scale)


@pytest.mark.parametrize("size", [64, 256])
def test_the_cap_holds_in_float32_where_many_singular_values_crowd_at_the_top(size):
    layer = LipschitzLinear(size, size, 0.9, seeded(0))
    for seed in range(10):
        q, _ = torch.linalg.qr(torch.randn(size, size, generator=seeded(seed)))
        with torch.no_grad():
            layer.raw.copy_(5 * q @ torch.diag(1 - 1e-6 * torch.rand(size, generator=seeded(seed + 100))))
            assert 0.8999 < numpy_norm(layer.weight) <= 0.9


OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=3.0),
    "adam": lambda p: torch.optim.Adam(p, lr=0.5),
    "fused adam": lambda p: torch.optim.Adam(p, lr=0.5, fused=True),  # does not move the version counter
}


@pytest.mark.parametrize("shape", [(64, 64), (2, 64), (64, 2), (5, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_the_cap_holds_after_every_step_of_any_optimiser(shape, dtype, optimiser):
    layer = LipschitzLinear(shape[1], shape[0], 0.9, seeded(0)).to(dtype)
    step_of = OPTIMISERS[optimiser](layer.parameters())
    x = torch.randn(20, shape[1], generator=seeded(1), dtype=dtype)
    reached = 0.0
    for _ in range(15):
        with torch.no_grad():
            layer(x)  # what was computed before a step must not survive it
        step_of.zero_grad()
        (-layer(x).square().mean()).backward()  # pushes the norm up
        step_of.step()
        with torch.no_grad():
            reached = max(reached, numpy_norm(layer.weight))
            torch.testing.assert_close(layer(x), x @ layer._capped().T + layer.bias)
        assert numpy_norm(layer.weight) <= 0.9
    assert reached > 0.8999  # the cap is reached, not only respected


def test_weights_below_the_cap_are_left_alone():
    layer = LipschitzLinear(3, 3, 0.9, seeded(0))
    with torch.no_grad():
        layer.raw.copy_(0.5 * torch.eye(3))
    assert torch.equal(layer.weight, layer.raw)


def test_the_gradient_through_the_cap_is_that_of_raw_over_its_norm():
    layer = LipschitzLinear(5, 3, 0.9, seeded(0)).double()
    with torch.no_grad():
        layer.raw.mul_(10)
    direction = torch.randn(3, 5, generator=seeded(1), dtype=torch.float64)
    (found,) = torch.autograd.grad(layer.weight, layer.raw, direction)
    scaled = layer.raw / torch.linalg.matrix_norm(layer.raw, 2) * 0.9 * (1 - ROUNDING_MARGIN)
    (expected,) = torch.autograd.grad(scaled, layer.raw, direction)
    torch.testing.assert_close(layer.weight, scaled, atol=1e-12, rtol=0)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_writes_to_data_are_seen():
    layer = LipschitzLinear(3, 3, 0.9, seeded(0))
    with torch.no_grad():
        layer(torch.zeros(1, 3))
        layer.raw.data = 7 * torch.eye(3)
        assert numpy_norm(layer.weight) == pytest.approx(0.9, rel=1e-4)


def test_a_zero_matrix_has_norm_zero():
    norm, u, v = top_singular_triple(torch.zeros(4, 4))
    assert norm == 0
    assert bool(torch.cat([u, v]).isfinite().all())
