"""Every bug against a closed form of its own: log dets, eigenvalues and SciPy's laws."""

import numpy as np
import pytest
import torch
from scipy import stats

from resflow_core.estimators import draws
from resflow_core.estimators.faulty_estimators import (
    BATCH,
    FAULTY_ESTIMATORS,
    draw_estimates,
    shifted_mean,
    unweighted_mean,
)
from resflow_core.estimators.moments import batch_variance, log_det_remainders, roulette_variance
from resflow_core.roulette import Custom, Geometric, Poisson
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET

A = KNOWN_A.numpy()
STEEP = np.array([[-0.94, 0.3], [0.0, 0.2]])  # eigenvalues -0.94 and 0.2
PAPER = Geometric(0.5, 3)


def log_det(matrix):
    return np.linalg.slogdet(np.eye(2) + matrix)[1]


def first_terms(matrix, n):
    """tr A^k / k with its sign, k = 1, ..., n."""
    return np.array([-((-1) ** k) / k * np.trace(np.linalg.matrix_power(matrix, k)) for k in range(1, n + 1)])


def chunks(bug, sizes, law=PAPER, probe="gaussian", seed=3):
    starts = np.cumsum([0, *sizes[:-1]])
    return [draw_estimates(bug, A, law, probe, n, seed, int(start)) for start, n in zip(starts, sizes, strict=True)]


def test_the_sound_estimator_throws_what_it_always_threw():
    ours, known = (
        draw_estimates("none", A, PAPER, "sphere", 1000, 5, 17),
        draws.draw_estimates(A, PAPER, "sphere", 1000, 5, 17),
    )
    for name in ("n", "probe", "value"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(known, name))
    assert not FAULTY_ESTIMATORS["none"].wrong and all(
        bug.wrong for name, bug in FAULTY_ESTIMATORS.items() if name != "none"
    )


@pytest.mark.parametrize("bug", FAULTY_ESTIMATORS)
def test_it_does_not_matter_how_many_are_thrown_at_once(bug):
    (whole,), parts = chunks(bug, [1000]), chunks(bug, [1, 100, 27, 64, 808])
    for name in ("n", "probe", "value"):
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


@pytest.mark.parametrize("exact_traces", [1, 2])
@pytest.mark.parametrize("bug", FAULTY_ESTIMATORS)
def test_means_with_exact_traces_are_those_over_every_n(bug, exact_traces):
    law, of, n = Geometric(0.5, 0), FAULTY_ESTIMATORS[bug], np.arange(200)
    survival = law.survival(torch.arange(201)).numpy()
    sums = of.sums(A, law, 200 + of.shift, exact_traces)
    means = np.trace(sums, axis1=1, axis2=2)[n + of.shift]
    expected = first_terms(A, exact_traces).sum() + ((survival[:-1] - survival[1:]) * means).sum()
    assert of.mean(A, law, exact_traces) == pytest.approx(expected, abs=1e-12)


def test_n_from_another_support_is_one_larger():
    found, sound = (draw_estimates(bug, A, PAPER, "sphere", 1000, 4) for bug in ("wrong_support", "none"))
    np.testing.assert_array_equal(found.n, sound.n + 1)
    np.testing.assert_array_equal(found.probe, sound.probe)


@pytest.mark.parametrize("matrix", [A, STEEP], ids=["known", "steep"])
@pytest.mark.parametrize("law", [PAPER, Geometric(0.3, 0), Geometric(0.9, 5)], ids=str)
def test_means_in_closed_form(law, matrix):
    q, n = 1 - law.p, law.n_exact
    k, terms = np.arange(1, n + 1), first_terms(matrix, n)
    # Beyond n the terms are those of log det(I + q A), divided by q^n.
    beyond = (log_det(q * matrix) - (q**k * terms).sum()) / q**n
    assert FAULTY_ESTIMATORS["no_weights"].mean(matrix, law) == pytest.approx(terms.sum() + beyond, abs=1e-11)
    larger = log_det(matrix) + (1 / q - 1) * (log_det(matrix) - terms.sum())
    assert FAULTY_ESTIMATORS["wrong_support"].mean(matrix, law) == pytest.approx(larger, abs=1e-11)
    eigenvalues = np.linalg.eigvals(matrix)
    assert FAULTY_ESTIMATORS["surrogate"].mean(matrix, law) == pytest.approx(
        (eigenvalues / (1 + eigenvalues)).sum().real
    )
    for sound in ("none", "shared_n"):
        assert FAULTY_ESTIMATORS[sound].mean(matrix, law) == pytest.approx(np.log(1 + eigenvalues).sum().real)


def test_means_under_a_poisson_law():
    law, k = Poisson(2.0, 2), np.arange(1, 100)
    survival = np.where(k > 2, stats.poisson.sf(k - 3, 2.0), 1.0)  # P(2 + Poisson >= k)
    terms = first_terms(A, 99)
    assert unweighted_mean(A, law) == pytest.approx((survival * terms).sum(), abs=1e-12)
    before = np.r_[1.0, survival[:-1]]
    assert shifted_mean(A, law) == pytest.approx((before / survival * terms).sum(), abs=1e-12)
    assert np.isnan(shifted_mean(STEEP, law))  # the ratio grows beyond what float64 has, and the terms hardly fall


@pytest.mark.parametrize("law", [PAPER, Geometric(0.4, 0), Custom((0.9, 0.9, 0.7, 0.5))], ids=str)
@pytest.mark.parametrize("bug", FAULTY_ESTIMATORS)
def test_throws_have_the_mean_that_is_told(bug, law):
    # 5 standard errors, of means of 64 throws, as those may share an N. Power: biases are 8 of them and more.
    n = 6250 * BATCH
    values = draw_estimates(bug, A, law, "rademacher", n, 1).value.reshape(-1, BATCH).mean(1)
    mean = FAULTY_ESTIMATORS[bug].mean(A, law)
    assert abs(values.mean() - mean) < 5 * stats.sem(values)
    biased = bug not in ("none", "shared_n")
    assert (abs(values.mean() - KNOWN_LOG_DET) > 8 * stats.sem(values)) == biased


def test_a_batch_shares_its_n_and_others_do_not():
    found = draw_estimates("shared_n", A, PAPER, "gaussian", 400 * BATCH, 6)
    batches = found.n.reshape(-1, BATCH)
    assert (batches == batches[:, :1]).all()
    np.testing.assert_array_equal(batches[:, 0], draws.draw_estimates(A, PAPER, "gaussian", 400 * BATCH, 6).n[::BATCH])
    assert len(np.unique(found.probe[:, 0])) == 400 * BATCH
    # Half of all throws have N = 3: 5 standard errors of 400 independent draws.
    assert abs((batches[:, 0] == 3).mean() - 0.5) < 5 * 0.5 / 400**0.5


@pytest.mark.parametrize(
    ("probe", "law", "factor"),
    [("rademacher", PAPER, 2.22), ("gaussian", Geometric(0.5, 0), 4.54), ("gaussian", PAPER, 1.007)],
    ids=["signs", "no exact terms", "not to be seen"],
)
def test_error_bars_of_a_shared_n_are_too_short_by_the_closed_form(probe, law, factor):
    remainders = log_det_remainders(torch.as_tensor(A)[None], 200).pooled()
    told = float(roulette_variance(remainders, law, probe).total) / BATCH
    true = float(batch_variance(remainders, law, BATCH, True, probe))
    assert (true / told) ** 0.5 == pytest.approx(factor, rel=0.005)
    throws_of = draw_estimates("shared_n", A, law, probe, 6000 * BATCH, 8).value.reshape(-1, BATCH)
    squares = (throws_of.mean(1) - KNOWN_LOG_DET) ** 2
    # 5 standard errors of the mean square. Power: the variance that is told is beyond them where it shows at all.
    assert abs(squares.mean() - true) < 5 * stats.sem(squares)
    assert (abs(squares.mean() - told) > 5 * stats.sem(squares)) == (factor > 1.1)
    # Intervals over 16 batches, as if of 1,024 throws: they have the truth as often as a normal law says, 5 binomial
    # errors of 375 and 0.05 for what 16 batches lack of a normal law.
    values = throws_of.reshape(-1, 16 * BATCH)
    held = np.abs(values.mean(1) - KNOWN_LOG_DET) <= 1.96 * stats.sem(values, 1)
    expected = 2 * stats.norm.cdf(1.96 / factor) - 1
    assert abs(held.mean() - expected) < 5 * (expected * (1 - expected) / len(held)) ** 0.5 + 0.05
