"""The change of variables behind the Stretch screen, against autograd, SciPy and quadrature of our own; and the screen
without a browser: the numbers that it finds, and how its settings follow."""

import dataclasses
import re

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from streamlit.testing.v1 import AppTest

from app.features.stretch.bases import BASES
from app.features.stretch.density import Followed, determinants, follow, log_density, reach_of, total
from app.features.stretch.examples import EXAMPLES
from app.features.stretch.pictures import NODES, grid, panes
from app.features.stretch.settings import Stretch, matrix_problem
from app.metrics import is_one
from resflow_core.measure import Mass
from tests.app import pages
from tests.app.pages import MAIN, SMALL, decode, finding, go, own, press, run, sentence

POINTS = np.random.default_rng(0).normal(size=(200, 2)) * 1.5
SKEW, MIRROR = Stretch(matrix=(1.3, -0.8, 0.4, 0.9)), Stretch(matrix=(-1.0, 0.5, 0.0, 2.0))
UPRIGHT = Stretch(matrix=(3.0, 0.0, 0.0, 1.0))  # its edges run along the axes, at thirds
BLOCK, FAST = Stretch(map="residual"), Stretch(map="residual", strength=0.95, frequency=4.0)
changed = dataclasses.replace


def written_again(bench, x):
    """f(x) in torch, (2,) -> (2,)."""
    if bench.map == "linear":
        return torch.tensor(bench.matrix, dtype=torch.float64).view(2, 2) @ x
    s, w = bench.strength, bench.frequency
    return torch.stack([x[0] + s / w * torch.sin(w * x[1]), x[1] + s / w * torch.sin(w * x[0])])


@pytest.mark.parametrize("bench", [SKEW, MIRROR, BLOCK, FAST])
def test_the_jacobian_is_that_of_autograd(bench):
    for x in POINTS[:20]:
        at = torch.from_numpy(x)
        exact = torch.autograd.functional.jacobian(lambda y: written_again(bench, y), at)
        assert bench.f.forward(x[None])[0] == pytest.approx(written_again(bench, at).numpy(), abs=1e-14)
        assert bench.f.jacobian(x[None])[0] == pytest.approx(exact.numpy(), abs=1e-14)
        assert determinants(bench.f.jacobian(x[None]))[0] == pytest.approx(float(torch.linalg.det(exact)), abs=1e-13)
    if bench.map == "linear":  # whose density is normal
        w = np.reshape(bench.matrix, (2, 2))
        law = multivariate_normal(np.zeros(2), np.linalg.inv(w.T @ w))
        assert log_density(bench.f, "normal", POINTS) == pytest.approx(law.logpdf(POINTS), abs=1e-11)


@pytest.mark.parametrize("bench", [SKEW, MIRROR, BLOCK, FAST, UPRIGHT])
@pytest.mark.parametrize("base", BASES)
def test_the_mass_is_one_and_without_the_determinant_one_over_it(bench, base):
    found = total(bench.f, base, False)
    assert abs(found.value - 1) <= min(3 * found.error, 0.01)
    assert found.error < (1e-3 if base == "normal" else 0.02)
    if bench.map == "linear":
        found, exact = total(bench.f, base, True), 1 / abs(np.linalg.det(np.reshape(bench.matrix, (2, 2))))
        assert abs(found.value - exact) <= 3 * found.error and found.error < 0.02 * exact


@pytest.mark.parametrize("bench", [SKEW, MIRROR, BLOCK, FAST])
@pytest.mark.parametrize("base", BASES)
def test_all_that_can_be_seen_is_in_the_window(bench, base):
    angle = np.linspace(0, 2 * np.pi, 400)
    outside = np.stack([np.cos(angle), np.sin(angle)], 1)
    outside *= 1.0001 * reach_of(bench.f, base) / np.abs(outside).max(1, keepdims=True)
    assert np.linalg.norm(bench.f.forward(outside), axis=1).min() > BASES[base].radius


class TestFollowed:
    @pytest.mark.parametrize("name", [name for name, one in EXAMPLES.items() if "matrix" in one.settings])
    def test_a_linear_map_multiplies_the_area_by_its_determinant(self, name):
        bench = changed(Stretch(), **EXAMPLES[name].settings)
        if bench.map == "linear":
            found = follow(bench)
            exact = abs(np.linalg.det(np.reshape(bench.matrix, (2, 2))))
            assert found.image_area == pytest.approx(exact * found.area, rel=1e-12)
            assert found.tangent == pytest.approx(found.image[:: (len(found.image) - 1) // 4], abs=1e-12)

    def test_the_area_of_a_curved_image_is_the_integral_of_the_determinant(self):
        bench = changed(BLOCK, point=(0.3, -0.7))
        found = follow(bench)
        nodes, weights = np.polynomial.legendre.leggauss(20)
        places = np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 2) * bench.side / 2 + bench.point
        inner = determinants(bench.f.jacobian(places)) @ np.outer(weights, weights).ravel() * bench.side**2 / 4
        assert found.image_area == pytest.approx(inner, rel=1e-4)
        assert abs(found.image_area / found.area / found.det - 1) > 0.01
        small = follow(changed(bench, side=0.1))
        assert small.image_area / small.area == pytest.approx(small.det, rel=0.005)

    def test_outside_of_the_unit_square_there_is_no_density(self):
        found = follow(changed(SKEW, base="square", point=(3.0, 3.0)))
        assert found.log_base == -np.inf and not found.has_density and found.density == 0


class TestPictures:
    def test_they_show_the_density_and_one_grid_under_f(self):
        bench = changed(SKEW, base="square")
        over_x, over_z = panes(bench, follow(bench))
        assert over_x.window == over_z.window and over_x.heat.high == over_z.heat.high
        side = over_x.window[0][1]
        cell = (2 * side / (NODES - 1)) ** 2
        assert over_x.heat.values.max() == pytest.approx(1.49)  # det W
        assert over_x.heat.values.sum() * cell == pytest.approx(1, abs=0.05)
        straight = grid(side)
        assert over_z.paths[0].points == pytest.approx(straight @ np.reshape(bench.matrix, (2, 2)).T, nan_ok=True)
        forgotten, _ = panes(changed(bench, forget=True), follow(bench))
        assert forgotten.heat.values.max() == 1
        skew = Stretch(matrix=(2.0, 2.0, 0.0, 1.5))  # a square and its image are in the picture whole
        found = follow(skew)
        (low, high), _ = panes(skew, found)[1].window
        assert all(low < outline.min() and outline.max() < high for outline in (found.square, found.image))

    @pytest.mark.parametrize("bench", [SKEW, MIRROR])
    def test_the_marked_side_shows_whether_the_plane_is_turned_over(self, bench):
        found = follow(bench)
        for pane, outline in zip(panes(bench, found), (found.square, found.image), strict=True):
            (side,) = (path.points for path in pane.paths if path.label == "side from the dot")
            (corner,) = (dots.points[0] for dots in pane.dots if dots.label == "corner")
            along, inwards = side[-1] - side[0], outline[:-1].mean(0) - corner
            is_left = along[0] * inwards[1] - along[1] * inwards[0] > 0
            assert is_left == (outline is found.square or bench is SKEW)


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ((1.0, 2.0, 2.0, 4.0), "determinant"),
        ((1.0, 1.0, 1.0, 1.01), "0.004988"),
        ((4.0, 4.0, -4.0, 4.0), "5.657"),
        ((1.0, 2.0, 3.0), "four"),
    ],
)
def test_a_matrix_without_an_inverse_or_a_picture_is_refused(entries, why):
    assert why in matrix_problem(entries)
    assert matrix_problem((3.0, 4.0, -0.16, 0.12)) is None  # singular values 5 and 0.2, which are the limits
    with pytest.raises(ValueError, match="matrix"):
        Stretch(matrix=entries)


@pytest.mark.usefixtures("local_engine")
class TestPage:
    def opened(self, **bench):
        page = AppTest.from_file(MAIN, default_timeout=600)
        for name, value in (SMALL | {f"stretch.{name}": value for name, value in bench.items()}).items():
            page.query_params[name] = value
        return go(page, "features/stretch/stretch.py")

    def found(self, page):
        return finding(page, Followed), finding(page, Mass)

    def largest(self, page):
        """Of the densities that are drawn, to a level of their colours."""
        heats = [pane["heat"] for pane in pages.panes(page)]
        return [heat["range"][0] + decode(heat["level"]).max() / 254 * np.ptp(heat["range"]) for heat in heats]

    def test_a_density_follows_the_area_and_has_a_mass_of_one(self):
        page = self.opened(matrix="0.5 0.0 0.0 0.8", point="1.0 -0.5", side="0.5")
        point, mass = self.found(page)
        law = multivariate_normal(np.zeros(2), np.diag([4, 1 / 0.64]))
        assert point.z == pytest.approx([0.5, -0.4])
        assert (point.density, point.base_density) == pytest.approx((law.pdf([1, -0.5]), law.pdf([1, -0.5]) / 0.4))
        assert mass.value == pytest.approx(1, abs=5e-4) and is_one(mass)
        assert (point.move, point.slope) == pytest.approx((np.hypot(0.5, 0.1), 0.5))
        assert (point.area, point.image_area, point.det) == pytest.approx((0.25, 0.1, 0.4))
        assert not point.keeps_areas and not point.turns_over
        assert point.log_base + point.log_det == pytest.approx(law.logpdf([1, -0.5]))
        base = 1 / (2 * np.pi)
        assert self.largest(page) == pytest.approx([law.pdf([0, 0]), base, base], rel=0.02)
        answer = sentence(page, "f makes areas")
        assert [float(text) for text in re.findall(r"\d+\.?\d*", answer.replace("*", ""))][:3] == [0.4, 0.4, 2.5]

        page = run(page.toggle(key="stretch.forget").set_value(True))
        mass = finding(page, Mass)
        assert mass.value == pytest.approx(2.5, abs=5e-4) and not is_one(mass)
        assert self.largest(page) == pytest.approx([base, base], rel=0.02)
        page = press(page, "stretch.example.mirror")
        assert own(page).benches[Stretch].matrix == EXAMPLES["mirror"].settings["matrix"]
        point, mass = self.found(page)
        assert point.keeps_areas and point.turns_over and is_one(mass)
