"""Draws of estimates by NumPy, sound and faulty ones, and the distribution of one: against a snippet that knows
nothing of ours, closed forms, SciPy's laws and each other."""

import contextlib
import io
import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from resflow_core.estimators import draws
from resflow_core.estimators.distribution import estimate_cdf
from resflow_core.estimators.draws import snippet, values, weighted_sums
from resflow_core.estimators.faulty_estimators import (
    BATCH,
    FAULTY_ESTIMATORS,
    draw_estimates,
)
from resflow_core.estimators.moments import batch_variance, log_det_remainders, roulette_variance
from resflow_core.probes import PROBES
from resflow_core.roulette import Custom, Geometric, Poisson
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET
from tests.covering import covering

A = KNOWN_A.numpy()
LARGER = 0.3 * np.random.default_rng(4).standard_normal((4, 4)) / 2
STEEP = np.array([[-0.94, 0.3], [0.0, 0.2]])  # eigenvalues -0.94 and 0.2
PAPER = Geometric(0.5, 3)
LAWS = [PAPER, Geometric(0.05, 0), Poisson(2.0, 2), Poisson(10.0, 0), Custom((0.9, 0.9, 0.7, 0.5))]
PARTS = ("n", "probe", "value")


def log_det(matrix):
    return np.linalg.slogdet(np.eye(len(matrix)) + matrix)[1]


def first_terms(matrix, n):
    """tr A^k / k with its sign, k = 1, ..., n."""
    return np.array([-((-1) ** k) / k * np.trace(np.linalg.matrix_power(matrix, k)) for k in range(1, n + 1)])


@pytest.mark.parametrize(
    "row",
    covering({"law": LAWS, "probe": [*PROBES], "exact_traces": [0, 1, 2], "matrix": ["plane", "larger"]}),
    ids=lambda row: " ".join(map(str, row.values())),
)
def test_the_snippet_finds_the_same_numbers(row):
    law, probe, exact_traces, matrix = row.values()
    a = A if matrix == "plane" else LARGER
    code = snippet(a, law, probe, 3000, 7, exact_traces)
    assert len(code.splitlines()) <= 15 and code.count("import") == 1
    found, said = {}, io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code, found)
    ours = draws.draw_estimates(a, law, probe, 3000, 7, exact_traces=exact_traces)
    np.testing.assert_array_equal(ours.n, found["N"])
    np.testing.assert_array_equal(ours.probe, found["v"])
    np.testing.assert_allclose(ours.value, found["estimates"], atol=1e-12)
    mean, error, truth = (float(word) for word in said.getvalue().split() if word[-1].isdigit())
    assert mean == pytest.approx(ours.value.mean()) and truth == pytest.approx(log_det(a), abs=1e-9)
    assert error == pytest.approx(stats.sem(ours.value))


@pytest.mark.parametrize("probe", PROBES)
def test_probes_follow_theirs_in_any_dimension_and_the_mean_is_the_log_det(probe):
    many = draws.draw_estimates(LARGER, PAPER, probe, 100_000, 1)
    assert (np.abs(many.probe.mean(0)) < 5 / 100_000**0.5).all()
    products = np.einsum("ti,tj->tij", many.probe, many.probe)
    assert (np.abs(products.mean(0) - np.eye(4)) <= 5 * products.std(0) / 100_000**0.5 + 1e-12).all()
    assert abs(many.value.mean() - log_det(LARGER)) < 5 * stats.sem(many.value)
    v = draws.draw_estimates(A, PAPER, probe, 20_000, 2).probe
    if probe == "gaussian":
        assert stats.kstest(v.ravel(), "norm").pvalue > 1e-4
    else:
        np.testing.assert_allclose((v**2).sum(1), 2)
    if probe == "sphere":
        assert stats.kstest(np.arctan2(*v.T), "uniform", (-np.pi, 2 * np.pi)).pvalue > 1e-4


def test_a_throw_is_the_sum_of_its_terms():
    law, v = Geometric(0.5, 2), np.array([1.0, -1.0])
    by_hand = v @ A @ v - v @ A @ A @ v / 2 + v @ A @ A @ A @ v / 3 / 0.5
    assert values(A, law, np.array([3]), v[None])[0] == pytest.approx(by_hand, abs=1e-15)
    assert not weighted_sums(A, law, 0).any()


# --- faulty ones ------------------------------------------------------------------------------------------------------


def test_the_sound_estimator_throws_what_it_always_threw_and_another_support_is_one_larger():
    sound, known = (
        draw_estimates("none", A, PAPER, "sphere", 1000, 5, 17),
        draws.draw_estimates(A, PAPER, "sphere", 1000, 5, 17),
    )
    for name in PARTS:
        np.testing.assert_array_equal(getattr(sound, name), getattr(known, name))
    shifted = draw_estimates("wrong_support", A, PAPER, "sphere", 1000, 5, 17)
    np.testing.assert_array_equal(shifted.n, sound.n + 1)
    np.testing.assert_array_equal(shifted.probe, sound.probe)
    assert [name for name, bug in FAULTY_ESTIMATORS.items() if not bug.wrong] == ["none"]


@pytest.mark.parametrize("bug", FAULTY_ESTIMATORS)
def test_it_does_not_matter_how_many_are_thrown_at_once(bug):
    sizes = [1, 100, 27, 64, 808]
    whole = draw_estimates(bug, A, PAPER, "gaussian", 1000, 3)
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    parts = [draw_estimates(bug, A, PAPER, "gaussian", n, 3, start) for start, n in zip(starts, sizes, strict=True)]
    for name in PARTS:
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in parts]), getattr(whole, name))


@pytest.mark.parametrize("exact_traces", [0, 1, 2])
def test_values_by_hand(exact_traces):
    law, traces = Geometric(0.25, 1), first_terms(A, exact_traces).sum()
    for bug in ("none", "no_weights", "wrong_support", "surrogate", "shared_n"):
        found = draw_estimates(bug, A, law, "gaussian", 40, 2, exact_traces=exact_traces)
        for n, v, value in zip(found.n.tolist(), found.probe, found.value, strict=True):
            form = [v @ np.linalg.matrix_power(A, k) @ v for k in range(n + 2)]
            weight = [0.75 ** -max(0, k - 1) for k in range(n + 2)]
            expected = {
                "surrogate": sum((-1) ** k * weight[k] * form[k + 1] for k in range(exact_traces, n + 1)),
                "no_weights": sum(-((-1) ** k) / k * form[k] for k in range(1 + exact_traces, n + 1)),
            }.get(bug, sum(-((-1) ** k) / k * weight[k] * form[k] for k in range(1 + exact_traces, n + 1)))
            assert value == pytest.approx(traces + expected, abs=1e-12)


@pytest.mark.parametrize(("law", "matrix"), [(PAPER, A), (Geometric(0.3, 0), STEEP), (Geometric(0.9, 5), A)], ids=str)
def test_means_in_closed_form(law, matrix):
    q, n = 1 - law.p, law.n_exact
    k, terms = np.arange(1, n + 1), first_terms(matrix, n)
    # Beyond n the terms are those of log det(I + q A), divided by q^n.
    beyond = (log_det(q * matrix) - (q**k * terms).sum()) / q**n
    assert FAULTY_ESTIMATORS["no_weights"].mean(matrix, law) == pytest.approx(terms.sum() + beyond, abs=1e-11)
    larger = log_det(matrix) + (1 / q - 1) * (log_det(matrix) - terms.sum())
    assert FAULTY_ESTIMATORS["wrong_support"].mean(matrix, law) == pytest.approx(larger, abs=1e-11)
    eigenvalues = np.linalg.eigvals(matrix)
    surrogate = (eigenvalues / (1 + eigenvalues)).sum().real
    assert FAULTY_ESTIMATORS["surrogate"].mean(matrix, law) == pytest.approx(surrogate)
    for sound in ("none", "shared_n"):
        assert FAULTY_ESTIMATORS[sound].mean(matrix, law) == pytest.approx(np.log(1 + eigenvalues).sum().real)


@pytest.mark.parametrize(
    ("probe", "law", "factor"), [("rademacher", PAPER, 2.22), ("gaussian", PAPER, 1.007)], ids=["signs", "not seen"]
)
def test_error_bars_of_a_shared_n_are_too_short_by_the_closed_form(probe, law, factor):
    remainders = log_det_remainders(KNOWN_A[None], 200).pooled()
    told = float(roulette_variance(remainders, law, probe).total) / BATCH
    true = float(batch_variance(remainders, law, BATCH, True, probe))
    assert (true / told) ** 0.5 == pytest.approx(factor, rel=0.005)
    means = draw_estimates("shared_n", A, law, probe, 4000 * BATCH, 8).value.reshape(-1, BATCH).mean(1)
    squares = (means - KNOWN_LOG_DET) ** 2
    # 5 standard errors of the mean square. Power: the variance that is told is beyond them where it shows at all.
    assert abs(squares.mean() - true) < 5 * stats.sem(squares)
    assert (abs(squares.mean() - told) > 5 * stats.sem(squares)) == (factor > 1.1)


# --- their distribution -----------------------------------------------------------------------------------------------

X = np.array([-5.0, -1.0, -0.1, -1e-3, 0.0, 1e-3, 0.1, 1.0, 5.0])
MATRICES = {"lesson": A, "indefinite": np.array([[-0.5, 0.6], [0.3, 0.5]]), "multiple": 0.3 * np.eye(2)}


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
    trace, gap, x = (
        torch.tensor(of, dtype=torch.float64) for of in (sum(eigenvalues), eigenvalues[0] - eigenvalues[1], X)
    )
    np.testing.assert_allclose(PROBES["gaussian"].cdf(trace, gap, x).numpy(), expected(X), atol=1e-5)


@pytest.mark.parametrize(
    "row",
    covering({"matrix": [*MATRICES], "probe": [*PROBES], "bug": [*FAULTY_ESTIMATORS]}),
    ids=lambda row: " ".join(row.values()),
)
def test_draws_follow_it(row):
    """Kolmogorov's distance of 20,000 draws: in one of 20,000 seeds it would be over 2.3 / sqrt(n). A shared N has
    fewer N than draws, so its bound is that of the batches. Draws are compared where they lie, from both sides."""
    matrix, probe, bug = MATRICES[row["matrix"]], row["probe"], row["bug"]
    n, batch = 20_000, FAULTY_ESTIMATORS[bug].batch
    throws = np.sort(draw_estimates(bug, matrix, Geometric(), probe, n, seed=5).value)
    at = throws[:: n // 50] + 1e-9
    expected = estimate_cdf(bug, matrix, Geometric(), probe, at)
    empirical = np.searchsorted(throws, at, side="right") / n
    assert np.abs(empirical - expected).max() < 2.3 / math.sqrt(n / batch)
