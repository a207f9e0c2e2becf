"""Classes of the points: the same draws, and p(x, y) against independent densities and against the draws."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import datasets as sk

from resflow_core.data import DATASETS, Table, pinwheel
from resflow_core.data.curves import NOISY_MOONS_DEVIATION
from tests.core.oracles import seeded

LABELLED = {name: dataset for name, dataset in DATASETS.items() if dataset.classes}
KNOWN = {name: dataset for name, dataset in LABELLED.items() if dataset.joint}


def test_which_sets_have_classes():
    assert set(DATASETS) - set(LABELLED) == {"swissroll", "gaussian", "banana", "diabetes"}
    assert set(LABELLED) - set(KNOWN) == {"wine", "iris"}


@pytest.mark.parametrize("dataset", LABELLED.values(), ids=LABELLED)
def test_labelled_draws_are_the_draws(dataset):
    x, y = dataset.sample_labelled(2_000, seeded(3))
    assert torch.equal(x, dataset.sample(2_000, seeded(3)))
    assert (y.dtype, y.shape) == (torch.int64, (2_000,))
    assert y.unique().tolist() == list(range(len(dataset.classes)))
    assert len(set(dataset.classes)) == len(dataset.classes)
    assert dataset.held_out_classes().shape == (len(dataset.held_out()),)


@pytest.mark.parametrize("dataset", KNOWN.values(), ids=KNOWN)
class TestTheJointDensity:
    def test_it_adds_up_to_the_density(self, dataset):
        x = torch.cat([dataset.held_out()[:100], 5 * torch.randn(100, 2, generator=seeded(0))])
        torch.testing.assert_close(dataset.joint.log_joint(x).logsumexp(1), dataset.truth.log_prob(x))

    def test_draws_have_their_classes_as_often_as_it_says(self, dataset):
        x, y = dataset.sample_labelled(2_000, seeded(1))
        posterior = dataset.joint.log_posterior(x).exp()
        # A class is drawn with its posterior probability: the sum of the differences has variance sum p (1 - p).
        for k in range(len(dataset.classes)):
            p = posterior[:, k]
            z = float(((y == k).double() - p).sum() / (p * (1 - p)).sum().clamp(min=1e-3).sqrt())
            assert abs(z) < 4.5, k

    def test_it_is_right_about_its_own_confidence(self, dataset):
        x, y = dataset.sample_labelled(2_000, seeded(2))
        top, named = dataset.joint.log_posterior(x).exp().max(1)
        noise = float((top * (1 - top)).sum().sqrt()) / len(y)
        assert float((named == y).double().mean()) == pytest.approx(float(top.mean()), abs=4.5 * noise + 1e-9)


def test_noisy_moons_against_points_along_the_arcs():
    t = (np.arange(20_000) + 0.5) / 20_000 * np.pi
    upper = np.stack([2 * np.cos(t) - 1, 2 * np.sin(t) - 0.2], 1)
    x = torch.randn(30, 2, generator=seeded(4), dtype=torch.float64) * 2
    log_joint = DATASETS["noisymoons"].joint.log_joint(x).numpy()
    for k, arc in enumerate((np.array([0, 0.6]) - upper, upper)):
        normal = stats.norm(scale=NOISY_MOONS_DEVIATION)
        density = normal.pdf(x.numpy()[:, None] - arc).prod(2).mean(1) / 2
        np.testing.assert_allclose(log_joint[:, k], np.log(density), rtol=1e-6)


@pytest.mark.parametrize("radius", [6.01, 7.0, 8.0, 9.0])
def test_far_out_the_arms_of_the_pinwheel_have_the_shares_of_all_preimages(radius):
    angle = torch.linspace(-3, 3, 11, dtype=torch.float64)
    point, psi, arm = pinwheel.preimages(torch.full_like(angle, radius), angle)
    a, b = radius * psi.cos(), radius * psi.sin()
    weights = (-(((a - 1) / 0.3) ** 2 + (b / 0.1) ** 2) / 2).sub(-(((radius - 1) / 0.3) ** 2) / 2).exp()
    weights /= (1 + b * a.exp() / 4).abs()
    totals = torch.zeros(11 * 5, dtype=torch.float64).index_add(0, point * 5 + arm, weights).view(11, 5)
    x = 2 * radius * torch.stack([angle.cos(), angle.sin()], 1)
    posterior = DATASETS["pinwheel"].joint.log_posterior(x).exp()
    torch.testing.assert_close(posterior, totals / totals.sum(1, keepdim=True), rtol=1e-6, atol=1e-9)


def test_the_arms_of_the_pinwheel_are_as_likely_in_the_end():
    angle = torch.linspace(-3, 3, 11, dtype=torch.float64)
    posterior = DATASETS["pinwheel"].joint.log_posterior(26 * torch.stack([angle.cos(), angle.sin()], 1)).exp()
    torch.testing.assert_close(posterior, torch.full_like(posterior, 0.2))


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
