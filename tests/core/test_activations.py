"""Activations as the paper's file has them, and their derivatives, against PyTorch, autograd and search."""

import itertools
import math

import pytest
import torch

from resflow_core.activations import ACTIVATIONS, Activation
from resflow_core.fast.closed_forms import NoClosedForm, closed_form
from tests.core.oracles import points

ELEMENTWISE = [name for name, activation in ACTIVATIONS.items() if activation.is_elementwise]
SCALED = [name for name, activation in ACTIVATIONS.items() if activation.initial_scale]
# Independent forms of raw, where PyTorch has one.
PYTORCH = {
    "silu": torch.nn.SiLU(), "lipswish": torch.nn.SiLU(), "clipswish": torch.nn.SiLU(), "elu": torch.nn.ELU(),
    "celu": torch.nn.CELU(), "tanh": torch.nn.Tanh(), "softplus": torch.nn.Softplus(), "relu": torch.nn.ReLU(),
    "leaky_relu": torch.nn.LeakyReLU(), "selu": torch.nn.SELU(), "gelu": torch.nn.GELU(), "mish": torch.nn.Mish(),
    "sine": torch.sin, "maxmin": torch.nn.Identity(),
}  # fmt: skip


@pytest.mark.parametrize(("name", "activation"), ACTIVATIONS.items(), ids=ACTIVATIONS)
class TestEveryActivation:
    def test_its_constant_is_the_largest_slope_found_by_search(self, name, activation):
        """Of the Jacobian at a point that has two nearly equal units, so that one number is searched."""

        def jacobians(t):
            rows = torch.stack([t, t + 1e-9], 1).requires_grad_()
            columns = [torch.autograd.grad(of.sum(), rows, retain_graph=True)[0] for of in activation(rows).unbind(1)]
            return torch.stack(columns, 1)

        grid = torch.linspace(-15.01, 15.01, 6001, dtype=torch.float64)
        for p in (1, 2, math.inf):
            slopes = torch.linalg.matrix_norm(jacobians(grid), p, dim=(1, 2))
            best = grid[slopes.argmax()]
            near = torch.linspace(best - 0.01, best + 0.01, 2001, dtype=torch.float64)
            largest = float(torch.linalg.matrix_norm(jacobians(near), p, dim=(1, 2)).max())
            assert largest <= activation.lipschitz(p) * (1 + 1e-12)
            assert largest == pytest.approx(activation.lipschitz(p), abs=1e-4)

    def test_no_two_points_are_moved_apart_by_more_than_the_constant(self, name, activation):
        for units, beta in itertools.product([1, 5], [0.5, 3.0]):
            a, b = 3 * points(2_000, units, seed=1), 3 * points(2_000, units, seed=2)
            b = torch.where(torch.arange(2_000)[:, None] % 2 == 0, b, a + 1e-3 * b)  # far and near
            for p in (1, 2, math.inf):
                moved = (activation(a, beta, p) - activation(b, beta, p)).norm(p, dim=1) / (a - b).norm(p, dim=1)
                # Rounding, of points that are 1e-3 apart.
                assert float(moved.max()) <= 1 + 1e-10, (units, beta, p)

    def test_value_slope_and_curvature_are_each_others_derivatives(self, name, activation):
        t = torch.linspace(-6, 6, 400, dtype=torch.float64).requires_grad_()  # without 0, where some have none
        value, slope, curvature = closed_form(activation).derivatives(t)
        if name in PYTORCH:
            torch.testing.assert_close(value, PYTORCH[name](t), atol=1e-12, rtol=0)
        for found, function in ((slope, value), (curvature, slope)):
            expected = torch.zeros_like(t)
            if function.requires_grad:
                (expected,) = torch.autograd.grad(function.sum(), t, retain_graph=True)
            torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
        (first,) = torch.autograd.grad(value.sum(), t, create_graph=True)
        second = torch.zeros_like(t)
        if first.requires_grad:
            (second,) = torch.autograd.grad(first.sum(), t, materialize_grads=True)
        torch.testing.assert_close(second, curvature, atol=1e-12, rtol=0)

    def test_it_is_raw_over_its_constant_and_finite_far_out(self, name, activation):
        t, form = points(20, 4), closed_form(activation)
        torch.testing.assert_close(activation(t) * form.lipschitz(2), form.raw(t.T).T, atol=1e-14, rtol=1e-14)
        for p in (1, 3, math.inf):
            assert activation.lipschitz(p) == pytest.approx(form.lipschitz(p) / form.lipschitz(2))
        for dtype in (torch.float32, torch.float64):
            far = torch.tensor([-1e4, -100, 0, 100, 1e4], dtype=dtype)
            for derivative in form.derivatives(far):
                assert derivative.dtype == dtype and bool(derivative.isfinite().all())


@pytest.mark.parametrize("name", SCALED)
def test_a_scale_stretches_the_axes(name):
    """phi_beta(z) = phi(beta z) / beta."""
    t, activation = points(30, 3), ACTIVATIONS[name]
    for beta in (0.3, 1.0, 4.0):
        torch.testing.assert_close(activation(t, beta), activation(beta * t) / beta)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_without_an_entry_derivatives_come_by_automatic_differentiation(name):
    """The function in a wrapper has no entry; a constant of its own, 1, since phi is divided already."""
    activation = ACTIVATIONS[name]
    by_autograd = closed_form(Activation(name, lambda z: activation(z)))
    t = torch.linspace(-4, 4, 40, dtype=torch.float64)  # without 0
    for found, expected in zip(by_autograd.derivatives(t), closed_form(activation).phi(t), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    assert by_autograd.lipschitz(3) == 1


def test_what_acts_on_several_units_says_so():
    with pytest.raises(ValueError, match="not a function of one number"):
        closed_form(ACTIVATIONS["maxmin"]).phi(torch.zeros(3))
    with pytest.raises(NoClosedForm, match="sorted acts on several units"):
        closed_form(Activation("sorted", lambda z: z.sort(-1).values, is_elementwise=False))


def test_cpila_is_its_definition_and_its_constant_holds_in_every_norm():
    """Ahn et al. 2022, k = 5: both signs, moved by 0.2; x where x > 0, else (k^2/2 x^3 - k x^2 + x) exp(k x)."""

    def pila(x):
        return torch.where(x > 0, x, (12.5 * x**3 - 5 * x**2 + x) * torch.exp(5 * x))

    t, form = points(20, 3), closed_form(ACTIVATIONS["cpila"])
    expected = torch.cat([pila(t - 0.2), pila(-t - 0.2)], 1)
    torch.testing.assert_close(ACTIVATIONS["cpila"](t) * form.lipschitz(2), expected)
    assert form.lipschitz(2) == pytest.approx(1.06, abs=2e-3)
    t = torch.linspace(-8, 8, 100_001, dtype=torch.float64).requires_grad_()
    slopes = torch.stack([torch.autograd.grad(pila(sign * t - 0.2).sum(), t)[0] for sign in (1, -1)])
    for p in (1, 1.2, 1.81, 1.9, 2, 10):
        steepest = float(slopes.norm(p, dim=0).max())
        assert steepest <= form.lipschitz(p)
        assert steepest == pytest.approx(form.lipschitz(p), abs=1e-4)


@pytest.mark.parametrize(
    ("t", "expected"),
    [([1.0, 2.0, 4.0, 3.0, -5.0], [2.0, 1.0, 4.0, 3.0, -5.0]), ([7.0], [7.0]), ([0.0, 0.0], [0.0, 0.0])],
)
def test_maxmin_sorts_pairs_and_passes_an_odd_unit_through(t, expected):
    assert ACTIVATIONS["maxmin"](torch.tensor([t])).tolist() == [expected]
