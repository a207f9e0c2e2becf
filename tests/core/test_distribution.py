"""The distribution of one estimate: against distributions that SciPy has, its own draws, and its moments."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from resflow_core.estimators.distribution import estimate_cdf
from resflow_core.estimators.faulty_estimators import FAULTY_ESTIMATORS, draw_estimates
from resflow_core.estimators.forms import form_of
from resflow_core.probes import PROBES
from resflow_core.roulette import Geometric, Poisson
from tests.covering import told

A = np.array([[0.45, 0.30], [-0.25, 0.20]])
MATRICES = {
    "lesson": A,
    "steep": np.array([[0.9, 0.3], [0.1, -0.2]]),
    "indefinite": np.array([[-0.5, 0.6], [0.3, 0.5]]),
    "multiple": np.array([[0.3, 0.0], [0.0, 0.3]]),
}
X = np.array([-5.0, -1.0, -0.1, -1e-3, 0.0, 1e-3, 0.1, 1.0, 5.0])


def double(value):
    return torch.tensor(value, dtype=torch.float64)


def product_normal(x):
    """P(v_1^2 - v_2^2 <= x): v_1^2 - v_2^2 is twice a product of independent normal numbers."""
    half = integrate.quad(lambda y: special.k0(y / 2) / (2 * math.pi), 0, abs(x), points=[0])[0]
    return 0.5 + math.copysign(half, x)


@pytest.mark.parametrize(
    ("eigenvalues", "expected"),
    [
        ((1.0, 0.0), stats.chi2(1).cdf),
        ((1.0, 1.0), stats.chi2(2).cdf),
        ((0.0, -1.0), lambda x: stats.chi2(1).sf(-x)),
        ((1.0, -1.0), np.vectorize(product_normal)),
    ],
)
def test_gaussian_forms_are_those_that_are_known(eigenvalues, expected):
    trace, gap = sum(eigenvalues), eigenvalues[0] - eigenvalues[1]
    found = form_of("gaussian").cdf(double(trace), double(gap), double(X)).numpy()
    np.testing.assert_allclose(found, expected(X), atol=1e-5)


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("matrix", MATRICES)
def test_draws_follow_it(matrix, probe):
    for bug in FAULTY_ESTIMATORS:
        with told(bug):
            check_draws(matrix, probe, bug)


def check_draws(matrix, probe, bug):
    """Kolmogorov's distance of 20,000 draws: in one of 20,000 seeds it would be over 2.3 / sqrt(n). A shared N has
    fewer N than draws, so its bound is that of the batches. Draws are compared where they lie, from both sides."""
    n, batch = 20_000, FAULTY_ESTIMATORS[bug].batch
    values = np.sort(draw_estimates(bug, MATRICES[matrix], Geometric(), probe, n, seed=5).value)
    at = values[:: n // 50] + 1e-9
    expected = estimate_cdf(bug, MATRICES[matrix], Geometric(), probe, at)
    empirical = np.searchsorted(values, at, side="right") / n
    assert np.abs(empirical - expected).max() < 2.3 / math.sqrt(n / batch)


@pytest.mark.parametrize(
    ("probe", "variance", "reach"), [("gaussian", 0.3917271732, 20.0), ("rademacher", 0.0014856049, 1.5)]
)
@pytest.mark.thorough
def test_its_moments_are_those_in_closed_form(probe, variance, reach):
    """By sums over 3,000 cells about the mean. Beyond them is nothing that counts; within one, all is at its middle."""
    x = np.linspace(0.6 - reach, 0.6 + reach, 3_001)
    below = np.concatenate([estimate_cdf("none", A, Geometric(), probe, part) for part in np.array_split(x, 30)])
    mass, middle = np.diff(below), (x[1:] + x[:-1]) / 2
    mean = (mass * middle).sum()
    assert mean == pytest.approx(0.5960854677, abs=1e-3)
    assert (mass * (middle - mean) ** 2).sum() == pytest.approx(variance, rel=5e-3)


@pytest.mark.parametrize("law", [Geometric(p=0.2, n_exact=0), Geometric(p=0.9, n_exact=1), Poisson()])
@pytest.mark.parametrize("probe", PROBES)
def test_it_is_a_distribution(law, probe):
    found = estimate_cdf("none", A, law, probe, np.linspace(-1e3, 1e3, 101))
    assert (np.diff(found) >= -1e-5).all()
    assert found[0] == pytest.approx(0, abs=1e-4)
    assert found[-1] == pytest.approx(1, abs=1e-4)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 3\)"):
        estimate_cdf("none", np.eye(3) / 2, Geometric(), "gaussian", X)
