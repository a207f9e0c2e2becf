"""What every data set promises: draws, held-out points, true densities, and classes by Bayes."""

import itertools
from functools import cache

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import leggauss
from scipy import stats
from sklearn import datasets as sk

from resflow_core.data import DATASETS, Table
from resflow_core.data.curves import NOISY_MOONS_DEVIATION
from resflow_core.training.trainer import MOST_SEED
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


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_draws_follow_the_generator_alone_and_held_out_points_the_same_law(dataset):
    before = torch.get_rng_state()
    x, held_out = dataset.sample(20_000, seeded(0)), dataset.held_out()
    assert x.shape == (20_000, 2)
    assert x.dtype == held_out.dtype == torch.float32
    assert torch.equal(x, dataset.sample(20_000, seeded(0)))
    assert not torch.equal(x, dataset.sample(20_000, seeded(1)))
    assert torch.equal(held_out, dataset.held_out())
    assert torch.equal(before, torch.get_rng_state())
    for i in range(2):
        assert stats.ks_2samp(x[:, i], held_out[:, i]).pvalue > 1e-4
    (x0, x1), (y0, y1) = dataset.window
    assert x1 - x0 == pytest.approx(y1 - y0)
    assert ((x.numpy() >= [x0, y0]) & (x.numpy() <= [x1, y1])).all(1).mean() > 0.99


@pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS)
def test_no_run_is_trained_on_the_held_out_draws(toy):
    for seed, stream in itertools.product([0, 1, MOST_SEED], range(3)):
        x = toy.sample(200, seeded(3 * seed + stream))
        assert not (x[:, None] == toy.held_out()).all(2).any()


@pytest.mark.parametrize("name", TOYS)
class TestEveryTruth:
    def test_it_integrates_to_one_and_draws_follow_it(self, name):
        assert bin_masses(name).sum() == pytest.approx(1, abs=1e-3)
        assert p_value(name, TOYS[name].sample(N, seeded(0)).numpy()) > 1e-4

    def test_entropy_is_its_integral_and_the_mean_of_the_draws(self, name):
        truth = TOYS[name].truth
        log_p, weights = on_plane(name)
        inside = np.isfinite(log_p)
        integral = -(np.exp(log_p) * weights)[inside] @ log_p[inside]
        # What lies outside the square (2e-4 of the banana, nothing of the others) has a -log p of about 10.
        assert truth.entropy == pytest.approx(integral, abs=1e-4 + 10 * (1 - bin_masses(name).sum()))
        nll = -truth.log_prob(TOYS[name].sample(5_000, seeded(1)))
        assert nll.isfinite().all()
        assert float(nll.mean()) == pytest.approx(truth.entropy, abs=5 * float(nll.std()) / len(nll) ** 0.5 + 1e-12)


def plane(z: np.ndarray) -> np.ndarray:
    return np.stack([z.real, z.imag], 1)


def released(name: str, rng: np.random.Generator) -> np.ndarray:
    """The toy data of FFJORD and of Residual Flows, written in complex numbers; angles independent."""
    noise = rng.normal(size=N) + 1j * rng.normal(size=N)
    circle = np.exp(2j * np.pi * rng.random(N))
    if name == "swissroll":
        return sk.make_swiss_roll(N, noise=1.0, random_state=int(rng.integers(2**31)))[0][:, [0, 2]] / 5
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
    """Draws and density have the same parameters; these do not."""
    assert p_value(name, released(name, np.random.default_rng(0))) > 1e-4


LABELLED = {name: dataset for name, dataset in DATASETS.items() if dataset.classes}
KNOWN = {name: dataset for name, dataset in LABELLED.items() if dataset.joint}


@pytest.mark.parametrize("dataset", LABELLED.values(), ids=LABELLED)
def test_labelled_draws_are_the_draws(dataset):
    x, y = dataset.sample_labelled(2_000, seeded(3))
    assert torch.equal(x, dataset.sample(2_000, seeded(3)))
    assert (y.dtype, y.shape) == (torch.int64, (2_000,))
    assert y.unique().tolist() == list(range(len(dataset.classes)))
    assert dataset.held_out_classes().shape == (len(dataset.held_out()),)


@pytest.mark.parametrize("dataset", KNOWN.values(), ids=KNOWN)
def test_classes_add_up_to_the_density_and_are_drawn_as_often_as_it_says(dataset):
    x = torch.cat([dataset.held_out()[:100], 5 * torch.randn(100, 2, generator=seeded(0))])
    torch.testing.assert_close(dataset.joint.log_joint(x).logsumexp(1), dataset.truth.log_prob(x))
    x, y = dataset.sample_labelled(2_000, seeded(1))
    posterior = dataset.joint.log_posterior(x).exp()
    # A class is drawn with its posterior probability: the sum of the differences has variance sum p (1 - p).
    for k in range(len(dataset.classes)):
        p = posterior[:, k]
        z = float(((y == k).double() - p).sum() / (p * (1 - p)).sum().clamp(min=1e-3).sqrt())
        assert abs(z) < 4.5, k


def test_noisy_moons_against_points_along_the_arcs():
    t = (np.arange(20_000) + 0.5) / 20_000 * np.pi
    upper = np.stack([2 * np.cos(t) - 1, 2 * np.sin(t) - 0.2], 1)
    x = torch.randn(30, 2, generator=seeded(4), dtype=torch.float64) * 2
    log_joint = DATASETS["noisymoons"].joint.log_joint(x).numpy()
    for k, arc in enumerate((np.array([0, 0.6]) - upper, upper)):
        normal = stats.norm(scale=NOISY_MOONS_DEVIATION)
        density = normal.pdf(x.numpy()[:, None] - arc).prod(2).mean(1) / 2
        np.testing.assert_allclose(log_joint[:, k], np.log(density), rtol=1e-6)


def test_real_classes_are_those_of_scikit_learn():
    iris, flowers = DATASETS["iris"], sk.load_iris()
    x = iris.held_out() * torch.tensor([axis.scale for axis in iris.axes]) + torch.tensor([a.centre for a in iris.axes])
    columns = flowers.data[:, [0, 2]]
    for point, k in zip(x.numpy(), iris.held_out_classes().tolist(), strict=True):
        same = np.abs(columns - point).max(1) < 1e-4
        assert iris.classes[k] in {flowers.target_names[i] for i in flowers.target[same]}
    assert torch.bincount(DATASETS["wine"].held_out_classes()).sum() == 53


def test_a_table_gives_each_row_its_label():
    values = np.random.default_rng(0).normal(size=(60, 2))
    kinds = tuple("cab"[i % 3] for i in range(60))
    table = Table("t", ("x", "y"), values, labels=kinds)
    assert table.classes == ("a", "b", "c")
    x, y = table.sample_labelled(500, seeded(0))
    assert torch.equal(x, table.sample(500, seeded(0)))
    known = {tuple(np.round(row, 4)): kind for row, kind in zip(values, kinds, strict=True)}
    back = x.numpy() * [axis.scale for axis in table.axes] + [axis.centre for axis in table.axes]
    assert [known[tuple(np.round(row, 4))] for row in back] == [table.classes[k] for k in y]
    assert tuple(table.classes[k] for k in table.held_out_classes()) == table.held_out_labels


@pytest.mark.parametrize("dataset", [DATASETS["gaussian"], DATASETS["diabetes"]], ids=["toy", "table"])
def test_points_without_classes_say_so(dataset):
    for ask in (lambda: dataset.sample_labelled(3, seeded(0)), dataset.held_out_classes):
        with pytest.raises(ValueError, match=r"no classes\. Choose data with labels"):
            ask()
