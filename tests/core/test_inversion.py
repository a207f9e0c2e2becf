"""Where blocks fold and how they are inverted, against NumPy, loops by hand and maps whose preimages are known."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from resflow_core.flow import FlowConfig
from resflow_core.measure import inversion
from resflow_core.measure.inverse_iterations import (
    ITERATIONS,
    banach,
    fate,
    trace,
)
from resflow_core.measure.inversion import FOLD_GRID, GOAL, STEPS_GRID, WALK_STEPS
from resflow_core.measure.invertibility import Regime, breaking_scales, preimages
from resflow_core.norms.induced import vector_norm
from resflow_core.residual import Branch
from tests.core.oracles import LinearBranch, autograd_jacobian, points, seeded


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


@pytest.mark.parametrize("name", BRANCHES)
@pytest.mark.parametrize("method", ITERATIONS)
def test_walks_are_those_of_a_loop_by_hand(method, name):
    g, dim = BRANCHES[name], 5 if name == "five" else 2
    z = 2 * points(6, dim)
    found = trace(ITERATIONS[method], g, z, 7, order=1.5)
    x, first = z, autograd_jacobian(g, z)
    for n in range(8):
        r = z - x - g(x)
        torch.testing.assert_close(found.x[n], x, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(found.residual[n], torch.linalg.vector_norm(r, 1.5, 1), rtol=0, atol=1e-9)
        if method == "banach":
            x = z - g(x)
        else:
            a = autograd_jacobian(g, x) if method == "newton" else first
            x = x + torch.linalg.solve(torch.eye(dim).double() + a, r[..., None])[..., 0]
    for bound in (found.a_priori(1.0), found.a_posteriori(math.nan)):
        assert bound.isposinf().all()  # without a bound below 1


def fate_of(h, z, method=banach, steps=120, goal=1e-6):
    found = trace(method, OnOneAxis(h), torch.tensor([z], dtype=torch.float64), steps)
    return fate(found.x[:, 0], found.residual[:, 0], goal)


def test_where_walks_end():
    """An expansion; slow convergence from side to side, which is no cycle; and the logistic map, whose periods are
    known: z - g(x) = r x (1 - x) with z = 0.4, where the walk begins."""
    assert fate_of(lambda x: -1.5 * x, [1.0, 0.0]) == "leaves"
    assert fate_of(lambda x: 0.9999 * x, [1.0, 0.0]) == "comes nearer"
    for r, period in ((3.2, 2), (3.55, 8), (3.83, 3)):
        walk = fate_of(lambda x, r=r: 0.4 - r * x * (1 - x), [0.4, 0.0], steps=1000)
        assert walk == f"cycles with period {period}"
    assert fate_of(lambda x: 0.4 - 3.7 * x * (1 - x), [0.4, 0.0], steps=300) == "wanders"


class SteepTanh:
    """g(x, y) = (-s tanh x, c y + d x): f is x - s tanh x along the first axis, which folds from s = 1 on."""

    def __init__(self, s, c=0.5, d=0.3):
        self.s, self.c, self.d = s, c, d

    def __call__(self, x):
        return torch.stack([-self.s * torch.tanh(x[:, 0]), self.c * x[:, 1] + self.d * x[:, 0]], 1)

    def value_and_jacobian(self, x):
        slope, zero = -self.s * (1 - torch.tanh(x[:, 0]) ** 2), torch.zeros(len(x), dtype=x.dtype)
        rows = torch.stack([slope, zero], 1), torch.stack([zero + self.d, zero + self.c], 1)
        return self(x), torch.stack(rows, 1)

    def preimages(self, z):
        """By brackets between the two turning points, where s (1 - tanh^2 x) = 1, and beyond."""
        turn, far = math.acosh(math.sqrt(self.s)) if self.s > 1 else 0.0, 10 + abs(z[0]) + self.s
        edges, roots = [-far, -turn, turn, far] if turn else [-far, far], []
        for low, high in itertools.pairwise(edges):
            f = [x - self.s * np.tanh(x) - z[0] for x in (low, high)]
            if f[0] * f[1] < 0:
                root = optimize.brentq(lambda x: x - self.s * np.tanh(x) - z[0], low, high, xtol=1e-13)
                roots.append((root, (z[1] - self.d * root) / (1 + self.c)))
        return np.array(roots)


@st.composite
def jacobians(draw):
    """2 x 2 and 5 x 5 matrices (20, d, d), symmetric, triangular and nearly multiples of the identity among them."""
    d, seed = draw(st.sampled_from([2, 5])), draw(st.integers(0, 2**31))
    a = torch.randn(20, d, d, generator=seeded(seed), dtype=torch.float64) * 10.0 ** draw(st.integers(-3, 3))
    kind = draw(st.sampled_from(["any", "symmetric", "triangular", "rotation"]))
    if kind == "symmetric":
        a = a + a.mT
    elif kind == "triangular":
        a = a.tril()
    elif kind == "rotation" and d == 2:
        a = torch.stack([torch.stack([a[:, 0, 0], -a[:, 0, 1]], 1), torch.stack([a[:, 0, 1], a[:, 0, 0]], 1)], 1)
    return a


class TestBreakingScales:
    @settings(max_examples=25)
    @given(jacobians())
    def test_the_determinant_is_0_there_and_positive_before(self, a):
        s = breaking_scales(a)
        assert (s > 0).all()
        for share in np.linspace(0, 0.999, 12):
            scale = torch.where(s.isfinite(), share * s, share * 100 / a.abs().amax((1, 2)))
            dets = np.linalg.det(np.eye(a.shape[1]) + scale[:, None, None].numpy() * a.numpy())
            assert (dets > 0).all()
        broken = s.isfinite()
        at = np.eye(a.shape[1]) + (s[:, None, None] * a)[broken].numpy()
        sizes = np.abs(at).sum((1, 2)) ** a.shape[1]
        assert (abs(np.linalg.det(at)) <= 1e-6 * sizes).all()
        # The smallest singular value says the same.
        assert (np.linalg.svd(at, compute_uv=False)[:, -1] <= 1e-5 * np.abs(at).sum((1, 2))).all()

    @pytest.mark.parametrize(
        ("matrix", "expected"),
        [
            ([[0.0, 0], [0, 0]], math.inf),
            ([[1.0, 5], [0, 2]], math.inf),
            ([[0.0, -1], [1, 0]], math.inf),  # a rotation never folds
            ([[0.0, 1], [1, 0]], 1.0),  # a mirror does, at 1
            ([[-0.5, 0], [0, -2]], 0.5),
            ([[-0.5, 7], [0, 3]], 2.0),
            ([[1e8, 0], [0, -1e-8]], 1e8),  # without cancellation
            ([[-2.0, 1], [0, -2]], 0.5),
        ],
    )
    def test_by_hand(self, matrix, expected):
        assert float(breaking_scales(torch.tensor(matrix, dtype=torch.float64))) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("s", "z"), [(0.5, (0.1, -1.0)), (1.5, (0.1, -1.0)), (2.5, (0.0, 0.0)), (4.0, (-0.05, 2.0)), (4.0, (4.0, 1.0))]
)
def test_all_preimages_are_found_and_no_other(s, z):
    starts = torch.cartesian_prod(*[torch.linspace(-6, 6, 13, dtype=torch.float64)] * 2)
    expected, found = SteepTanh(s).preimages(z), preimages(SteepTanh(s), torch.tensor(z).double(), starts).numpy()
    assert len(found) == len(expected) == (3 if s > 1 and abs(z[0]) < 0.11 else 1)
    np.testing.assert_allclose(found[np.argsort(found[:, 0])], expected, atol=1e-6)


X = points(400, 2, seed=3).float()


class Known(torch.nn.Module):
    """A branch g(x) = h(x) with the attributes that a flow asks for."""

    def __init__(self, a, lipschitz, order=2.0, bend=0.0):
        super().__init__()
        self.a = torch.nn.Parameter(torch.tensor(a), requires_grad=False)
        self.bound, self.order, self.bend, self.scale = lipschitz, order, bend, 1.0

    @property
    def lipschitz(self):
        return self.scale * self.bound

    @property
    def orders(self):
        return [self.order, self.order]

    def size(self, x):
        return vector_norm(x, self.order, 0)

    def forward(self, x):
        t = torch.tanh(x) if self.bend else x
        return self.scale * t @ self.a.T

    def value_and_jacobian(self, x):
        slope = 1 - torch.tanh(x) ** 2 if self.bend else torch.ones_like(x)
        return self(x), self.scale * self.a * slope[:, None]


@pytest.fixture
def known():
    """A flow of blocks with these branches, as the paper writes it: only branches of layers can be folded."""

    def build(*branches):
        flow = FlowConfig(blocks=len(branches), width=2, actnorm=False).build(seeded(0), "paper")
        for block, branch in zip(flow.blocks, branches, strict=True):
            block.branch = branch
        return flow

    return build


def invert(flow, block=0, scale=1.0, z=None, method="banach"):
    return inversion(flow, X, block, scale, z, method)


A, B = [[-0.5, 0.2], [0.0, -0.25]], [[0.0, -0.4], [0.4, 0.0]]


class TestLinearBlocks:
    @pytest.mark.parametrize(
        ("scale", "expected"),
        [(1.6, Regime.CERTIFIED), (1.7, Regime.UNCERTIFIED), (1.99, Regime.UNCERTIFIED), (2.01, Regime.FOLDED)],
    )
    def test_the_regime_changes_where_the_bound_and_the_fold_are(self, known, scale, expected):
        found = invert(known(Known(B, 0.4), Known(A, 0.6)), 1, scale)
        assert found.regime is expected
        assert found.lipschitz == pytest.approx(0.6 * scale)
        np.testing.assert_allclose(found.breaking, [math.inf, 2.0], rtol=1e-6)  # of the blocks as they are
        np.testing.assert_allclose(found.det, (1 - 0.5 * scale) * (1 - 0.25 * scale), rtol=1e-5, atol=1e-7)
        assert (found.refusal == "") == (expected is Regime.CERTIFIED)
        if expected is not Regime.CERTIFIED:
            assert found.refusal.startswith(f"Block 2 has the certified bound {0.6 * scale:.4g}")
            assert np.isinf(found.a_priori).all() and np.isinf(found.a_posteriori).all()

    @pytest.mark.parametrize("method", ITERATIONS)
    def test_walks_steps_and_the_preimage(self, known, method):
        z = (0.7, -0.4)
        found = invert(known(Known(A, 0.6, order=math.inf)), z=z, method=method)
        expected = np.linalg.solve(np.eye(2) + np.array(A), z)
        np.testing.assert_allclose(found.preimages, expected[None], atol=1e-6)
        np.testing.assert_allclose(found.z, z)
        for walk in found.walks.values():
            assert (walk.x.shape, walk.residual.shape) == ((WALK_STEPS + 1, 2), (WALK_STEPS + 1,))
            np.testing.assert_allclose(walk.x[0], z)
            np.testing.assert_allclose(walk.error, abs(walk.x - found.preimages).max(1), atol=1e-12)  # order inf
            assert walk.fate == "arrives"
        banach = found.walks["banach"]
        # The bounds are of L = 0.6 in the inf-norm, below which ||A|| = 0.7 is not: they are what was claimed.
        np.testing.assert_allclose(found.a_posteriori, banach.residual / 0.4, rtol=1e-9)
        np.testing.assert_allclose(
            found.a_priori, 0.6 ** np.arange(WALK_STEPS + 1) / 0.4 * banach.residual[0], rtol=1e-6
        )
        window = found.window
        nodes = [np.linspace(*axis, STEPS_GRID) for axis in window]
        assert found.steps.shape == (STEPS_GRID, STEPS_GRID)
        for row, column in ((0, 0), (7, 30), (STEPS_GRID - 1, 5)):
            target = np.array([nodes[0][column], nodes[1][row]])
            if method == "banach":
                x, count = target.copy(), 0
                while abs(target - x - np.array(A) @ x).max() > GOAL:
                    x, count = target - np.array(A) @ x, count + 1
                assert abs(found.steps[row, column] - count) <= (1 if count > 15 else 0)
            else:
                assert found.steps[row, column] == 1


class TestABentBlock:
    """g = s tanh(x) A' with A = diag(-1, 0.2): det = (1 - s sech^2 x) (1 + 0.2 s sech^2 y), s* = 1 at x = 0."""

    def build(self, known):
        return known(Known([[-1.0, 0.0], [0.0, 0.2]], 1.0, bend=1.0))

    def test_the_fold_is_two_lines_and_its_image_is_where_f_takes_them(self, known):
        found = invert(self.build(known), scale=2.0)
        assert found.regime is Regime.FOLDED
        axis = np.linspace(*found.window[0], FOLD_GRID)
        assert found.breaking[0] == pytest.approx((np.cosh(axis) ** 2).min(), rel=1e-5)
        turn = math.acosh(math.sqrt(2.0))
        curve = found.fold[np.isfinite(found.fold).all(1)]
        assert len(curve) >= 2 * FOLD_GRID - 2
        cell = np.ptp(found.window[0]) / (FOLD_GRID - 1)
        np.testing.assert_allclose(abs(curve[:, 0]), turn, atol=0.1 * cell)
        f = np.stack([found.fold[:, 0] - 2 * np.tanh(found.fold[:, 0])], 1)
        np.testing.assert_allclose(found.fold_image[:, :1], f, atol=1e-6)
        y = found.fold[:, 1]
        np.testing.assert_allclose(found.fold_image[:, 1], y + 0.4 * np.tanh(y), atol=1e-6)
        assert np.isnan(found.fold_image).all(1).tolist() == np.isnan(found.fold).all(1).tolist()
        assert np.isnan(found.fold[-1]).all()

    def test_without_a_z_it_is_one_with_three_preimages(self, known):
        found = invert(self.build(known), scale=2.0)
        assert len(found.preimages) == 3
        np.testing.assert_allclose(
            found.preimages + 2.0 * np.tanh(found.preimages) * [-1.0, 0.2], np.tile(found.z, (3, 1)), atol=1e-6
        )
        least = np.unravel_index(found.det.argmin(), found.det.shape)
        x, y = (np.linspace(*axis, FOLD_GRID)[i] for axis, i in zip(found.window, least[::-1], strict=True))
        np.testing.assert_allclose(found.z, [x - 2 * np.tanh(x), y + 0.4 * np.tanh(y)], atol=1e-5)


@pytest.mark.parametrize("chain", ["2", "learned"])
def test_it_is_the_flow_as_it_would_be_scaled(chain):
    config = FlowConfig(blocks=3, width=8, norms=chain)
    flow = config.build(seeded(2))
    flow.initialize(X)
    with torch.no_grad():
        for block in flow.blocks:
            for linear in block.branch.linears:
                linear.raw *= 6
    before = {name: tensor.clone() for name, tensor in flow.state_dict().items()}
    found = invert(flow, 1, 3.0, z=(0.2, 0.1), method="newton")
    branch = flow.scaled(1, 3.0).double().blocks[1].branch
    assert found.order == branch.orders[0] and found.lipschitz == branch.lipschitz == 3.0 * 0.99
    axes = [np.linspace(*axis, FOLD_GRID) for axis in found.window]
    nodes = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)[::97]
    jacobian = autograd_jacobian(branch, torch.from_numpy(nodes)).numpy()
    np.testing.assert_allclose(found.det.reshape(-1)[::97], np.linalg.det(np.eye(2) + jacobian), atol=1e-5)
    x = torch.from_numpy(found.preimages)
    with torch.no_grad():
        np.testing.assert_allclose(x + branch(x), np.tile([0.2, 0.1], (len(x), 1)), atol=1e-8)
    assert len(x) >= 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in flow.state_dict().items())
    assert all(block.branch.scale == 1.0 for block in flow.blocks)
