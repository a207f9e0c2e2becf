"""The true densities integrate to one, are those of the draws and of the released recipes, and have their entropies."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import leggauss
from scipy import stats
from sklearn.datasets import make_circles, make_moons, make_swiss_roll

from resflow_core.data import DATASETS, Truth, closed_forms, curves, pinwheel, rings
from tests.core.oracles import seeded

N = 50_000
TOYS = {name: dataset for name, dataset in DATASETS.items() if dataset.truth}
# Bins of 0.25 on [-6, 6]^2: every edge of the checkerboard is an edge of bins.
EDGES = np.linspace(-6, 6, 49)
NODES = 5


@cache
def on_plane(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Log density and weight at Gauss-Legendre nodes in every bin, (bins * nodes, bins * nodes) each; first axis x1."""
    node, weight = leggauss(NODES)
    half = (EDGES[1] - EDGES[0]) / 2
    ticks = (EDGES[:-1, None] + half * (node + 1)).ravel()
    weights = np.tile(half * weight, len(EDGES) - 1)
    grid = torch.cartesian_prod(*[torch.from_numpy(ticks)] * 2)
    return TOYS[name].truth.log_prob(grid).numpy().reshape(len(ticks), -1), weights[:, None] * weights


def bin_masses(name: str) -> np.ndarray:
    log_p, weights = on_plane(name)
    bins = len(EDGES) - 1
    return (np.exp(log_p) * weights).reshape(bins, NODES, bins, NODES).sum((1, 3))


def p_value(name: str, x: np.ndarray) -> float:
    """Chi-square test of draws against the masses of the bins; all that expects fewer than ten draws is one bin."""
    expected = len(x) * bin_masses(name).ravel()
    observed = np.histogram2d(*x.T, bins=(EDGES, EDGES))[0].ravel()
    kept = expected >= 10
    statistic = ((observed - expected)[kept] ** 2 / expected[kept]).sum()
    rest, rest_expected = (len(x) - counts[kept].sum() for counts in (observed, expected))
    if rest_expected > 1e-6:
        return stats.chi2(kept.sum()).sf(statistic + (rest - rest_expected) ** 2 / rest_expected)
    assert rest == 0
    return stats.chi2(kept.sum() - 1).sf(statistic)


def scatter_p_value(x: np.ndarray, batch: int) -> float:
    """Two-sided test that the means of batches scatter as those of independent points do; the worse of both axes."""
    means = x.reshape(-1, batch, 2).mean(1)
    ratio = batch * ((means - x.mean(0)) ** 2).sum(0) / x.var(0)
    law = stats.chi2(len(means) - 1)
    return min(2 * min(law.sf(r), law.cdf(r)) for r in ratio)


@pytest.mark.parametrize("name", TOYS)
class TestEveryTruth:
    @pytest.mark.thorough
    def test_integrates_to_one(self, name):
        assert bin_masses(name).sum() == pytest.approx(1, abs=1e-3)

    @pytest.mark.thorough
    def test_draws_follow_it(self, name):
        # Power: see `test_a_wrong_parameter_is_noticed`.
        assert p_value(name, TOYS[name].sample(N, seeded(0)).numpy()) > 1e-4

    def test_draws_are_independent(self, name):
        # Power: see `test_a_lattice_is_noticed`.
        assert scatter_p_value(TOYS[name].sample(N, seeded(0)).numpy(), 250) > 1e-4

    @pytest.mark.thorough
    def test_entropy_is_its_integral_and_the_mean_of_the_draws(self, name):
        truth = TOYS[name].truth
        log_p, weights = on_plane(name)
        inside = np.isfinite(log_p)
        integral = -(np.exp(log_p) * weights)[inside] @ log_p[inside]
        # What lies outside the square (2e-4 of the banana, nothing of the others) has a -log p of about 10.
        assert truth.entropy == pytest.approx(integral, abs=1e-4 + 10 * (1 - bin_masses(name).sum()))
        nll = -truth.log_prob(TOYS[name].sample(20_000, seeded(1)))
        assert nll.isfinite().all()
        assert float(nll.mean()) == pytest.approx(truth.entropy, abs=5 * float(nll.std()) / len(nll) ** 0.5 + 1e-12)

    def test_is_float64_and_finite_however_far(self, name):
        ticks = torch.linspace(-8, 8, 41)
        far = torch.tensor([[50.0, -30.0], [-1e3, 1e3]])
        x = torch.cat([torch.cartesian_prod(ticks, ticks), far])
        log_p = TOYS[name].truth.log_prob(x)
        assert log_p.shape == (len(x),)
        assert log_p.dtype == torch.float64
        assert (log_p < math.inf).all()
        assert (log_p > -math.inf).all() or name == "checkerboard"


def test_entropy_is_integrated_once_and_only_when_asked_for():
    calls = []

    def log_prob(x):
        calls.append(len(x))
        return closed_forms.gaussian_log_prob(x)

    truth = Truth(log_prob)
    assert not calls
    assert truth.entropy == truth.entropy == pytest.approx(DATASETS["gaussian"].truth.entropy, abs=1e-4)
    assert len(calls) == 1


WRONG = [
    ("8gaussians", closed_forms, "EIGHT_DEVIATION", 1.05 * closed_forms.EIGHT_DEVIATION),
    ("8gaussians", closed_forms, "EIGHT_CENTRES", 1.01 * closed_forms.EIGHT_CENTRES),
    ("gaussian", closed_forms, "GAUSSIAN_FACTOR", 1.05 * closed_forms.GAUSSIAN_FACTOR),
    ("banana", closed_forms, "BANANA_DEVIATION", 0.53),
    ("circles", rings, "CIRCLES_DEVIATION", 0.26),
    ("circles", rings, "CIRCLES_RADII", (3.0, 1.53)),
    ("rings", rings, "RINGS_DEVIATION", 0.09),
    ("rings", rings, "RINGS_RADII", (3.0, 2.25, 1.5, 0.77)),
    ("moons", curves, "MOONS_DEVIATION", 0.212),
    ("noisymoons", curves, "NOISY_MOONS_DEVIATION", 0.53),
    ("swissroll", curves, "SWISS_ROLL_DEVIATION", 0.212),
    ("2spirals", curves, "SPIRALS_DEVIATION", 0.11),
    ("2spirals", curves, "SPIRALS_BOX", 0.2),
    ("2spirals", curves, "SPIRALS_END", 3.02 * math.pi),
    ("pinwheel", pinwheel, "RADIAL_DEVIATION", 0.32),
    ("pinwheel", pinwheel, "TANGENTIAL_DEVIATION", 0.108),
    ("pinwheel", pinwheel, "RATE", 0.255),
]


@pytest.mark.parametrize(("name", "module", "parameter", "value"), WRONG, ids=[f"{w[0]}-{w[2]}" for w in WRONG])
def test_a_wrong_parameter_is_noticed(name, module, parameter, value, monkeypatch):
    bin_masses(name)  # of the right parameter: cached
    monkeypatch.setattr(module, parameter, value)
    assert p_value(name, TOYS[name].sample(N, seeded(0)).numpy()) < 1e-6


@pytest.mark.parametrize(
    "batch",
    [lambda seed: make_moons(250, noise=0.1, random_state=seed), lambda seed: make_circles(250, random_state=seed)],
)
def test_a_lattice_is_noticed(batch):
    assert scatter_p_value(np.concatenate([batch(seed)[0] for seed in range(100)]), 250) < 1e-6


def plane(z: np.ndarray) -> np.ndarray:
    return np.stack([z.real, z.imag], 1)


def released(name: str, rng: np.random.Generator) -> np.ndarray:
    """The toy data of FFJORD and of Residual Flows, written in complex numbers; angles independent."""
    noise = rng.normal(size=N) + 1j * rng.normal(size=N)
    circle = np.exp(2j * np.pi * rng.random(N))
    if name == "swissroll":
        return make_swiss_roll(N, noise=1.0, random_state=int(rng.integers(2**31)))[0][:, [0, 2]] / 5
    if name == "8gaussians":
        return plane((4 * np.exp(0.25j * np.pi * rng.integers(8, size=N)) + 0.5 * noise) / 1.414)
    if name == "pinwheel":
        features = 1 + 0.3 * noise.real + 0.1j * noise.imag
        angle = rng.integers(5, size=N) * 2 * np.pi / 5 + 0.25 * np.exp(features.real)
        return plane(2 * features * np.exp(-1j * angle))
    if name == "circles":
        return plane(3 * (circle * rng.choice([1.0, 0.5], size=N) + 0.08 * noise))
    if name == "rings":
        return plane(3 * circle * rng.choice([1.0, 0.75, 0.5, 0.25], size=N) + 0.08 * noise)
    if name == "moons":
        half = np.exp(1j * np.pi * rng.random(N))
        return plane(2 * (np.where(rng.random(N) < 0.5, half, 1 + 0.5j - half) + 0.1 * noise) - 1 - 0.2j)
    if name == "2spirals":
        n = np.sqrt(rng.random(N)) * 540 * 2 * np.pi / 360
        arm = -n * np.cos(n) + 0.5 * rng.random(N) + 1j * (n * np.sin(n) + 0.5 * rng.random(N))
        return plane(rng.choice([-1, 1], size=N) * arm / 3 + 0.1 * noise)
    x1 = 4 * rng.random(N) - 2
    return 2 * np.stack([x1, rng.random(N) - 2 * rng.integers(2, size=N) + np.floor(x1) % 2], 1)


@pytest.mark.parametrize(
    "name", ["swissroll", "8gaussians", "pinwheel", "circles", "rings", "moons", "2spirals", "checkerboard"]
)
def test_the_released_recipe_follows_it(name):
    assert p_value(name, released(name, np.random.default_rng(0))) > 1e-4
