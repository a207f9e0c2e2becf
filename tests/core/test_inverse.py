import numpy as np
import pytest
import torch

from resflow_core.inverse import NotConverged, solve_banach, solve_broyden
from resflow_core.residual import Branch
from tests.core.oracles import LinearBranch, points, seeded

SOLVERS = {"banach": solve_banach, "broyden": solve_broyden}


@pytest.fixture(params=SOLVERS.values(), ids=SOLVERS.keys())
def solve(request):
    return request.param


def at_its_cap(activation, budget, dim=2):
    branch = Branch([dim, 16, 16, dim], activation, budget, seeded(0)).double()
    with torch.no_grad():
        for linear in branch.linears:
            linear.raw.mul_(10)
    return branch


@pytest.mark.parametrize("dim", [2, 5])
@pytest.mark.parametrize("activation", ["lipswish", "elu", "sine"])
@pytest.mark.parametrize("budget", [0.5, 0.97, 0.99])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-9])
def test_the_true_error_is_within_the_tolerance(solve, activation, budget, dim, tolerance):
    branch, x = at_its_cap(activation, budget, dim), 3 * points(200, dim)
    with torch.no_grad():
        z = x + branch(x)
    found = solve(branch, z, branch.lipschitz, tolerance)
    assert float((found - x).norm(dim=1).max()) <= tolerance


def test_in_float32_the_error_is_the_tolerance_plus_rounding(solve):
    branch = at_its_cap("lipswish", 0.97)
    exact = 3 * points(500, 2)
    with torch.no_grad():
        z = (exact + branch(exact)).float()
        truth = solve_broyden(branch, z.double(), branch.lipschitz, 1e-12)
        found = solve(branch.float(), z, branch.lipschitz, 1e-6)
    slack = 16 * np.finfo(np.float32).eps * (1 + z.norm(dim=1)) / (1 - branch.lipschitz)
    assert bool(((found - truth).norm(dim=1) <= 1e-6 + slack).all())


def test_a_linear_branch_is_solved_as_numpy_solves_it(solve):
    branch, z = LinearBranch(), points(50, 2)
    expected = np.linalg.solve(np.eye(2) + branch.a.detach().numpy(), z.numpy().T).T
    np.testing.assert_allclose(solve(branch, z, 0.6, 1e-12), expected, atol=1e-11)


def test_a_branch_that_breaks_its_bound_is_an_error_that_names_the_point(solve):
    folded = _Folded()
    z = torch.tensor([[0.0, 0.0], [1.25, -0.5]], dtype=torch.float64)
    with pytest.raises(NotConverged, match=r"1 of 2 points; the first is z = \[1.25, -0.5\] \(row 1\)"):
        solve(folded, z, 0.9)


class _Folded(torch.nn.Module):
    """g(x) = -x + 0.1 tanh(x): f never leaves (-0.1, 0.1), so larger z have no preimage at all."""

    def forward(self, x):
        return -x + 0.1 * torch.tanh(x)


def test_a_point_that_is_not_a_number_is_the_one_that_is_named(solve):
    z = torch.tensor([[0.3, 0.2], [float("nan"), 0.0]], dtype=torch.float64)
    with pytest.raises(NotConverged, match=r"1 of 2 points; the first is z = \[nan, 0.0\] \(row 1\)"):
        solve(LinearBranch(), z, 0.9)


@pytest.mark.parametrize("budget", [0.97, 0.99, 0.999])
def test_far_preimages_are_found_in_float32(solve, budget):
    # f shrinks by 1 - L here: x lies up to 1,000 times as far out as z, and rounding is in proportion to x.
    branch = LinearBranch(-budget * (1 - 1e-5) * torch.eye(2))
    z = points(500, 2).float()
    x = solve(branch, z, budget)
    exact = z.double() / (1 - budget * (1 - 1e-5))
    assert bool(((x - exact).norm(dim=1) <= 1e-6 + 3e-6 * (1 + z.norm(dim=1) + x.norm(dim=1)) / (1 - budget)).all())


def test_weights_that_are_not_numbers_are_an_error(solve):
    branch = LinearBranch(torch.full((2, 2), float("nan"), dtype=torch.float64))
    with pytest.raises(NotConverged, match="weights are finite"):
        solve(branch, points(3, 2), 0.9)


@pytest.mark.parametrize("lipschitz", [1.0, 1.3, float("nan")])
def test_a_bound_of_one_certifies_nothing(solve, lipschitz):
    with pytest.raises(ValueError, match="must be below 1"):
        solve(LinearBranch(), points(3, 2), lipschitz)


def test_no_points_are_no_problem(solve):
    assert solve(LinearBranch(), torch.zeros(0, 2, dtype=torch.float64), 0.9).shape == (0, 2)
