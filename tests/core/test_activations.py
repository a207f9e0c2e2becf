import copy
import functools
import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from resflow_core.activations import ACTIVATIONS
from tests.core.oracles import autograd_jacobian, points

ELEMENTWISE = {name: phi for name, phi in ACTIVATIONS.items() if phi.is_elementwise}
# Independent forms of the same functions, where PyTorch has one.
PYTORCH = {
    "silu": torch.nn.SiLU(), "lipswish": torch.nn.SiLU(), "clipswish": torch.nn.SiLU(), "elu": torch.nn.ELU(),
    "celu": torch.nn.CELU(), "tanh": torch.nn.Tanh(), "softplus": torch.nn.Softplus(), "relu": torch.nn.ReLU(),
    "leaky_relu": torch.nn.LeakyReLU(), "selu": torch.nn.SELU(), "gelu": torch.nn.GELU(), "mish": torch.nn.Mish(),
    "sine": torch.sin, "maxmin": torch.nn.Identity(),
}  # fmt: skip


def first_derivatives(activation, t, n):
    return list(itertools.islice(activation.derivatives(t), n))


@functools.cache
def jacobian_of_two(name, t):
    """Of raw for two units, at t and next to it."""
    rows = torch.tensor([[t, t + 1e-9]], dtype=torch.float64)
    return autograd_jacobian(on_rows(ACTIVATIONS[name]), rows)[0]


def on_rows(activation):
    """raw for points as rows."""
    return lambda t: activation.raw(t.T).T


@pytest.mark.parametrize(("name", "activation"), ACTIVATIONS.items(), ids=ACTIVATIONS)
class TestEveryActivation:
    def test_value_slope_and_curvature_are_each_others_derivatives(self, name, activation):
        t = torch.linspace(-6, 6, 400, dtype=torch.float64).requires_grad_()  # without 0, where some have none
        value, slope, curvature = activation.derivatives(t)
        if name in PYTORCH:
            torch.testing.assert_close(value, PYTORCH[name](t), atol=1e-12, rtol=0)
        for found, function in ((slope, value), (curvature, slope)):
            expected = torch.zeros_like(t)
            if function.requires_grad:
                (expected,) = torch.autograd.grad(function.sum(), t, retain_graph=True)
            torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)

    def test_autograd_differentiates_the_value_twice(self, name, activation):
        t = torch.linspace(-6, 6, 100, dtype=torch.float64).requires_grad_()
        value, slope, curvature = activation.derivatives(t)
        (first,) = torch.autograd.grad(value.sum(), t, create_graph=True)
        second = torch.zeros_like(t)
        if first.requires_grad:
            (second,) = torch.autograd.grad(first.sum(), t, materialize_grads=True)
        torch.testing.assert_close(first, slope, atol=1e-12, rtol=0)
        torch.testing.assert_close(second, curvature, atol=1e-12, rtol=0)

    @pytest.mark.parametrize("p", [1, 2, math.inf])
    def test_the_constant_is_the_largest_slope_found_by_search(self, name, activation, p):
        """The Jacobian of raw at a point that has two units: equal ones, so that one number is searched."""

        def steepness(t):
            return float(torch.linalg.matrix_norm(jacobian_of_two(name, t), p))

        grid = np.linspace(-15.01, 15.01, 601)
        best = grid[np.argmax([steepness(t) for t in grid.tolist()])]
        found = minimize_scalar(lambda t: -steepness(t), bounds=(best - 0.1, best + 0.1), method="bounded")
        largest = max(-found.fun, steepness(best))
        assert largest <= activation.lipschitz(p)
        assert largest == pytest.approx(activation.lipschitz(p), abs=1e-4)

    @pytest.mark.parametrize("units", [1, 2, 5])
    def test_no_two_points_are_moved_apart_by_more_than_the_constant(self, name, activation, units):
        a, b = 3 * points(4_000, units, seed=1), 3 * points(4_000, units, seed=2)
        b = torch.where(torch.arange(4_000)[:, None] % 2 == 0, b, a + 1e-3 * b)  # far and near
        for p in (1, 2, math.inf):
            moved = (activation.raw(a.T) - activation.raw(b.T)).norm(p, dim=0) / (a - b).norm(p, dim=1)
            assert float(moved.max()) <= activation.lipschitz(p) + 1e-12

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_values_stay_finite_and_of_their_dtype_far_out(self, name, activation, dtype):
        t = torch.tensor([-1e4, -100, 0, 100, 1e4], dtype=dtype)
        for derivative in activation.derivatives(t):
            assert derivative.dtype == dtype
            assert bool(derivative.isfinite().all())
            assert derivative.shape == t.shape


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_a_copy_knows_as_well_whether_it_is_elementwise(activation):
    assert copy.deepcopy(activation).is_elementwise == activation.is_elementwise


@pytest.mark.parametrize("activation", ELEMENTWISE.values(), ids=ELEMENTWISE)
def test_phi_is_raw_divided_by_its_constant(activation):
    t = torch.linspace(-4, 4, 101, dtype=torch.float64)
    for found, raw in zip(activation.phi(t), activation.derivatives(t), strict=True):
        torch.testing.assert_close(found * activation.lipschitz(2), raw)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - set(ELEMENTWISE)))
def test_what_is_no_function_of_one_number_says_so(name):
    with pytest.raises(ValueError, match="no function of one number"):
        ACTIVATIONS[name].phi(torch.zeros(3))


def test_clipswish_is_lipswish_of_both_signs_over_1_004():
    t = points(20, 3)
    lipswish = torch.cat([t * torch.sigmoid(t), -t * torch.sigmoid(-t)], 1) / 1.1
    found = on_rows(ACTIVATIONS["clipswish"])(t) / ACTIVATIONS["clipswish"].lipschitz(2)
    torch.testing.assert_close(found, lipswish / 1.004, rtol=1e-4, atol=0)
    norms = [ACTIVATIONS["clipswish"].lipschitz(p) / 1.1 / 1.004 for p in (1, 2)]
    assert norms == pytest.approx([1.086, 1.0], abs=5e-4)


def test_cpila_is_its_definition():
    """Ahn et al. 2022, k = 5: both signs, moved by 0.2; x where x > 0, else (k^2/2 x^3 - k x^2 + x) exp(k x)."""

    def pila(x):
        return torch.where(x > 0, x, (12.5 * x**3 - 5 * x**2 + x) * torch.exp(5 * x))

    t = points(20, 3)
    torch.testing.assert_close(on_rows(ACTIVATIONS["cpila"])(t), torch.cat([pila(t - 0.2), pila(-t - 0.2)], 1))
    assert ACTIVATIONS["cpila"].lipschitz(2) == pytest.approx(1.06, abs=2e-3)


@pytest.mark.parametrize("p", [1, 1.2, 1.7, 1.81, 1.9, 2, 3, 10])
def test_cpilas_constant_holds_in_every_norm(p):
    t = torch.linspace(-8, 8, 200_001, dtype=torch.float64)
    _, right, _ = ACTIVATIONS["cpila"].derivatives(t)
    steepest = float(torch.stack([right, right.flip(0)]).norm(p, dim=0).max())
    assert steepest <= ACTIVATIONS["cpila"].lipschitz(p)
    assert steepest == pytest.approx(ACTIVATIONS["cpila"].lipschitz(p), abs=1e-4)


@pytest.mark.parametrize(
    ("t", "expected"),
    [([1.0, 2.0, 4.0, 3.0, -5.0], [2.0, 1.0, 4.0, 3.0, -5.0]), ([7.0], [7.0]), ([0.0, 0.0], [0.0, 0.0])],
)
def test_maxmin_sorts_pairs_and_passes_an_odd_unit_through(t, expected):
    assert on_rows(ACTIVATIONS["maxmin"])(torch.tensor([t])).tolist() == [expected]


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
@pytest.mark.parametrize("units", [1, 4, 5])
def test_an_arrangement_and_its_transpose_are_adjoint(activation, units):
    copies = activation.arrangement.copies
    t, u, seed = points(units, 6), points(units, 6, seed=1), points(copies * units, 6, seed=2)
    pattern = activation.arrangement.pattern(t)
    there = (activation.arrangement.apply(u, pattern) * seed).sum()
    back = (u * activation.arrangement.transpose(seed, pattern)).sum()
    torch.testing.assert_close(there, back)


def test_derivatives_are_computed_only_when_asked_for():
    (value,) = first_derivatives(ACTIVATIONS["sine"], torch.zeros(3), 1)
    assert torch.equal(value, torch.zeros(3))
