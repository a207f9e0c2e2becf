"""What every entry of the registry promises. True densities and tables have files of their own."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial import cKDTree

from resflow_core.data import DATASETS
from resflow_core.training.trainer import MOST_SEED
from tests.core.oracles import seeded

N = 20_000
TOYS = {name: dataset for name, dataset in DATASETS.items() if dataset.truth}


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
class TestEveryDataset:
    def test_draws_are_float32_points_that_follow_the_generator_alone(self, dataset):
        before = torch.get_rng_state()
        x = dataset.sample(100, seeded(0))
        assert x.shape == (100, 2)
        assert x.dtype == dataset.held_out().dtype == torch.float32
        assert torch.equal(x, dataset.sample(100, seeded(0)))
        assert not torch.equal(x, dataset.sample(100, seeded(1)))
        assert torch.equal(before, torch.get_rng_state())

    def test_nearly_all_points_lie_in_the_plotted_square_and_nearly_fill_it(self, dataset):
        x = dataset.sample(N, seeded(0)).numpy()
        (x0, x1), (y0, y1) = dataset.window
        assert x1 - x0 == pytest.approx(y1 - y0)
        assert ((x >= [x0, y0]) & (x <= [x1, y1])).all(1).mean() > 0.99
        low, high = np.quantile(x, [0.002, 0.998], axis=0)
        assert (high - low).max() > 0.75 * (x1 - x0)

    def test_held_out_points_are_fixed_and_follow_the_same_law(self, dataset):
        held_out = dataset.held_out()
        assert torch.equal(held_out, dataset.held_out())
        train = dataset.sample(N, seeded(0))
        for i in range(2):
            assert stats.ks_2samp(train[:, i], held_out[:, i]).pvalue > 1e-4


@pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS)
def test_no_run_is_trained_on_the_held_out_draws(toy):
    for seed, stream in itertools.product([0, 1, MOST_SEED], range(3)):
        x = toy.sample(200, seeded(3 * seed + stream))
        assert not (x[:, None] == toy.held_out()).all(2).any()


def test_the_default_comes_first_and_the_papers_eight_are_there():
    assert next(iter(DATASETS)) == "checkerboard"
    assert {"swissroll", "8gaussians", "pinwheel", "circles", "moons", "2spirals", "checkerboard", "rings"} <= set(TOYS)


def test_checkerboard_is_uniform_on_its_eight_squares():
    x = DATASETS["checkerboard"].sample(N, seeded(0)).numpy()
    column, row = np.floor((x + 4) / 2).astype(int).T
    assert ((column + row) % 2 == 0).all()
    counts = np.bincount(column * 4 + row)
    assert stats.chisquare(counts[counts > 0]).pvalue > 1e-4
    inside = np.mod(x + 4, 2) / 2
    assert stats.kstest(inside.ravel(), "uniform").pvalue > 1e-4


def test_no_point_is_rounded_off_its_square_of_the_checkerboard(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *shape, generator: torch.full(shape, 1 - 2**-24))
    board = DATASETS["checkerboard"]
    assert board.truth.log_prob(board.sample(1_000, seeded(0))).isfinite().all()


def test_eight_gaussians_are_normal_about_their_centres():
    x = DATASETS["8gaussians"].sample(N, seeded(0)).numpy() * math.sqrt(2)
    angle = np.arange(8) * math.pi / 4
    centres = 4 * np.stack([np.cos(angle), np.sin(angle)], 1)
    distance2 = ((x[:, None] - centres) ** 2).sum(2)
    nearest = distance2.argmin(1)
    assert stats.chisquare(np.bincount(nearest)).pvalue > 1e-4
    # The squared distance / 0.25 is chi-square with two degrees of freedom, but for the few that stray.
    assert stats.kstest(distance2.min(1) / 0.25, "chi2", args=(2,)).statistic < 0.01


def test_moons_are_two_half_circles_blurred():
    x = (DATASETS["moons"].sample(N, seeded(0)).numpy() + np.array([1.0, 0.2])) / 2
    t = np.linspace(0, np.pi, 2_000)
    arcs = np.concatenate([np.stack([np.cos(t), np.sin(t)], 1), np.stack([1 - np.cos(t), 0.5 - np.sin(t)], 1)])
    distance, nearest = cKDTree(arcs).query(x)
    # Across the arc the noise is normal with deviation 0.1, so the mean distance is 0.1 sqrt(2 / pi), ends apart.
    assert distance.mean() == pytest.approx(0.1 * math.sqrt(2 / math.pi), rel=0.04)
    along = np.mod(nearest, 2_000)
    inner = along[(along > 200) & (along < 1_800)]
    assert stats.kstest((inner - 200) / 1_600, "uniform").pvalue > 1e-4


def test_two_spirals_are_symmetric_about_the_origin_in_law():
    x = DATASETS["2spirals"].sample(N, seeded(0))
    for i in range(2):
        assert stats.ks_2samp(x[:, i], -x[:, i]).pvalue > 1e-4
    assert 2.5 < float(x.norm(dim=1).max()) < 4.5
