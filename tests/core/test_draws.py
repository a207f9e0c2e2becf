"""The snippet is executed: it knows nothing of ours, and must find the same numbers."""

import contextlib
import io

import numpy as np
import pytest
import torch
from scipy import stats

from resflow_core.estimators.draws import draw_estimates, snippet, values, weighted_sums
from resflow_core.probes import PROBES
from resflow_core.roulette import Custom, Geometric, Poisson
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET

A = KNOWN_A.numpy()
LAWS = [Geometric(0.5, 3), Geometric(0.05, 0), Poisson(2.0, 2), Poisson(10.0, 0), Custom((0.9, 0.9, 0.7, 0.5))]


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("law", LAWS, ids=str)
def test_the_snippet_finds_the_same_numbers(law, probe):
    code = snippet(A, law, probe, 3000, 7)
    assert len(code.splitlines()) <= 15 and code.count("import") == 1
    found, said = {}, io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code, found)
    ours = draw_estimates(A, law, probe, 3000, 7)
    np.testing.assert_array_equal(ours.n, found["N"])
    np.testing.assert_array_equal(ours.probe.T, found["v"])
    np.testing.assert_allclose(ours.value, found["estimates"], atol=1e-12)
    mean, error, truth = (float(word) for word in said.getvalue().split() if word[-1].isdigit())
    assert mean == pytest.approx(ours.value.mean()) and truth == pytest.approx(KNOWN_LOG_DET, abs=1e-9)
    assert error == pytest.approx(stats.sem(ours.value))


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
