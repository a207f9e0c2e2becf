"""Activations: value, slope, constant and arrangement, against PyTorch, autograd and search."""

import copy
import functools
import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from resflow_core.activations import ACTIVATIONS, IN_PLACE, curvature
from tests.core.oracles import points

SCALED = [name for name, activation in ACTIVATIONS.items() if activation.initial_scale]
# Independent forms of raw, where PyTorch has one.
PYTORCH = {
    "silu": torch.nn.SiLU(), "lipswish": torch.nn.SiLU(), "clipswish": torch.nn.SiLU(), "elu": torch.nn.ELU(),
    "celu": torch.nn.CELU(), "tanh": torch.nn.Tanh(), "softplus": torch.nn.Softplus(), "relu": torch.nn.ReLU(),
    "leaky_relu": torch.nn.LeakyReLU(), "selu": torch.nn.SELU(), "gelu": torch.nn.GELU(), "mish": torch.nn.Mish(),
    "sine": torch.sin, "maxmin": torch.nn.Identity(),
}  # fmt: skip


@functools.cache
def jacobian_of_two(name, t, p):
    """Of phi in the p-norm for two units, at t and next to it."""
    units = torch.tensor([t, t + 1e-9], dtype=torch.float64)
    return torch.autograd.functional.jacobian(lambda z: ACTIVATIONS[name](z[:, None], p=p)[:, 0], units)


@pytest.mark.parametrize(("name", "activation"), ACTIVATIONS.items(), ids=ACTIVATIONS)
class TestEveryActivation:
    @pytest.mark.thorough
    @pytest.mark.parametrize("p", [1, 2, math.inf])
    @pytest.mark.slow
    def test_its_constant_is_the_largest_slope_found_by_search(self, name, activation, p):
        """The Jacobian at a point that has two units: equal ones, so that one number is searched."""

        def steepness(t):
            return float(torch.linalg.matrix_norm(jacobian_of_two(name, t, p), p))

        grid = np.linspace(-15.01, 15.01, 601)
        best = grid[np.argmax([steepness(t) for t in grid.tolist()])]
        found = minimize_scalar(lambda t: -steepness(t), bounds=(best - 0.1, best + 0.1), method="bounded")
        largest = max(-found.fun, steepness(best))
        assert largest <= 1 + 1e-12
        assert largest == pytest.approx(1, abs=1e-4)

    def test_no_two_points_are_moved_apart_by_more_than_the_constant(self, name, activation):
        for units, beta in itertools.product([1, 2, 5], [0.5, 3.0]):
            a, b = 3 * points(2_000, units, seed=1).T, 3 * points(2_000, units, seed=2).T
            b = torch.where(torch.arange(2_000) % 2 == 0, b, a + 1e-3 * b)  # far and near
            for p in (1, 2, math.inf):
                moved = (activation(a, beta, p) - activation(b, beta, p)).norm(p, dim=0) / (a - b).norm(p, dim=0)
                # Rounding, of points that are 1e-3 apart.
                assert float(moved.max()) <= 1 + 1e-10, (units, beta, p)

    def test_it_is_raw_over_its_constant(self, name, activation):
        t = points(4, 20)
        for p in (1, 2, 3, math.inf):
            found = activation(t, p=p) * activation.lipschitz(p)
            torch.testing.assert_close(found, activation.raw(t), atol=1e-14, rtol=1e-14)

    def test_copies_share_it(self, name, activation):
        assert copy.deepcopy(activation) is activation


@pytest.mark.parametrize("name", SCALED)
def test_a_scale_stretches_the_axes(name):
    """phi_beta(z) = phi(beta z) / beta."""
    t, activation = points(3, 30), ACTIVATIONS[name]
    for beta in (0.3, 1.0, 4.0):
        torch.testing.assert_close(activation(t, beta), activation(beta * t) / beta)


@pytest.mark.parametrize(("name", "activation"), ACTIVATIONS.items(), ids=ACTIVATIONS)
class TestEveryFunction:
    def test_its_value_is_pytorchs(self, name, activation):
        if name not in PYTORCH:
            pytest.skip("PyTorch has none; `test_cpila_is_its_definition` has it")
        t = torch.linspace(-6, 6, 401, dtype=torch.float64)
        torch.testing.assert_close(next(activation.function(t)), PYTORCH[name](t), atol=1e-12, rtol=0)

    def test_its_slope_is_that_of_the_value_and_has_the_same_derivatives(self, name, activation):
        t = torch.linspace(-6, 6, 400, dtype=torch.float64).requires_grad_()  # without 0, where some have none
        value, slope, *own = activation.function(t)
        (first,) = torch.autograd.grad(value.sum(), t, create_graph=True)
        torch.testing.assert_close(slope, first, atol=1e-12, rtol=0)
        seconds = [torch.zeros_like(t)] * 2
        if first.requires_grad:
            seconds = [torch.autograd.grad(of.sum(), t, create_graph=True)[0] for of in (first, slope)]
        for found in (seconds[1], curvature(activation.function, t), *own):
            torch.testing.assert_close(found, seconds[0], atol=1e-12, rtol=0)
        if seconds[0].requires_grad:
            thirds = [torch.autograd.grad(of.sum(), t, create_graph=True)[0] for of in seconds]
            torch.testing.assert_close(thirds[1], thirds[0], atol=1e-10, rtol=0)

    def test_values_stay_finite_and_of_their_dtype_far_out(self, name, activation):
        for dtype in (torch.float32, torch.float64):
            t = torch.tensor([-1e4, -100, 0, 100, 1e4], dtype=dtype)
            for derivative in (*activation.function(t), curvature(activation.function, t)):
                assert derivative.dtype == dtype
                assert bool(derivative.isfinite().all())
                assert derivative.shape == t.shape

    def test_a_curvature_is_a_constant_also_where_nothing_is_differentiated(self, name, activation):
        t = torch.linspace(-6, 6, 9, dtype=torch.float64)
        found = curvature(activation.function, t.clone().requires_grad_())
        with torch.no_grad():
            assert torch.equal(curvature(activation.function, t), found)
        assert not found.requires_grad

    def test_near_points_it_is_its_jacobian(self, name, activation):
        """J e and J'w, and J from its parts, against autograd of raw at each point."""
        for units in (1, 4, 5):
            t, e = points(units, 6), points(2 * units, 6, seed=1).view(units, 2, 6)
            near = activation.near(t)
            w = points(2 * len(near.value), 6, seed=2).view(-1, 2, 6)
            torch.testing.assert_close(near.value, activation.raw(t))
            whole = torch.zeros(len(near.value), units, 6, dtype=t.dtype)
            for entries, columns in near.parts():
                columns = torch.arange(units)[columns]
                whole[torch.arange(len(whole)), columns] += entries
            for k, at in enumerate(t.T):
                jacobian = torch.autograd.functional.jacobian(lambda z: activation.raw(z[:, None])[:, 0], at)
                torch.testing.assert_close(near.pushed(e)[..., k], jacobian @ e[..., k])
                torch.testing.assert_close(near.pulled(w)[..., k], jacobian.T @ w[..., k])
                torch.testing.assert_close(whole[..., k], jacobian)

    def test_an_arrangement_and_its_transpose_are_adjoint(self, name, activation):
        arrangement = activation.arrangement
        assert arrangement.copies == activation.copies
        for units in (1, 4, 5):
            t, u, seed = points(units, 6), points(units, 6, seed=1), points(arrangement.copies * units, 6, seed=2)
            pattern = arrangement.pattern(t)
            there = (arrangement.apply(u, pattern) * seed).sum()
            torch.testing.assert_close(there, (u * arrangement.transpose(seed, pattern)).sum())

    def test_it_says_whether_it_is_elementwise(self, name, activation):
        alone, together = points(1, 6), points(3, 6)
        each = torch.cat([activation(row[None]) for row in together])
        is_elementwise = activation.copies == 1 and torch.allclose(activation(together), each, atol=1e-14)
        assert activation.is_elementwise == is_elementwise == (activation.arrangement is IN_PLACE)
        assert activation(alone).shape == (activation.copies, 6)


def test_lipswish_is_the_papers():
    t = points(3, 20)
    torch.testing.assert_close(ACTIVATIONS["lipswish"](t, 2.5), t * torch.sigmoid(2.5 * t) / 1.1, rtol=2e-4, atol=0)


def test_clipswish_is_lipswish_of_both_signs_over_1_004():
    t = points(3, 20)
    lipswish = torch.cat([t * torch.sigmoid(t), -t * torch.sigmoid(-t)]) / 1.1
    torch.testing.assert_close(ACTIVATIONS["clipswish"](t), lipswish / 1.004, rtol=1e-4, atol=0)
    in_1_norm, in_2_norm = map(ACTIVATIONS["clipswish"].lipschitz, (1, 2))
    assert in_1_norm / in_2_norm == pytest.approx(1.086, abs=5e-4)


def test_cpila_is_its_definition():
    """Ahn et al. 2022, k = 5: both signs, moved by 0.2; x where x > 0, else (k^2/2 x^3 - k x^2 + x) exp(k x)."""

    def pila(x):
        return torch.where(x > 0, x, (12.5 * x**3 - 5 * x**2 + x) * torch.exp(5 * x))

    t, constant = points(3, 20), ACTIVATIONS["cpila"].lipschitz(2)
    torch.testing.assert_close(ACTIVATIONS["cpila"](t) * constant, torch.cat([pila(t - 0.2), pila(-t - 0.2)]))
    assert constant == pytest.approx(1.06, abs=2e-3)


@pytest.mark.parametrize("p", [1, 1.2, 1.7, 1.81, 1.9, 2, 3, 10])
def test_cpilas_constant_holds_in_every_norm(p):
    t, cpila = torch.linspace(-8, 8, 200_001, dtype=torch.float64), ACTIVATIONS["cpila"]
    _, right = cpila.function(t)
    steepest = float(torch.stack([right, right.flip(0)]).norm(p, dim=0).max())
    assert steepest <= cpila.lipschitz(p)
    assert steepest == pytest.approx(cpila.lipschitz(p), abs=1e-4)


@pytest.mark.parametrize(
    ("t", "expected"),
    [([1.0, 2.0, 4.0, 3.0, -5.0], [2.0, 1.0, 4.0, 3.0, -5.0]), ([7.0], [7.0]), ([0.0, 0.0], [0.0, 0.0])],
)
def test_maxmin_sorts_pairs_and_passes_an_odd_unit_through(t, expected):
    assert ACTIVATIONS["maxmin"](torch.tensor([t]).T).T.tolist() == [expected]


def test_a_slope_is_computed_only_when_asked_for():
    seen = []

    class Watched(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(func.overloadpacket)
            return func(*args, **(kwargs or {}))

    with Watched():
        both = ACTIVATIONS["sine"].function(torch.zeros(3))
        next(both)
        assert torch.ops.aten.cos not in seen
        next(both)
    assert torch.ops.aten.cos in seen
