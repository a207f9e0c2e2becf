"""Three iterations to x + g(x) = z against loops by hand, SciPy's root finder and Banach's theorem."""

import math

import numpy as np
import pytest
import torch
from scipy import optimize

from resflow_core.measure.inverse_iterations import (
    ITERATIONS,
    MOST_PERIOD,
    banach,
    chord,
    fate,
    newton,
    steps_taken,
    trace,
)
from resflow_core.residual import Branch
from tests.core.breathing import Breaths
from tests.core.oracles import LinearBranch, autograd_jacobian, points, seeded

INF = math.inf
GOAL, MOST = 1e-5, 3


class OnOneAxis:
    """g(x, y) = (h(x), c y): a map of the line, and a linear one beside it."""

    def __init__(self, h, c=0.3):
        self.h, self.c = h, c

    def __call__(self, x):
        return torch.stack([self.h(x[..., 0]), self.c * x[..., 1]], -1)

    def value_and_jacobian(self, x):
        return self(x), autograd_jacobian(self, x)


def steep(chain="2", budget=0.8, dim=2):
    branch = Branch([dim, 8, dim], "sine", budget, seeded(1), chain).double()
    with torch.no_grad():
        for linear in branch.linears:
            linear.raw.mul_(10)
            linear.bias.mul_(3)
    return branch.requires_grad_(False)


BRANCHES = {"sine": steep(), "linear": LinearBranch().requires_grad_(False), "five": steep(dim=5)}


def numpy_g(g):
    return lambda x: g(torch.from_numpy(np.atleast_2d(x))).numpy()


class TestTraces:
    @pytest.mark.parametrize("name", BRANCHES)
    @pytest.mark.parametrize("method", ITERATIONS)
    def test_they_are_those_of_a_loop_by_hand(self, method, name):
        g = BRANCHES[name]
        dim = 5 if name == "five" else 2
        z = 2 * points(6, dim)
        found = trace(ITERATIONS[method], g, z, 7, order=1.5)
        f, jacobians = numpy_g(g), [autograd_jacobian(g, z).numpy()]
        x, identity = z.numpy(), np.eye(dim)
        for n in range(8):
            np.testing.assert_allclose(found.x[n], x, rtol=1e-9, atol=1e-9)
            r = z.numpy() - x - f(x)
            np.testing.assert_allclose(found.residual[n], np.linalg.norm(r, 1.5, axis=1), atol=1e-9)
            if method == "banach":
                x = z.numpy() - f(x)
            else:
                a = autograd_jacobian(g, torch.from_numpy(x)).numpy() if method == "newton" else jacobians[0]
                x = x + np.linalg.solve(identity + a, r[..., None])[..., 0]
        assert found.x.shape == (8, 6, dim) and found.residual.shape == (8, 6)

    @pytest.mark.parametrize("method", ITERATIONS)
    @pytest.mark.thorough
    def test_they_end_where_scipy_finds_the_root(self, method):
        g, z = BRANCHES["sine"], 2 * points(10, 2, seed=4)
        ends = trace(ITERATIONS[method], g, z, 150).x[-1].numpy()
        f = numpy_g(g)
        for target, end in zip(z.numpy(), ends, strict=True):
            root = optimize.root(lambda x, t=target: x + f(x)[0] - t, target, tol=1e-13)
            assert root.success
            np.testing.assert_allclose(end, root.x, atol=1e-9)

    def test_newton_doubles_correct_digits(self):
        g, z = BRANCHES["sine"], points(20, 2)
        end = trace(newton, g, z, 40).x[-1]
        errors = (trace(newton, g, z, 6).x - end).norm(dim=2)
        near = errors[:-1] < 0.05
        assert near.any()
        assert (errors[1:][near] <= 5 * errors[:-1][near] ** 2 + 1e-13).all()

    def test_newton_solves_a_linear_map_in_one_step_and_the_chord_as_well(self):
        z = points(9, 2)
        for method in (newton, chord):
            assert (trace(method, BRANCHES["linear"], z, 1).residual[1] < 1e-14).all()


class TestBounds:
    @pytest.mark.parametrize(("chain", "p"), [("2", 2.0), ("1", 1.0), ("inf", INF), ("mixed", INF)])
    @pytest.mark.parametrize("budget", [0.3, 0.9])
    def test_a_priori_is_above_a_posteriori_and_that_above_the_true_error(self, chain, p, budget):
        g, x = steep(chain, budget), 3 * points(2000, 2)
        z = x + g(x)
        found = trace(banach, g, z, 60, p)
        error = torch.linalg.vector_norm(found.x - x, p, dim=2)
        rounding = 1e-13 / (1 - budget)
        assert (error <= found.a_posteriori(budget) + rounding).all()
        assert (found.a_posteriori(budget) <= found.a_priori(budget, p) + rounding).all()
        torch.testing.assert_close(found.a_priori(budget, p)[0], found.a_posteriori(budget)[0])

    @pytest.mark.parametrize("method", ITERATIONS)
    def test_a_posteriori_holds_however_x_was_found(self, method):
        g, x = steep("inf", 0.9), 3 * points(2000, 2)
        found = trace(ITERATIONS[method], g, x + g(x), 12, INF)
        error = torch.linalg.vector_norm(found.x - x, INF, dim=2)
        assert (error <= found.a_posteriori(0.9) + 1e-12).all()

    def test_they_are_tight_for_a_multiple_of_the_identity(self):
        g, z = LinearBranch(-0.6 * torch.eye(2, dtype=torch.float64)).requires_grad_(False), points(5, 2)
        found, x = trace(banach, g, z, 20), z / 0.4
        error = (found.x - x).norm(dim=2)
        torch.testing.assert_close(found.a_priori(0.6), error, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(found.a_posteriori(0.6), error, rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("lipschitz", [1.0, 1.5, math.nan, INF])
    def test_without_a_bound_below_1_they_are_infinite(self, lipschitz):
        found = trace(banach, BRANCHES["linear"], points(3, 2), 4)
        for bound in (found.a_priori(lipschitz), found.a_posteriori(lipschitz)):
            assert bound.shape == (5, 3) and bound.isposinf().all()


class TestStepsTaken:
    @pytest.mark.parametrize("method", ITERATIONS)
    @pytest.mark.parametrize("order", [1.0, 2.0, INF])
    def test_they_are_counted_in_the_trace(self, method, order):
        g, z = BRANCHES["sine"], 3 * points(200, 2)
        z[0] = g(torch.zeros(1, 2, dtype=torch.float64))[0]
        breathe = Breaths()
        counts = steps_taken(ITERATIONS[method], g, z, GOAL, MOST, order, breathe)
        residual = trace(ITERATIONS[method], g, z, MOST, order).residual.numpy()
        for count, column in zip(counts.tolist(), residual.T, strict=True):
            arrived = np.flatnonzero(column <= GOAL)
            assert count == (arrived[0] if len(arrived) else MOST + 1)
        assert counts.dtype == torch.int64
        assert breathe.count == min(MOST + 1, int(counts.max()))
        if method == "banach":
            assert int(counts.max()) == MOST + 1  # the case that is given up is among them

    def test_who_is_there_already_takes_none(self):
        g = LinearBranch(torch.zeros(2, 2, dtype=torch.float64))
        breathe = Breaths()
        counts = steps_taken(banach, g, points(4, 2), 1e-9, 5, breathe=breathe)
        assert counts.tolist() == [0, 0, 0, 0] and breathe.count == 0

    def test_a_step_that_comes_back_out_does_not_count_again(self):
        """Residuals that fall below the goal once and rise: the first time counts."""
        g = OnOneAxis(lambda x: 3.0 * x)  # Banach's iteration leaves
        z = torch.tensor([[1e-7, 0.0]], dtype=torch.float64)
        counts = steps_taken(banach, g, z, 1e-6, 40)
        assert counts.tolist() == [0]


def fate_of(h, z, method=banach, steps=120, goal=1e-6):
    found = trace(method, OnOneAxis(h), torch.tensor([z], dtype=torch.float64), steps)
    return fate(found.x[:, 0], found.residual[:, 0], goal)


class TestFate:
    def test_a_contraction_arrives(self):
        assert fate_of(lambda x: 0.8 * torch.sin(x), [2.0, 1.0]) == "arrives"
        assert fate_of(lambda x: 0.8 * torch.sin(x), [2.0, 1.0], newton) == "arrives"

    @pytest.mark.parametrize("slope", [-1.5, 1.5])
    def test_an_expansion_leaves(self, slope):
        assert fate_of(lambda x: slope * x, [1.0, 0.0]) == "leaves"

    def test_what_is_no_longer_finite_has_left(self):
        assert fate_of(lambda x: x**3, [30.0, 0.0], steps=40) == "leaves"

    def test_x_to_z_minus_steep_tanh_has_a_2_cycle(self):
        """x -> -1.5 tanh x: 0 repels (slope -1.5), and x = 1.5 tanh x has attracting solutions +-1.2878."""
        x = optimize.brentq(lambda x: 1.5 * np.tanh(x) - x, 0.5, 2)
        g = OnOneAxis(lambda x: 1.5 * torch.tanh(x))
        found = trace(banach, g, torch.zeros(1, 2, dtype=torch.float64) + 1e-3, 120)
        assert fate(found.x[:, 0], found.residual[:, 0], 1e-6) == "cycles with period 2"
        assert sorted(found.x[-2:, 0, 0].tolist()) == pytest.approx([-x, x], abs=2e-3)
        # The one preimage of 0 is there all along.
        assert fate_of(lambda x: 1.5 * torch.tanh(x), [1e-3, 0.0], newton) == "arrives"

    @pytest.mark.parametrize(("r", "period"), [(3.2, 2), (3.5, 4), (3.55, 8), (3.83, 3)])
    def test_the_logistic_map_has_the_periods_that_are_known_of_it(self, r, period):
        """z - g(x) = r x (1 - x) with z = 0.4: the walk begins at z."""
        walk = fate_of(lambda x: 0.4 - r * x * (1 - x), [0.4, 0.0], steps=1000)
        assert walk == f"cycles with period {period}"
        assert period <= MOST_PERIOD

    @pytest.mark.parametrize("r", [3.7, 3.9])
    def test_where_it_is_chaotic_it_wanders(self, r):
        assert fate_of(lambda x: 0.4 - r * x * (1 - x), [0.4, 0.0], steps=300) == "wanders"

    @pytest.mark.parametrize("slope", [0.99, 0.9999, 0.999999])
    def test_slow_convergence_from_side_to_side_is_no_cycle(self, slope):
        """x -> z - slope x: after two steps it is nearly where it was, and nearer to its end."""
        assert fate_of(lambda x: slope * x, [1.0, 0.0], steps=120) == "comes nearer"

    def test_a_short_walk_shows_no_period(self):
        assert fate_of(lambda x: 1.5 * torch.tanh(x), [1e-3, 0.0], steps=4) == "wanders"
