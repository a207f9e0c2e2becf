"""Where residual maps fold, against eigenvalues by NumPy and maps of the line whose preimages are known."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from resflow_core.measure.invertibility import Regime, breaking_scales, preimages, regime, residual_det
from resflow_core.residual import Branch
from tests.core.oracles import LinearBranch, autograd_jacobian, points, seeded


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


def found_of(g, z, starts):
    found = preimages(g, torch.tensor(z, dtype=torch.float64), starts)
    return found.numpy()[np.argsort(found.numpy()[:, 0])] if len(found) else found.numpy()


STARTS = torch.cartesian_prod(*[torch.linspace(-6, 6, 13, dtype=torch.float64)] * 2)


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
    return a, kind == "symmetric"


class TestBreakingScales:
    @settings(max_examples=120)
    @given(jacobians())
    def test_they_are_those_of_the_lowest_real_eigenvalue(self, drawn):
        a, symmetric = drawn
        found = breaking_scales(a)
        for matrix, s in zip(a.numpy(), found.tolist(), strict=True):
            eigenvalues = np.linalg.eigvalsh(matrix) + 0j if symmetric else np.linalg.eigvals(matrix)
            size = abs(eigenvalues).max()
            near = abs(eigenvalues.imag) / size
            if ((near > 0) & (near < 1e-6)).any():
                continue  # two that rounding makes real or complex
            real = eigenvalues.real[near == 0]
            lowest = min(real, default=0.0)
            if abs(lowest) < 1e-9 * size:
                continue
            assert s == (pytest.approx(-1 / lowest, rel=1e-6) if lowest < 0 else math.inf)

    @settings(max_examples=60)
    @given(jacobians())
    def test_the_determinant_is_0_there_and_positive_before(self, drawn):
        a, _ = drawn
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

    @pytest.mark.parametrize("gap", [0.0, 1e-16, 1e-12, 1e-9, 1e-6])
    @pytest.mark.parametrize("size", [-0.7, -1e-4, -33.3])
    def test_eigenvalues_of_a_symmetric_matrix_are_real_however_close(self, size, gap):
        a = size * torch.tensor([[1.0, gap], [gap, 1.0]], dtype=torch.float64)
        turned = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
        for matrix in (a, turned @ a @ turned.T):
            assert float(breaking_scales((matrix + matrix.T) / 2)) == pytest.approx(-1 / size, rel=2 * gap + 1e-7)

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
        for shape in ((3, 4), ()):
            stack = torch.tensor(matrix).expand(*shape, 2, 2)
            found = breaking_scales(stack)
            assert found.shape == shape and found.dtype == torch.float32

    def test_the_determinant_has_its_sign(self):
        a = 3 * torch.randn(3, 7, 2, 2, generator=seeded(0), dtype=torch.float64)
        for scale in (0.5, 2.0):
            expected = np.linalg.det(np.eye(2) + scale * a.numpy())
            np.testing.assert_allclose(residual_det(a, scale), expected, rtol=1e-9)
        assert (residual_det(a) < 0).any()


class TestRegime:
    @pytest.mark.parametrize(
        ("scale", "lipschitz", "dets", "expected"),
        [
            (1.0, 0.99, [0.1, 2.0], Regime.CERTIFIED),
            (1.0, 1.0, [0.1, 2.0], Regime.UNCERTIFIED),
            (2.0, 0.5, [0.1, 2.0], Regime.UNCERTIFIED),
            (1.99, 0.5, [0.1, 2.0], Regime.CERTIFIED),
            (1.0, math.nan, [0.1, 2.0], Regime.UNCERTIFIED),
            (1.0, math.inf, [0.1, 2.0], Regime.UNCERTIFIED),
            (3.0, 0.5, [0.1, 0.0], Regime.FOLDED),
            (3.0, 0.5, [0.1, -1.0], Regime.FOLDED),
            (1.0, 0.5, [0.1, -1.0], Regime.FOLDED),  # evidence that a claim is wrong
        ],
    )
    def test_what_is_seen_counts_before_what_is_claimed(self, scale, lipschitz, dets, expected):
        assert regime(scale, lipschitz, torch.tensor(dets)) is expected


class TestPreimages:
    @pytest.mark.parametrize("s", [0.5, 1.5, 2.5, 4.0])
    @pytest.mark.parametrize("z", [(0.0, 0.0), (0.1, -1.0), (-0.05, 2.0), (4.0, 1.0)])
    def test_all_that_are_known_are_found_and_no_other(self, s, z):
        g = SteepTanh(s)
        expected = g.preimages(z)
        assert len(expected) == (3 if s > 1 and abs(z[0]) < 0.11 else 1)
        found = found_of(g, z, STARTS)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-7)

    @pytest.mark.thorough
    @pytest.mark.parametrize("seed", range(2))
    def test_every_one_is_a_preimage_and_they_lie_apart(self, seed):
        branch = Branch([2, 12, 2], "sine", 0.9, seeded(seed)).double().requires_grad_(False)
        for linear in branch.linears:
            linear.raw.mul_(5)
        branch.scale = 6.0
        z = points(1, 2, seed)[0]
        found = preimages(branch, z, STARTS)
        assert len(found) >= 1
        residual = (z - found - branch(found)).norm(dim=1)
        assert (residual <= 1e-9 * (1 + z.norm())).all()
        gaps = (found[:, None] - found[None]).norm(dim=2) + torch.eye(len(found))
        assert (gaps > 1e-4).all()

    def test_steps_that_go_too_far_are_halved(self):
        """Just beside the turning point at 0.8814 Newton's step is 50 times as long as the way."""
        g, start = SteepTanh(2.0), torch.tensor([[0.9, 0.0]], dtype=torch.float64)
        for z in ((3.0, 0.0), (4.0, 1.0)):
            np.testing.assert_allclose(found_of(g, z, start), g.preimages(z), atol=1e-7)

    def test_their_number_is_odd_and_signs_add_up_to_the_degree(self):
        """g is bounded, so f has degree 1: the signs of det(I + A) over all preimages of a regular z add up to 1."""
        g = SteepTanh(3.0)
        for x in np.linspace(-1.3, 1.3, 9):
            z = (float(x), 0.4)
            found = found_of(g, z, STARTS)
            signs = np.sign(np.linalg.det(np.eye(2) + autograd_jacobian(g, torch.from_numpy(found)).numpy()))
            assert len(found) % 2 == 1 and signs.sum() == 1

    @pytest.mark.parametrize("side", [-1, 1])
    def test_two_of_them_meet_at_the_fold(self, side):
        """Just inside the fold's image there are two more than just outside."""
        g = SteepTanh(2.0)
        turn = math.acosh(math.sqrt(2.0))
        edge = side * abs(turn - 2 * math.tanh(turn))
        counts = [len(found_of(g, (edge * (1 - sign * 1e-3), 0.0), STARTS)) for sign in (1, -1)]
        assert counts == [3, 1]
        # No nearer than `apart` two are told from one.
        assert len(found_of(g, (edge * (1 - 1e-10), 0.0), STARTS)) in (1, 2)

    def test_of_a_contraction_there_is_one_and_of_a_linear_map_numpys(self):
        linear = LinearBranch().requires_grad_(False)
        found = found_of(linear, (0.7, -2.0), STARTS)
        expected = np.linalg.solve(np.eye(2) + linear.a.numpy(), [0.7, -2.0])
        np.testing.assert_allclose(found, expected[None], atol=1e-9)

    def test_where_there_is_none_none_is_found(self):
        singular = LinearBranch(torch.tensor([[-1.0, 0], [0, 0.5]], dtype=torch.float64)).requires_grad_(False)
        found = found_of(singular, (1.0, 0.0), STARTS)
        assert found.shape == (0, 2)
        nan = LinearBranch(torch.full((2, 2), math.nan, dtype=torch.float64)).requires_grad_(False)
        assert found_of(nan, (1.0, 0.0), STARTS).shape == (0, 2)

    def test_in_five_dimensions(self):
        branch = Branch([5, 8, 5], "sine", 0.9, seeded(1)).double().requires_grad_(False)
        x = points(1, 5)
        found = preimages(branch, (x + branch(x))[0], points(40, 5, seed=2))
        np.testing.assert_allclose(found, x, atol=1e-7)
