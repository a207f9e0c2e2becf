"""Maps of the plane against moments that NumPy sums node by node, and what is sent of them."""

import base64
from dataclasses import replace

import numpy as np
import pytest

from app.components.map_and_disc import DISC, INFINITE, scene
from app.engine.training.measurements.jacobians import Jacobians
from app.estimates.hashed_jacobians import HashedJacobians
from app.estimates.maps import MAPS, field, series_error
from app.estimates.settings import Bench
from app.features.estimator.plane import in_disc, mapped, picked
from resflow_core.roulette import Geometric, Poisson

SIDE, BLOCKS = 6, 3
WINDOW = ((-1.0, 1.0), (-2.0, 2.0))


def jacobians(largest=0.65, seed=0):
    """Of random blocks whose spectral radii reach up to `largest`."""
    rng = np.random.default_rng(seed)
    grid = rng.normal(size=(BLOCKS, SIDE**2, 2, 2))
    radius = np.abs(np.linalg.eigvals(grid)).max(-1)
    grid *= (largest * rng.uniform(0.1, 1, radius.shape) / radius)[..., None, None]
    return Jacobians(7, grid.astype(np.float32), grid[:, :5].astype(np.float32), np.ones((SIDE, SIDE)), WINDOW)


def numpy_variance(a, law, probe, first=1):
    """Of each matrix, (n, 2, 2): probe and roulette noise from its powers, summed from the last to the first that is
    estimated."""
    k = np.arange(1, 200)
    powers = np.stack([np.linalg.matrix_power(a, int(i)) for i in k])
    tails = np.cumsum((-((-1.0) ** k) / k * (k >= first))[::-1, None, None, None] * powers[::-1], 0)[::-1]
    s = (tails + tails.swapaxes(2, 3)) / 2
    trace, off = s[..., 0, 0] + s[..., 1, 1], 2 * s[..., 0, 1] ** 2
    noise = {"gaussian": 2 * (s**2).sum((2, 3)), "rademacher": 2 * off}[probe]
    survival = np.array([law.tail_ratio ** max(0, i - law.n_exact) for i in range(200)])
    weights = 1 / survival[1:] - 1 / survival[:-1]
    return noise[0] + (weights[:, None] * (noise + trace**2)).sum(0)


@pytest.mark.parametrize("probe", ["gaussian", "rademacher"])
@pytest.mark.parametrize("block", [0, 1, 3])
def test_the_deviation_is_that_of_the_sum_over_the_blocks(block, probe):
    found, law = jacobians(), Geometric(0.5, 2)
    drawn = field(HashedJacobians(found), Bench(block=block, law=law, probe=probe))
    of = found.grid[block - 1 : block] if block else found.grid
    expected = sum(numpy_variance(nodes.astype(float), law, probe) for nodes in of) ** 0.5
    np.testing.assert_allclose(drawn.value, expected, rtol=1e-6)
    assert not drawn.infinite.any()


def test_with_the_first_term_exact_the_deviation_is_that_of_the_other_terms():
    found, law = jacobians(), Geometric(0.5, 2)
    drawn = field(HashedJacobians(found), Bench(block=1, law=law, first_exact=True))
    expected = numpy_variance(found.grid[0].astype(float), law, "gaussian", 2) ** 0.5
    np.testing.assert_allclose(drawn.value, expected, rtol=1e-6)
    assert np.median(drawn.value) < 0.5 * np.median(field(HashedJacobians(found), Bench(block=1, law=law)).value)


def test_probes_and_draws_divide_the_noise():
    of, bench = HashedJacobians(jacobians()), Bench(probe="rademacher")
    one, many = (field(of, replace(bench, n_probes=k, n_draws=k)).value for k in (1, 4))
    assert (many < one).all() and (many > one / 4).all()
    # The variance is P + R / M for M draws.
    whole, half, quarter = (field(of, replace(bench, n_draws=m)).value ** 2 for m in (1, 2, 4))
    np.testing.assert_allclose(whole - half, 2 * (half - quarter), rtol=1e-6, atol=1e-12)
    assert (half < whole).all()
    assert (half > whole / 2).all(), "all draws share the probe, whose noise stays"


def test_it_is_infinite_beyond_the_tail_ratio_and_nowhere_else():
    found = jacobians(0.95)
    radius = np.abs(np.linalg.eigvals(found.grid.astype(float))).max(-1)
    drawn = field(HashedJacobians(found), Bench(law=Geometric(0.5, 3)))
    np.testing.assert_array_equal(drawn.infinite, (radius**2 > 0.5).any(0))
    assert 0.2 < drawn.infinite.mean() < 0.9
    np.testing.assert_array_equal(np.isnan(drawn.value), drawn.infinite)
    np.testing.assert_allclose(drawn.radius, radius.max(0), rtol=1e-6)
    np.testing.assert_array_equal(drawn.leading, radius.argmax(0))
    assert field(HashedJacobians(found), Bench(law=Poisson())).infinite.all()
    assert (field(HashedJacobians(found), Bench(block=2)).leading == 1).all()


@pytest.mark.parametrize("n_terms", [1, 5, 10])
def test_the_bias_is_the_series_less_the_log_det(n_terms):
    found = jacobians(0.9)
    drawn = field(HashedJacobians(found), Bench(map="bias", n_terms=n_terms))
    grid = found.grid.astype(float)
    series = sum(
        -((-1) ** k) / k * np.trace(np.linalg.matrix_power(grid, k), axis1=-2, axis2=-1) for k in range(1, n_terms + 1)
    )
    expected = (series - np.linalg.slogdet(np.eye(2) + grid)[1]).sum(0)
    np.testing.assert_allclose(drawn.value, expected, atol=1e-12)


def test_the_errors_of_the_eigenvalues_add_up_to_the_bias():
    # tr f(A) is the sum of f over the eigenvalues.
    found = jacobians(0.9)
    drawn = field(HashedJacobians(found), Bench(map="bias", block=2, n_terms=4))
    np.testing.assert_allclose(drawn.series_error.sum(1), drawn.value, atol=1e-9)
    assert (np.abs(drawn.eigenvalues[:, 0]) >= np.abs(drawn.eigenvalues[:, 1]) - 1e-12).all()
    assert series_error(np.array([-0.5]), 2)[0] == pytest.approx(-0.5 - 0.125 - np.log(0.5))


@pytest.mark.parametrize("name", MAPS)
def test_what_is_sent_is_what_was_computed(name):
    found = jacobians(0.95)
    drawn = field(HashedJacobians(found), Bench(map=name))
    sent = scene(
        WINDOW, drawn.value, drawn.infinite, drawn.radius, drawn.eigenvalues, drawn.series_error, title="t", name="n",
        unit="nats", signed=MAPS[name].diverging, limit=0.7, circles=[("1", 1.0)], axes=["x", "y"], alt={},
    )  # fmt: skip

    def part(key):
        return np.frombuffer(base64.b64decode(sent[key]["base64"]), sent[key]["dtype"])

    level, (low, high) = part("level"), sent["range"]
    np.testing.assert_array_equal(level == INFINITE, drawn.infinite)
    finite = ~drawn.infinite
    np.testing.assert_allclose(
        low + level[finite] / 254 * (high - low), np.clip(drawn.value[finite], low, high), atol=(high - low) / 500
    )
    np.testing.assert_allclose(part("radius") / 65535, drawn.radius, atol=1e-5)
    places = (part("eigenvalues").reshape(-1, 2, 2) / 32767 - 1) * DISC
    np.testing.assert_allclose(places[..., 0] + 1j * places[..., 1], drawn.eigenvalues, atol=5e-5)
    assert (places[..., 1] == 0).any()  # real ones stay real
    least, most = sent["error_range"]
    assert least == -most
    errors = least + part("error").reshape(-1, 2) / 254 * (most - least)
    np.testing.assert_allclose(errors, np.clip(drawn.series_error, least, most), atol=most / 250)


@pytest.mark.parametrize("name", MAPS)
def test_what_is_found_of_a_map_is_of_its_finite_nodes(name):
    found, bench = jacobians(0.95), Bench(map=name, block=1, n_terms=3)
    drawn = field(HashedJacobians(found), bench)
    finite = drawn.value[~drawn.infinite]
    about = mapped(bench, drawn, drawn)
    assert (about.low, about.median, about.high) == (finite.min(), np.median(finite), finite.max())
    assert about.beyond == (drawn.radius**2 > 0.5).mean() > 0 and not about.is_infinite
    assert (about.map, about.block, about.n_terms, about.tail_ratio) == (name, 1, 3, 0.5)
    disc = in_disc(bench, drawn)
    assert disc.n_terms == 3
    errors = series_error(drawn.eigenvalues[:, 0], 3)
    assert disc.too_high == (errors > 0).mean()
    assert abs(series_error(np.array([disc.farthest]), 3)[0]) == np.abs(errors).max()


def test_a_node_that_is_chosen_is_the_one_that_can_be_taken():
    found = jacobians(0.95)
    drawn = field(HashedJacobians(found), Bench())
    for chosen, node in ((7, 7), (None, drawn.radius.argmax()), (SIDE**2, drawn.radius.argmax())):
        about = picked(found.grid, drawn, chosen)
        assert about.block == drawn.leading[node]
        assert about.entries == tuple(np.round(found.grid[about.block, node].flatten().astype(float), 4))
        assert about.radius == drawn.radius[node] and about.problem is None
    assert picked(found.grid, drawn, 7).is_chosen and not picked(found.grid, drawn, None).is_chosen
    steep = np.broadcast_to(np.diag([0.995, 0.2]), (1, SIDE**2, 2, 2)).astype(np.float32)
    few = Jacobians(7, steep, steep[:, :5], np.ones((SIDE, SIDE)), WINDOW)
    assert "0.995" in picked(few.grid, field(HashedJacobians(few), Bench()), None).problem


def test_real_eigenvalues_beyond_minus_one_have_an_error():
    grid = np.broadcast_to(np.diag([-1.5, 0.2]), (1, SIDE**2, 2, 2)).astype(np.float32)
    found = Jacobians(7, grid, grid[:, :5], np.ones((SIDE, SIDE)), WINDOW)
    drawn = field(HashedJacobians(found), Bench(map="radius", n_terms=1))
    assert drawn.eigenvalues.dtype == complex
    np.testing.assert_allclose(drawn.series_error[:, 0], -1.5 - np.log(0.5), rtol=1e-6)


def test_nothing_finite_is_no_crash():
    found = jacobians(0.95)
    drawn = field(HashedJacobians(found), Bench(law=Poisson()))
    about = mapped(Bench(law=Poisson()), drawn, drawn)
    assert about.is_infinite and (about.beyond, about.tail_ratio) == (1, 0)
    sent = scene(
        WINDOW, drawn.value, drawn.infinite, drawn.radius, drawn.eigenvalues, drawn.series_error, title="", name="",
        unit="", signed=False, limit=None, circles=[], axes=["x", "y"], alt={},
    )  # fmt: skip
    assert sent["range"] == [0.0, 1.0]
