"""One block's inverse as it is drawn, against brute force on blocks that are known."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from resflow_core.flow import Flow, FlowConfig, FlowMap
from resflow_core.measure import inversion
from resflow_core.measure.inverse_iterations import ITERATIONS
from resflow_core.measure.inversion import FOLD_GRID, GOAL, MOST_STEPS, STEPS_GRID, WALK_STEPS
from resflow_core.measure.invertibility import Regime
from resflow_core.norms.induced import vector_norm
from tests.core.oracles import autograd_jacobian, points, seeded

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

    def norm_of(self, x):
        return vector_norm(x, self.order, 0)

    def forward(self, x):
        t = torch.tanh(x) if self.bend else x
        return self.scale * t @ self.a.T

    def value_and_jacobian(self, x):
        slope = 1 - torch.tanh(x) ** 2 if self.bend else torch.ones_like(x)
        return self(x), self.scale * self.a * slope[:, None]


class SideBySide(list):
    """Branches without layers, as the networks of a map."""

    def unstacked(self):
        return self


class KnownFlow(Flow):
    """A flow whose branches have no layers to stack."""

    def map(self, parameters=None, breathe=None):
        ones, n = torch.ones(2, 1), len(self.branches) + 1
        return FlowMap([ones] * n, [0 * ones] * n, torch.zeros(()), SideBySide(self.branches))

    def lipschitz_bounds(self):
        return [branch.lipschitz for branch in self.branches]


@pytest.fixture
def known():
    """A flow of blocks with these branches."""

    def build(*branches):
        flow = KnownFlow(FlowConfig(blocks=len(branches), width=2, actnorm=False), seeded(0))
        for block, branch in zip(flow.blocks, branches, strict=True):
            block.branch = branch
        return flow

    return build


def invert(flow, block=0, scale=1.0, z=None, method="banach"):
    found = inversion(flow, X, block, scale, z, method)
    return found


A, B = [[-0.5, 0.2], [0.0, -0.25]], [[0.0, -0.4], [0.4, 0.0]]


class TestLinearBlocks:
    def test_what_breaks_is_known(self, known):
        found = invert(known(Known(A, 0.6), Known(B, 0.4)))
        np.testing.assert_allclose(found.breaking, [2.0, math.inf], rtol=1e-6)
        assert (found.block, found.scale, found.lipschitz, found.order) == (0, 1.0, 0.6, 2.0)
        np.testing.assert_allclose(found.det, 0.5 * 0.75, rtol=1e-6)
        assert found.fold.shape == found.fold_image.shape == (0, 2)
        assert (found.regime, found.refusal, found.method) == (Regime.CERTIFIED, "", "banach")

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

    def test_steps_that_do_not_arrive_are_not_numbers(self, known):
        found = invert(known(Known([[-1.5, 0.0], [0.0, 0.3]], 1.5)))
        assert np.isnan(found.steps).sum() > 0.9 * STEPS_GRID**2
        assert found.walks["banach"].fate == "leaves"
        assert np.nanmax(found.steps, initial=0) <= MOST_STEPS
        newton = invert(known(Known([[-1.5, 0.0], [0.0, 0.3]], 1.5)), method="newton")
        assert (newton.steps <= 1).all()


class TestABentBlock:
    """g = s tanh(x) A' with A = diag(-1, 0.2): det = (1 - s sech^2 x) (1 + 0.2 s sech^2 y), s* = 1 at x = 0."""

    def build(self, known):
        return known(Known([[-1.0, 0.0], [0.0, 0.2]], 1.0, bend=1.0))

    def test_the_breaking_scale_is_that_of_brute_force(self, known):
        found = invert(self.build(known))
        axis = np.linspace(*found.window[0], FOLD_GRID)
        assert found.breaking[0] == pytest.approx((np.cosh(axis) ** 2).min(), rel=1e-5)

    def test_the_fold_is_two_lines_and_its_image_is_where_f_takes_them(self, known):
        found = invert(self.build(known), scale=2.0)
        assert found.regime is Regime.FOLDED
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

    def test_the_window_holds_data_and_images(self, known):
        flow = known(Known([[1.5, 0.0], [0.0, -0.9]], 1.5))
        found = invert(flow)
        for axis, (low, high) in enumerate(found.window):
            both = torch.cat([X, flow.blocks[0](X)])[:, axis]
            assert ((both > low) & (both < high)).double().mean() > 0.99
        sizes = [high - low for low, high in found.window]
        assert sizes[0] == pytest.approx(sizes[1])


class TestARealFlow:
    @pytest.mark.thorough
    @pytest.mark.parametrize("chain", ["2", "learned"])
    def test_it_is_the_flow_as_it_would_be_scaled(self, chain):
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

    @pytest.mark.thorough
    def test_the_breaking_scale_is_where_the_regime_turns(self):
        flow = FlowConfig(blocks=2, width=8).build(seeded(2))
        flow.initialize(X)
        with torch.no_grad():
            for linear in flow.blocks[0].branch.linears:
                linear.raw *= 10
        s = invert(flow).breaking[0]
        assert 1 < s < 20
        assert invert(flow, 0, s * 0.999).regime is Regime.UNCERTIFIED
        assert invert(flow, 0, s * 1.001).regime is Regime.FOLDED

    def test_arrays_are_numpys_in_double_and_windows_numbers(self):
        found = invert(FlowConfig(blocks=1, width=4).build(seeded(0)))
        for field in dataclasses.fields(found):
            value = getattr(found, field.name)
            if isinstance(value, np.ndarray):
                assert value.dtype == np.float64
        assert all(isinstance(end, float) for axis in found.window for end in axis)
