"""The change of variables behind the Stretch screen, against autograd, SciPy and quadrature of our own."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import special
from scipy.stats import multivariate_normal

from app.features.stretch.bases import BASES
from app.features.stretch.density import determinants, follow, log_density, reach_of, total
from app.features.stretch.examples import EXAMPLES
from app.features.stretch.maps import MAPS
from app.features.stretch.pictures import NODES, grid, panes
from app.features.stretch.settings import Stretch, matrix_problem, picked
from app.features.stretch.words import metrics
from resflow_core.settings import check
from tests.app.pages import named

POINTS = np.random.default_rng(0).normal(size=(200, 2)) * 1.5
SKEW = Stretch(matrix=(1.3, -0.8, 0.4, 0.9))
MIRROR = Stretch(matrix=(-1.0, 0.5, 0.0, 2.0))
# Its edges run along the axes, at thirds.
UPRIGHT = Stretch(matrix=(3.0, 0.0, 0.0, 1.0))
BLOCK, FAST = Stretch(map="residual"), Stretch(map="residual", strength=0.95, frequency=4.0)


def written_again(bench, x):
    """f(x) in torch, (2,) -> (2,)."""
    if bench.map == "linear":
        return torch.tensor(bench.matrix, dtype=torch.float64).view(2, 2) @ x
    s, w = bench.strength, bench.frequency
    return torch.stack([x[0] + s / w * torch.sin(w * x[1]), x[1] + s / w * torch.sin(w * x[0])])


def test_every_map_is_tested():
    assert {bench.map for bench in (SKEW, BLOCK)} == set(MAPS)


@pytest.mark.parametrize("bench", [SKEW, MIRROR, BLOCK, FAST])
def test_the_jacobian_is_that_of_autograd(bench):
    for x in POINTS[:20]:
        at = torch.from_numpy(x)
        exact = torch.autograd.functional.jacobian(lambda y: written_again(bench, y), at)
        assert bench.f.forward(x[None])[0] == pytest.approx(written_again(bench, at).numpy(), abs=1e-14)
        assert bench.f.jacobian(x[None])[0] == pytest.approx(exact.numpy(), abs=1e-14)
        assert determinants(bench.f.jacobian(x[None]))[0] == pytest.approx(float(torch.linalg.det(exact)), abs=1e-13)


@pytest.mark.parametrize("bench", [SKEW, MIRROR])
def test_a_linear_map_gives_a_normal_density_in_closed_form(bench):
    w = np.reshape(bench.matrix, (2, 2))
    law = multivariate_normal(np.zeros(2), np.linalg.inv(w.T @ w))
    assert log_density(bench.f, "normal", POINTS) == pytest.approx(law.logpdf(POINTS), abs=1e-11)


@pytest.mark.parametrize("bench", [BLOCK, FAST])
def test_the_branch_of_the_block_is_a_contraction_and_reaches_its_bound(bench):
    a = bench.f.jacobian(np.concatenate([POINTS, np.zeros((1, 2))])) - np.eye(2)
    assert np.linalg.norm(a, 2, axis=(1, 2)).max() == pytest.approx(bench.strength, abs=1e-14)


@pytest.mark.parametrize("bench", [SKEW, MIRROR, BLOCK, FAST, UPRIGHT])
@pytest.mark.parametrize("base", BASES)
def test_the_mass_is_one(bench, base):
    found = total(bench.f, base, False)
    assert abs(found.value - 1) <= min(3 * found.error, 0.01)
    assert found.error < (1e-3 if base == "normal" else 0.02)


@pytest.mark.parametrize("bench", [Stretch(), SKEW, MIRROR, Stretch(matrix=(0.3, 0.0, 0.0, 1.0))])
@pytest.mark.parametrize("base", BASES)
def test_without_the_determinant_the_mass_is_one_over_it(bench, base):
    found, exact = total(bench.f, base, True), 1 / abs(np.linalg.det(np.reshape(bench.matrix, (2, 2))))
    assert abs(found.value - exact) <= 3 * found.error
    assert found.error < 0.02 * exact


def test_without_it_a_block_has_the_mean_of_one_over_it():
    """x found by the fixed point for draws of z: within 4 standard errors of the mean, each below 0.01."""
    z = np.random.default_rng(1).normal(size=(20_000, 2))
    x = z.copy()
    for _ in range(250):
        x = z - (BLOCK.f.forward(x) - x)
    assert BLOCK.f.forward(x) == pytest.approx(z, abs=1e-9)
    ratios = 1 / np.abs(determinants(BLOCK.f.jacobian(x)))
    error = ratios.std() / np.sqrt(len(z))
    assert error < 0.01
    assert abs(total(BLOCK.f, "normal", True).value - ratios.mean()) < 4 * error
    assert ratios.mean() > 1.2


@pytest.mark.parametrize("frequency", [1.0, 2.0, 4.0])
def test_the_faster_the_waves_the_nearer_is_that_mean_to_one(frequency):
    """1/|det J| repeats itself in z. Its Fourier coefficients are products of Bessel functions, and the normal law's
    mean of exp(i k z) is exp(-|k|^2 / 2): a series that knows no quadrature."""
    bench = dataclasses.replace(BLOCK, frequency=frequency)
    s, orders = bench.strength, range(-12, 13)
    exact = sum(
        special.jv(-m, n * s) * special.jv(-n, m * s) * np.exp(-(frequency**2) * (m * m + n * n) / 2)
        for m in orders
        for n in orders
    )
    found = total(bench.f, "normal", True)
    assert found.value == pytest.approx(exact, abs=3 * found.error)
    assert (abs(exact - 1) < 5e-4) == (frequency == 4)


def test_the_mass_of_the_square_is_shown_without_the_decimals_of_its_quadrature():
    for matrix in ((1, 0, 0, 1), (2, 0, 0, 1), (3, 0, 0, 1), (0, 3, 1, 0), (0.333, 0, 0, 1)):
        bench = Stretch(matrix=tuple(map(float, matrix)), base="square")
        shown = metrics(bench, follow(bench), total(bench.f, bench.base, False))[-1].value
        assert float(shown) == 1, matrix


def test_a_place_that_is_clicked_has_no_negative_zero():
    assert picked((-0.0001, 0.0114)) == (0.0, 0.011) and not np.signbit(picked((-0.0001, 0.0))[0])


@pytest.mark.parametrize("matrix", [(2.0, 2.0, 0.0, 1.5), (2.0, 1.5, 0.0, 1.5)])
def test_the_square_and_its_image_are_in_the_picture_whole(matrix):
    bench = Stretch(matrix=matrix)  # VU and UV of lesson 1
    found = follow(bench)
    (low, high), _ = panes(bench, found)[1].window
    for outline in (found.square, found.image):
        assert low < outline.min() and outline.max() < high
    far = dataclasses.replace(bench, point=(50.0, 50.0))
    assert panes(far, follow(far))[0].window[0][1] == reach_of(far.f, far.base), "which the picture says"


@pytest.mark.parametrize("base", BASES)
def test_another_linear_map_leaves_the_colours_of_z_as_they_are(base):
    ends = set()
    for first in (0.3, 1.0, 2.0, 3.0):
        for forget in (False, True):
            bench = Stretch(matrix=(first, 0.0, 0.0, 1.0), base=base, forget=forget)
            over_x, over_z = panes(bench, follow(bench))
            assert over_x.heat.high == over_z.heat.high >= max(over_x.heat.values.max(), over_z.heat.values.max())
            ends.add(round(over_z.heat.high, 12))
    assert len(ends) == 1
    steep = Stretch(matrix=(5.0, 0.0, 0.0, 5.0), base=base)
    over_x, over_z = panes(steep, follow(steep))
    assert over_z.heat.high >= over_x.heat.values.max()


@pytest.mark.parametrize("bench", [SKEW, MIRROR, BLOCK, FAST])
def test_all_that_can_be_seen_is_in_the_window(bench):
    for base in BASES:
        side = reach_of(bench.f, base)
        angle = np.linspace(0, 2 * np.pi, 400)
        outside = 1.0001 * side * np.stack([np.cos(angle), np.sin(angle)], 1)
        outside /= np.abs(outside).max(1, keepdims=True) / (1.0001 * side)
        assert np.linalg.norm(bench.f.forward(outside), axis=1).min() > BASES[base].radius


class TestFollowed:
    @pytest.mark.parametrize("name", EXAMPLES)
    def test_a_linear_map_multiplies_the_area_by_its_determinant(self, name):
        bench = dataclasses.replace(Stretch(), **EXAMPLES[name].settings)
        if bench.map == "linear":
            found = follow(bench)
            exact = abs(np.linalg.det(np.reshape(bench.matrix, (2, 2))))
            assert found.image_area == pytest.approx(exact * found.area, rel=1e-12)
            assert found.tangent == pytest.approx(found.image[:: (len(found.image) - 1) // 4], abs=1e-12)

    def test_the_area_of_a_curved_image_is_the_integral_of_the_determinant(self):
        bench = dataclasses.replace(BLOCK, point=(0.3, -0.7))
        found = follow(bench)
        nodes, weights = np.polynomial.legendre.leggauss(20)
        places = np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 2) * bench.side / 2 + bench.point
        inner = determinants(bench.f.jacobian(places)) @ np.outer(weights, weights).ravel() * bench.side**2 / 4
        assert found.image_area == pytest.approx(inner, rel=1e-4)
        assert abs(found.image_area / found.area / found.det - 1) > 0.01

    def test_the_smaller_the_square_the_nearer_is_the_determinant(self):
        for side, within in ((0.5, 0.1), (0.1, 0.005)):
            found = follow(dataclasses.replace(BLOCK, side=side))
            assert found.image_area / found.area == pytest.approx(found.det, rel=within)

    def test_outside_of_the_unit_square_there_is_no_density(self):
        assert follow(dataclasses.replace(SKEW, base="square", point=(3.0, 3.0))).log_base == -np.inf


def test_pictures_show_the_density_and_one_grid_under_f():
    bench = dataclasses.replace(SKEW, base="square")
    over_x, over_z = panes(bench, follow(bench))
    assert over_x.window == over_z.window and over_x.heat.high == over_z.heat.high
    assert over_x.clickable and not over_z.clickable
    side = over_x.window[0][1]
    cell = (2 * side / (NODES - 1)) ** 2
    assert over_x.heat.values.max() == pytest.approx(1.49)  # det W
    assert over_x.heat.values.sum() * cell == pytest.approx(1, abs=0.05)
    straight = grid(side)
    assert over_z.paths[0].points == pytest.approx(straight @ np.reshape(bench.matrix, (2, 2)).T, nan_ok=True)
    forgotten, _ = panes(dataclasses.replace(bench, forget=True), follow(bench))
    assert forgotten.heat.values.max() == 1
    assert np.argwhere(forgotten.heat.values > 0) == pytest.approx(np.argwhere(over_x.heat.values > 0))


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ((1.0, 2.0, 2.0, 4.0), ["determinant", "0"]),
        ((0.0, 0.0, 0.0, 0.0), ["determinant", "0"]),
        ((1.0, 1.0, 1.0, 1.01), ["0.004988", "0.2"]),
        ((4.0, 4.0, -4.0, 4.0), ["5.657", "5"]),
        ((1.0, 2.0, 3.0), ["four", "3"]),
    ],
)
def test_a_matrix_without_an_inverse_or_a_picture_is_refused(entries, why):
    assert set(why) <= named(matrix_problem(entries))
    with pytest.raises(ValueError, match="matrix"):
        Stretch(matrix=entries)


def test_what_is_at_the_limits_is_not():
    check(Stretch(matrix=(3.0, 4.0, -0.16, 0.12)))  # singular values 5 and 0.2


@pytest.mark.parametrize("bench", [SKEW, MIRROR, UPRIGHT, Stretch(matrix=(0.0, -1.0, 1.0, 0.0))])
def test_the_marked_side_shows_whether_the_plane_is_turned_over(bench):
    found = follow(bench)
    for pane, outline, turned in zip(panes(bench, found), (found.square, found.image), (1, bench.matrix), strict=True):
        (side,) = (path.points for path in pane.paths if path.label == "side from the dot")
        (corner,) = (dots.points[0] for dots in pane.dots if dots.label == "corner")
        assert side[0] == pytest.approx(corner) and any(np.allclose(corner, point) for point in outline)
        along, inwards = side[-1] - side[0], outline[:-1].mean(0) - corner
        is_left = along[0] * inwards[1] - along[1] * inwards[0] > 0
        assert is_left == (turned == 1 or np.linalg.det(np.reshape(turned, (2, 2))) > 0)
        assert ("lies to the left" in pane.alt) == is_left != ("lies to the right" in pane.alt)


def test_the_numbers_keep_their_places_when_the_determinant_is_forgotten():
    found, mass = follow(SKEW), total(SKEW.f, SKEW.base, forget=False)
    kept, forgotten = (
        [one.width for one in metrics(dataclasses.replace(SKEW, forget=forget), found, mass)]
        for forget in (False, True)
    )
    assert kept == forgotten
