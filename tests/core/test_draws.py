"""The snippet is executed: it knows nothing of ours, and must find the same numbers."""

import contextlib
import io
import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from resflow_core.estimators.draws import draw_estimates, snippet, values, weighted_sums
from resflow_core.probes import PROBES
from resflow_core.roulette import Custom, Geometric, Poisson
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET

A = KNOWN_A.numpy()
LARGER = [0.3 * np.random.default_rng(d).standard_normal((d, d)) / d**0.5 for d in (3, 4, 5)]
LAWS = [Geometric(0.5, 3), Geometric(0.05, 0), Poisson(2.0, 2), Poisson(10.0, 0), Custom((0.9, 0.9, 0.7, 0.5))]


@pytest.mark.parametrize("exact_traces", [0, 1, 2])
@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("law", LAWS, ids=str)
def test_the_snippet_finds_the_same_numbers(law, probe, exact_traces):
    code = snippet(A, law, probe, 3000, 7, exact_traces)
    assert len(code.splitlines()) <= 15 and code.count("import") == 1
    found, said = {}, io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code, found)
    ours = draw_estimates(A, law, probe, 3000, 7, exact_traces=exact_traces)
    np.testing.assert_array_equal(ours.n, found["N"])
    np.testing.assert_array_equal(ours.probe, found["v"])
    np.testing.assert_allclose(ours.value, found["estimates"], atol=1e-12)
    mean, error, truth = (float(word) for word in said.getvalue().split() if word[-1].isdigit())
    assert mean == pytest.approx(ours.value.mean()) and truth == pytest.approx(KNOWN_LOG_DET, abs=1e-9)
    assert error == pytest.approx(stats.sem(ours.value))


@pytest.mark.parametrize(("a", "probe"), [*zip(itertools.cycle(LARGER), PROBES, strict=False)], ids=str)
@pytest.mark.thorough
def test_larger_matrices(a, probe):
    found = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(snippet(a, LAWS[0], probe, 500, 7), found)
    ours = draw_estimates(a, LAWS[0], probe, 500, 7)
    np.testing.assert_array_equal(ours.probe, found["v"])
    np.testing.assert_allclose(ours.value, found["estimates"], atol=1e-12)
    np.testing.assert_array_equal(draw_estimates(a, LAWS[0], probe, 100, 7, 400).value, ours.value[400:])
    # Means and covariances of 200,000 probes within 5 standard errors of 0 and the identity; then the estimates.
    many = draw_estimates(a, LAWS[0], probe, 200_000, 1)
    assert (np.abs(many.probe.mean(0)) < 5 / 200_000**0.5).all()
    products = np.einsum("ti,tj->tij", many.probe, many.probe)
    error = products.std(0) / 200_000**0.5
    assert (np.abs(products.mean(0) - np.eye(len(a))) <= 5 * error + 1e-12).all()
    assert abs(many.value.mean() - np.linalg.slogdet(np.eye(len(a)) + a)[1]) < 5 * stats.sem(many.value)


def test_it_does_not_matter_how_many_are_thrown_at_once():
    whole = draw_estimates(A, LAWS[0], "gaussian", 1000, 3)
    parts = [draw_estimates(A, LAWS[0], "gaussian", n, 3, start) for start, n in ((0, 1), (1, 100), (101, 899))]
    for name in ("n", "probe", "value"):
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in parts]), getattr(whole, name))


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_n_follows_the_law(law):
    # 5 standard errors at every k: an index that is off by one shifts P(N >= k) by far more than 0.006.
    n = draw_estimates(A, law, "sphere", 200_000, 1).n
    k = np.arange(1, 12)
    survival = law.survival(torch.as_tensor(k)).numpy()
    found = (n[:, None] >= k).mean(0)
    assert (np.abs(found - survival) <= 5 * np.sqrt(survival * (1 - survival) / 200_000) + 1e-12).all()


def test_probes_follow_theirs():
    gaussian, signs, sphere = (
        draw_estimates(A, LAWS[0], p, 50_000, 2).probe for p in ("gaussian", "rademacher", "sphere")
    )
    assert stats.kstest(gaussian.ravel(), "norm").pvalue > 1e-4
    assert stats.kstest(np.arctan2(*sphere.T), "uniform", (-np.pi, 2 * np.pi)).pvalue > 1e-4
    np.testing.assert_allclose((sphere**2).sum(1), 2)
    values, counts = np.unique(signs, axis=0, return_counts=True)
    assert len(values) == 4 and stats.chisquare(counts).pvalue > 1e-4


def test_a_throw_is_the_sum_of_its_terms():
    law, v = Geometric(0.5, 2), np.array([1.0, -1.0])
    by_hand = v @ A @ v - v @ A @ A @ v / 2 + v @ A @ A @ A @ v / 3 / 0.5
    assert values(A, law, np.array([3]), v[None])[0] == pytest.approx(by_hand, abs=1e-15)
    assert not weighted_sums(A, law, 0).any()


def test_the_mean_is_the_log_det():
    # Power: a bias of 0.0005 shows, a thousandth of the log det.
    for law in (Geometric(0.5, 1), Geometric(0.7, 3)):
        sample = draw_estimates(A, law, "rademacher", 1_000_000, 0).value
        assert abs(sample.mean() - KNOWN_LOG_DET) < 5 * stats.sem(sample) < 5e-4
