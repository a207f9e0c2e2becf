"""Activations as the paper's file has them, and their closed forms, against PyTorch, autograd and search."""

import copy
import functools
import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from resflow_core.activations import ACTIVATIONS, Activation
from resflow_core.fast.closed_forms import CLOSED_FORMS, NoClosedForm, closed_form
from tests.core.oracles import autograd_jacobian, points

ELEMENTWISE = [name for name, activation in ACTIVATIONS.items() if activation.is_elementwise]
SCALED = [name for name, activation in ACTIVATIONS.items() if activation.initial_scale]
# Independent forms of raw, where PyTorch has one.
PYTORCH = {
    "silu": torch.nn.SiLU(), "lipswish": torch.nn.SiLU(), "clipswish": torch.nn.SiLU(), "elu": torch.nn.ELU(),
    "celu": torch.nn.CELU(), "tanh": torch.nn.Tanh(), "softplus": torch.nn.Softplus(), "relu": torch.nn.ReLU(),
    "leaky_relu": torch.nn.LeakyReLU(), "selu": torch.nn.SELU(), "gelu": torch.nn.GELU(), "mish": torch.nn.Mish(),
    "sine": torch.sin, "maxmin": torch.nn.Identity(),
}  # fmt: skip


@functools.cache
def jacobian_of_two(name, t):
    """Of phi for two units, at t and next to it."""
    rows = torch.tensor([[t, t + 1e-9]], dtype=torch.float64)
    return autograd_jacobian(ACTIVATIONS[name], rows)[0]


@pytest.mark.parametrize(("name", "activation"), ACTIVATIONS.items(), ids=ACTIVATIONS)
class TestEveryActivation:
    @pytest.mark.thorough
    @pytest.mark.parametrize("p", [1, 2, math.inf])
    @pytest.mark.slow
    def test_its_constant_is_the_largest_slope_found_by_search(self, name, activation, p):
        """The Jacobian at a point that has two units: equal ones, so that one number is searched."""

        def steepness(t):
            return float(torch.linalg.matrix_norm(jacobian_of_two(name, t), p))

        grid = np.linspace(-15.01, 15.01, 601)
        best = grid[np.argmax([steepness(t) for t in grid.tolist()])]
        found = minimize_scalar(lambda t: -steepness(t), bounds=(best - 0.1, best + 0.1), method="bounded")
        largest = max(-found.fun, steepness(best))
        assert largest <= activation.lipschitz(p) * (1 + 1e-12)
        assert largest == pytest.approx(activation.lipschitz(p), abs=1e-4)

    def test_no_two_points_are_moved_apart_by_more_than_the_constant(self, name, activation):
        for units, beta in itertools.product([1, 2, 5], [0.5, 3.0]):
            a, b = 3 * points(2_000, units, seed=1), 3 * points(2_000, units, seed=2)
            b = torch.where(torch.arange(2_000)[:, None] % 2 == 0, b, a + 1e-3 * b)  # far and near
            for p in (1, 2, math.inf):
                moved = (activation(a, beta, p) - activation(b, beta, p)).norm(p, dim=1) / (a - b).norm(p, dim=1)
                # Rounding, of points that are 1e-3 apart.
                assert float(moved.max()) <= 1 + 1e-10, (units, beta, p)

    def test_it_is_raw_over_its_constant(self, name, activation):
        t, form = points(20, 4), closed_form(activation)
        torch.testing.assert_close(activation(t) * form.lipschitz(2), form.raw(t.T).T, atol=1e-14, rtol=1e-14)
        for p in (1, 3, math.inf):
            assert activation.lipschitz(p) == pytest.approx(form.lipschitz(p) / form.lipschitz(2))

    def test_its_closed_form_is_that_of_its_function(self, name, activation):
        assert closed_form(activation) is CLOSED_FORMS[activation.function]

    def test_copies_share_it(self, name, activation):
        assert copy.deepcopy(activation) is activation


@pytest.mark.parametrize("name", SCALED)
def test_a_scale_stretches_the_axes(name):
    """phi_beta(z) = phi(beta z) / beta."""
    t, activation = points(30, 3), ACTIVATIONS[name]
    for beta in (0.3, 1.0, 4.0):
        torch.testing.assert_close(activation(t, beta), activation(beta * t) / beta)


@pytest.mark.parametrize(("name", "activation"), ACTIVATIONS.items(), ids=ACTIVATIONS)
class TestEveryClosedForm:
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

    def test_autograd_differentiates_the_value_twice(self, name, activation):
        t = torch.linspace(-6, 6, 100, dtype=torch.float64).requires_grad_()
        value, slope, curvature = closed_form(activation).derivatives(t)
        (first,) = torch.autograd.grad(value.sum(), t, create_graph=True)
        second = torch.zeros_like(t)
        if first.requires_grad:
            (second,) = torch.autograd.grad(first.sum(), t, materialize_grads=True)
        torch.testing.assert_close(first, slope, atol=1e-12, rtol=0)
        torch.testing.assert_close(second, curvature, atol=1e-12, rtol=0)

    def test_values_stay_finite_and_of_their_dtype_far_out(self, name, activation):
        for dtype in (torch.float32, torch.float64):
            t = torch.tensor([-1e4, -100, 0, 100, 1e4], dtype=dtype)
            for derivative in closed_form(activation).derivatives(t):
                assert derivative.dtype == dtype
                assert bool(derivative.isfinite().all())
                assert derivative.shape == t.shape

    def test_an_arrangement_and_its_transpose_are_adjoint(self, name, activation):
        arrangement = closed_form(activation).arrangement
        assert arrangement.copies == activation.copies
        for units in (1, 4, 5):
            t, u, seed = points(units, 6), points(units, 6, seed=1), points(arrangement.copies * units, 6, seed=2)
            pattern = arrangement.pattern(t)
            there = (arrangement.apply(u, pattern) * seed).sum()
            torch.testing.assert_close(there, (u * arrangement.transpose(seed, pattern)).sum())

    def test_it_says_as_well_whether_it_is_elementwise(self, name, activation):
        form = closed_form(activation)
        assert copy.deepcopy(form).is_elementwise == form.is_elementwise == activation.is_elementwise


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_phi_is_raw_divided_by_its_constant(name):
    t, form = torch.linspace(-4, 4, 101, dtype=torch.float64), closed_form(ACTIVATIONS[name])
    for found, raw in zip(form.phi(t), form.derivatives(t), strict=True):
        torch.testing.assert_close(found * form.lipschitz(2), raw)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - set(ELEMENTWISE)))
def test_what_is_no_function_of_one_number_says_so(name):
    with pytest.raises(ValueError, match="not a function of one number"):
        closed_form(ACTIVATIONS[name]).phi(torch.zeros(3))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_without_an_entry_derivatives_come_by_automatic_differentiation(name):
    """The function in a wrapper has no entry; a constant of its own, 1, since phi is divided already."""
    activation = ACTIVATIONS[name]
    by_autograd = closed_form(Activation(name, lambda z: activation(z)))
    t = torch.linspace(-4, 4, 40, dtype=torch.float64)  # without 0
    for found, expected in zip(by_autograd.derivatives(t), closed_form(activation).phi(t), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    assert by_autograd.lipschitz(3) == 1


def test_what_acts_on_several_units_has_no_closed_form_without_an_entry():
    with pytest.raises(NoClosedForm, match="sorted acts on several units"):
        closed_form(Activation("sorted", lambda z: z.sort(-1).values, is_elementwise=False))


def test_lipswish_is_the_papers():
    t = points(20, 3)
    torch.testing.assert_close(ACTIVATIONS["lipswish"](t, 2.5), t * torch.sigmoid(2.5 * t) / 1.1, rtol=2e-4, atol=0)


def test_clipswish_is_lipswish_of_both_signs_over_1_004():
    t = points(20, 3)
    lipswish = torch.cat([t * torch.sigmoid(t), -t * torch.sigmoid(-t)], 1) / 1.1
    torch.testing.assert_close(ACTIVATIONS["clipswish"](t), lipswish / 1.004, rtol=1e-4, atol=0)
    assert ACTIVATIONS["clipswish"].lipschitz(1) == pytest.approx(1.086, abs=5e-4)


def test_cpila_is_its_definition():
    """Ahn et al. 2022, k = 5: both signs, moved by 0.2; x where x > 0, else (k^2/2 x^3 - k x^2 + x) exp(k x)."""

    def pila(x):
        return torch.where(x > 0, x, (12.5 * x**3 - 5 * x**2 + x) * torch.exp(5 * x))

    t, constant = points(20, 3), closed_form(ACTIVATIONS["cpila"]).lipschitz(2)
    torch.testing.assert_close(ACTIVATIONS["cpila"](t) * constant, torch.cat([pila(t - 0.2), pila(-t - 0.2)], 1))
    assert constant == pytest.approx(1.06, abs=2e-3)


@pytest.mark.parametrize("p", [1, 1.2, 1.7, 1.81, 1.9, 2, 3, 10])
def test_cpilas_constant_holds_in_every_norm(p):
    t, form = torch.linspace(-8, 8, 200_001, dtype=torch.float64), closed_form(ACTIVATIONS["cpila"])
    _, right, _ = form.derivatives(t)
    steepest = float(torch.stack([right, right.flip(0)]).norm(p, dim=0).max())
    assert steepest <= form.lipschitz(p)
    assert steepest == pytest.approx(form.lipschitz(p), abs=1e-4)


@pytest.mark.parametrize(
    ("t", "expected"),
    [([1.0, 2.0, 4.0, 3.0, -5.0], [2.0, 1.0, 4.0, 3.0, -5.0]), ([7.0], [7.0]), ([0.0, 0.0], [0.0, 0.0])],
)
def test_maxmin_sorts_pairs_and_passes_an_odd_unit_through(t, expected):
    assert ACTIVATIONS["maxmin"](torch.tensor([t])).tolist() == [expected]


def test_derivatives_are_computed_only_when_asked_for():
    (value,) = itertools.islice(closed_form(ACTIVATIONS["sine"]).derivatives(torch.zeros(3)), 1)
    assert torch.equal(value, torch.zeros(3))
