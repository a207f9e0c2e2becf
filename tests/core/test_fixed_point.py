import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch

from resflow_core.fast.broyden import solve_broyden
from resflow_core.fixed_point import NotConverged, solve_banach
from resflow_core.norms.induced import vector_norm
from resflow_core.residual import Branch
from tests.core.oracles import LinearBranch, points, seeded
from tests.covering import covering

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


@pytest.mark.parametrize(
    ("dim", "activation", "budget", "tolerance"),
    [
        [*row.values()]
        for row in covering(
            {
                "dim": [2, 5],
                "activation": ["lipswish", "elu", "sine"],
                "budget": [0.5, 0.97, 0.99],
                "tolerance": [1e-3, 1e-9],
            }
        )
    ],
)
@pytest.mark.thorough
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
@pytest.mark.thorough
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


def in_order(p):
    """||x||_p of columns."""
    return partial(vector_norm, p=p, dim=0)


ORDERS = [1.0, 1.5, 2.0, 5.0, math.inf]
# In which norm L holds: chains that begin and end with this order.
CHAIN_OF = {1.0: "1", 2.0: "2", math.inf: "inf"}


def in_the_norm_of(p, budget=0.95, activation="sine"):
    """A branch whose L holds in the norm of this order."""
    branch = Branch([2, 16, 2], activation, budget, seeded(0), CHAIN_OF.get(p, "learned")).double()
    with torch.no_grad():
        if branch.raw_orders is not None:
            branch.raw_orders.fill_(-math.log(p - 1))
        for linear in branch.linears:
            linear.raw.mul_(10)
    assert branch.orders[0] == pytest.approx(p)
    return branch.requires_grad_(False)


@pytest.mark.parametrize(
    ("p", "activation"), [*zip(ORDERS, itertools.cycle(["sine", "maxmin"]), strict=False), (math.inf, "maxmin")]
)
class TestInOtherNorms:
    def test_what_the_residual_says_of_the_error_is_true(self, p, activation):
        """||x - x*|| <= ||r|| / (1 - L) at 5,000 x that are anywhere."""
        branch, x = in_the_norm_of(p, activation=activation), 3 * points(5000, 2)
        z = x + branch(x)
        near = x + 10 ** (2 * points(5000, 1, seed=2) - 2) * points(5000, 2, seed=3)
        error = np.linalg.norm((near - x).numpy(), p, axis=1)
        bound = np.linalg.norm((z - near - branch(near)).numpy(), p, axis=1) / (1 - branch.lipschitz)
        assert (error <= bound * (1 + 1e-12) + 1e-13).all()
        assert bound.min() < 1e-2

    @pytest.mark.parametrize("tolerance", [1e-2, 1e-6])
    def test_solvers_keep_their_tolerance_in_that_norm(self, solve, p, activation, tolerance):
        branch, x = in_the_norm_of(p, activation=activation), 3 * points(1000, 2)
        z = x + branch(x)
        found = solve(branch, z, branch.lipschitz, tolerance, branch.norm_of)
        assert np.linalg.norm((found - x).numpy(), p, axis=1).max() <= tolerance
        residual = np.linalg.norm((z - found - branch(found)).numpy(), p, axis=1)
        assert residual.max() <= tolerance * (1 - branch.lipschitz) * (1 + 1e-9)

    def test_in_float32_the_stated_slack_is_enough(self, solve, p, activation):
        branch, x = in_the_norm_of(p, activation=activation), 3 * points(1000, 2)
        z = (x + branch(x)).float()
        truth = solve_broyden(branch, z.double(), branch.lipschitz, 1e-12, branch.norm_of).numpy()
        found = solve(branch.float(), z, branch.lipschitz, 1e-6, branch.norm_of).double().numpy()
        size = 1 + np.linalg.norm(found, p, axis=1)
        slack = 2 * 8 * np.finfo(np.float32).eps * size / (1 - branch.lipschitz)
        assert (np.linalg.norm(found - truth, p, axis=1) <= np.maximum(1e-6, slack)).all()


def test_the_error_is_measured_in_the_norm_that_is_said():
    """A residual that suffices in one norm is too large in another by up to sqrt(2)."""
    a = torch.tensor([[0.0, -0.95], [0.0, 0.0]], dtype=torch.float64)
    z, tolerance = 100 * points(2000, 2), 1e-3
    for p in ORDERS:
        x = solve_banach(LinearBranch(a).requires_grad_(False), z, 0.95, tolerance, in_order(p))
        exact = np.linalg.solve(np.eye(2) + a.numpy(), z.numpy().T).T
        assert np.linalg.norm(x.numpy() - exact, p, axis=1).max() <= tolerance


# Banach's steps alone may stand still in float32, where L times some units in the last place rounds to as many.
ALL_OF_IT = [
    (solve, dtype, size)
    for solve in (solve_banach, solve_broyden)
    for dtype in (torch.float32, torch.float64)
    for size in (0.3, 0.4, 0.9, 0.99)
    if size < 0.5 or solve is solve_broyden or dtype == torch.float64
]


@pytest.mark.thorough
@pytest.mark.parametrize(("solve", "dtype", "size"), ALL_OF_IT)
@pytest.mark.parametrize("order", [1.0, 2.0, math.inf])
@pytest.mark.slow
def test_a_branch_that_uses_all_of_its_bound_is_solved(solve, size, order, dtype):
    """A turn by a right angle and a mirror shrink every residual by exactly L, which rounding takes for too little."""
    for a in ([[0.0, -size], [size, 0.0]], [[0.0, size], [size, 0.0]], [[size, 0.0], [0.0, size]]):
        a, z = torch.tensor(a, dtype=dtype), points(300, 2).to(dtype)
        x = solve(LinearBranch(a).requires_grad_(False), z, size, 1e-6, in_order(order)).double()
        exact = np.linalg.solve(np.eye(2) + a.double().numpy(), z.double().numpy().T).T
        slack = 1e-6 + 16 * torch.finfo(dtype).eps * (1 + np.linalg.norm(exact, order, axis=1)) / (1 - size)
        assert (np.linalg.norm(x.numpy() - exact, order, axis=1) <= slack).all()
