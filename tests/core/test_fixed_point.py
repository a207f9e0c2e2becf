import itertools
import math

import numpy as np
import pytest
import torch

from resflow_core.fast.broyden import solve_broyden
from resflow_core.fixed_point import NotConverged, solve_banach
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
    ("budget", "dim", "activation", "tolerance"),
    [
        [*row.values()]
        for row in covering(
            {
                "budget": [0.5, 0.97, 0.99],
                "dim": [2, 5],
                "activation": ["lipswish", "elu", "sine"],
                "tolerance": [1e-3, 1e-9],
            }
        )
    ],
)
def test_the_true_error_is_within_the_tolerance(solve, activation, budget, dim, tolerance):
    branch, x = at_its_cap(activation, budget, dim), 3 * points(100, dim)
    with torch.no_grad():
        z = x + branch(x)
    found = solve(branch, z, branch.lipschitz, tolerance)
    assert float((found - x).norm(dim=1).max()) <= tolerance


def test_a_linear_branch_is_solved_as_numpy_solves_it(solve):
    branch, z = LinearBranch(), points(50, 2)
    expected = np.linalg.solve(np.eye(2) + branch.a.detach().numpy(), z.numpy().T).T
    np.testing.assert_allclose(solve(branch, z, 0.6, 1e-12), expected, atol=1e-11)
    assert solve(branch, torch.zeros(0, 2, dtype=torch.float64), 0.9).shape == (0, 2)


class _Folded(torch.nn.Module):
    """g(x) = -x + 0.1 tanh(x): f never leaves (-0.1, 0.1), so larger z have no preimage at all."""

    def forward(self, x):
        return -x + 0.1 * torch.tanh(x)


def test_what_cannot_be_solved_is_an_error_that_names_the_point(solve):
    z = torch.tensor([[0.0, 0.0], [1.25, -0.5]], dtype=torch.float64)
    with pytest.raises(NotConverged, match=r"1 of 2 points; the first is z = \[1.25, -0.5\] \(row 1\)"):
        solve(_Folded(), z, 0.9)
    z = torch.tensor([[0.3, 0.2], [float("nan"), 0.0]], dtype=torch.float64)
    with pytest.raises(NotConverged, match=r"1 of 2 points; the first is z = \[nan, 0.0\] \(row 1\)"):
        solve(LinearBranch(), z, 0.9)
    with pytest.raises(NotConverged, match="weights are finite"):
        solve(LinearBranch(torch.full((2, 2), float("nan"), dtype=torch.float64)), points(3, 2), 0.9)
    for lipschitz in (1.0, 1.3, float("nan")):
        with pytest.raises(ValueError, match="must be below 1"):
            solve(LinearBranch(), points(3, 2), lipschitz)


@pytest.mark.parametrize("budget", [0.97, 0.999])
def test_far_preimages_are_found_in_float32(solve, budget):
    # f shrinks by 1 - L here: x lies up to 1,000 times as far out as z, and rounding is in proportion to x.
    branch = LinearBranch(-budget * (1 - 1e-5) * torch.eye(2))
    z = points(200, 2).float()
    x = solve(branch, z, budget)
    exact = z.double() / (1 - budget * (1 - 1e-5))
    assert bool(((x - exact).norm(dim=1) <= 1e-6 + 3e-6 * (1 + z.norm(dim=1) + x.norm(dim=1)) / (1 - budget)).all())


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


@pytest.mark.parametrize(("p", "activation"), [*zip(ORDERS, itertools.cycle(["sine", "maxmin"]), strict=False)])
class TestInOtherNorms:
    def test_solvers_keep_their_tolerance_in_that_norm(self, solve, p, activation):
        branch, x = in_the_norm_of(p, activation=activation), 3 * points(500, 2)
        z = x + branch(x)
        for tolerance in (1e-2, 1e-6):
            found = solve(branch, z, branch.lipschitz, tolerance, branch.size)
            assert np.linalg.norm((found - x).numpy(), p, axis=1).max() <= tolerance
            residual = np.linalg.norm((z - found - branch(found)).numpy(), p, axis=1)
            assert residual.max() <= tolerance * (1 - branch.lipschitz) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("name", "dtype", "size"),
    [
        ("banach", torch.float64, 0.99),
        ("banach", torch.float32, 0.4),  # beyond, L times some units in the last place rounds to as many
        ("broyden", torch.float64, 0.9),
        ("broyden", torch.float32, 0.99),
    ],
)
def test_a_branch_that_uses_all_of_its_bound_is_solved(name, dtype, size):
    """A turn by a right angle and a mirror shrink every residual by exactly L, which rounding takes for too little."""
    for a in ([[0.0, -size], [size, 0.0]], [[0.0, size], [size, 0.0]], [[size, 0.0], [0.0, size]]):
        a, z = torch.tensor(a, dtype=dtype), points(300, 2).to(dtype)
        x = SOLVERS[name](LinearBranch(a).requires_grad_(False), z, size, 1e-6).double()
        exact = np.linalg.solve(np.eye(2) + a.double().numpy(), z.double().numpy().T).T
        slack = 1e-6 + 16 * torch.finfo(dtype).eps * (1 + np.linalg.norm(exact, 2, axis=1)) / (1 - size)
        assert (np.linalg.norm(x.numpy() - exact, 2, axis=1) <= slack).all()
