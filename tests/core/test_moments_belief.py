"""Closed forms against sums over N, over sign vectors and over a circle of probes, all by NumPy from matrix powers."""

import itertools

import numpy as np
import pytest
import torch

from resflow_core.estimators.moments import believed_log_det
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.probes import PROBES
from resflow_core.roulette import Custom, Geometric, Poisson, expected_terms
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET, contraction, numpy_log_abs_det, seeded

LAWS = [Geometric(0.5, 3), Geometric(0.2, 0), Custom((1.0, 0.6, 0.6, 0.3))]


def matrices(n, norm, seed=0):
    """n matrices with ||A||_2 = norm."""
    a = torch.randn(n, 2, 2, generator=seeded(seed), dtype=torch.float64)
    return norm * a / torch.linalg.matrix_norm(a, 2)[:, None, None]


def given_n(law, a, most):
    """P(N = n) and sym(S_n), S_n = sum_{k<=n} a_k / P(N >= k) A^k, for n = 0 ... most."""
    n = np.arange(most + 1)
    survival = law.survival(torch.arange(most + 2)).numpy()
    powers = np.stack([np.linalg.matrix_power(a, k) for k in n])
    weights = np.where(n > 0, -((-1.0) ** n) / np.maximum(n, 1), 0) / survival[:-1]
    sums = np.cumsum(weights[:, None, None] * powers, axis=0)
    return -np.diff(survival), (sums + sums.transpose(0, 2, 1)) / 2


def circle(n=512):
    angle = 2 * np.pi * np.arange(n) / n
    return np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], 1)


def mean_exp(probe, s, n_probes):
    """E exp(v'Sv), the mean over n_probes: independent ones multiply."""
    if probe == "rademacher":
        signs = itertools.product(itertools.product((-1.0, 1.0), repeat=2), repeat=n_probes)
        return np.mean([np.exp(np.einsum("ki,ij,kj", v, s, v) / n_probes) for v in map(np.array, signs)])
    forms = np.einsum("vi,ij,vj->v", circle(), s, circle())
    if probe == "sphere":
        return np.mean(np.exp(forms / n_probes)) ** n_probes
    if probe == "orthogonal":  # pairs give twice the trace, whatever their angle
        return np.exp(np.trace(s) * (n_probes - n_probes % 2) / n_probes) * np.mean(
            np.exp(n_probes % 2 * forms / n_probes)
        )
    assert probe == "gaussian", f"no expectation to compare {probe} with; give it one here"
    # A Gaussian probe is one on the circle times sqrt(E), with E exponential of mean 1.
    return np.mean(1 / (1 - forms / n_probes)) ** n_probes


def test_the_exact_log_det_is_believed_as_it_is():
    a = matrices(50, 0.9)
    expected = numpy_log_abs_det(a + torch.eye(2, dtype=torch.float64))
    np.testing.assert_allclose(believed_log_det(Exact(), a), expected, atol=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("n_terms", [1, 2, 5, 12])
def test_a_truncated_series_is_believed_with_its_traces(n_terms, dim):
    a = torch.stack([contraction(dim, 0.9, seed) for seed in range(6)])
    traces = np.stack([np.trace(np.linalg.matrix_power(a, k), axis1=1, axis2=2) for k in range(1, n_terms + 1)])
    series = sum((-1) ** (k + 1) / k * traces[k - 1] for k in range(1, n_terms + 1))
    np.testing.assert_allclose(believed_log_det(Truncated(n_terms, n_probes=4), a), series, atol=1e-12)


@pytest.mark.parametrize(("probe", "factor"), [("gaussian", 1.547574), ("rademacher", 1.000743), ("sphere", 1.009121)])
def test_known_factors_of_the_papers_setting(probe, factor):
    believed = believed_log_det(Roulette(Geometric(0.5, 3), probe), KNOWN_A[None])
    assert np.exp(believed.item() - KNOWN_LOG_DET) == pytest.approx(factor, abs=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("n_probes", [1, 2, 3])
@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("law", LAWS, ids=str)
@pytest.mark.slow
def test_roulette_is_believed_to_be_the_log_of_its_mean_exponential(law, probe, n_probes):
    found = believed_log_det(Roulette(law, probe, n_probes), matrices(8, 0.4))
    for a, value in zip(matrices(8, 0.4).numpy(), found.tolist(), strict=True):
        chance, sums = given_n(law, a, 150)
        if probe == "gaussian" and max(np.linalg.eigvalsh(s)[-1] for s in sums) >= n_probes / 2:
            assert value == np.inf
            continue
        mean = sum(p * mean_exp(probe, s, n_probes) for p, s in zip(chance, sums, strict=True))
        assert value == pytest.approx(np.log(mean), abs=1e-10)


def test_a_gaussian_probe_may_be_too_long_for_any_law():
    # E exp(v'Sv) is infinite from an eigenvalue of 1/2 on. S_1 = A here, and 0.3 becomes 0.6 where P(N >= 1) = 1/2.
    a = torch.tensor([[[0.3, 0.0], [0.0, -0.1]]], dtype=torch.float64)
    assert believed_log_det(Roulette(Geometric(0.5, 0), "gaussian"), a) == np.inf
    assert believed_log_det(Roulette(Geometric(0.5, 0), "gaussian", n_probes=2), a) < np.inf
    assert believed_log_det(Roulette(Geometric(0.5, 3), "gaussian"), a) < np.inf


# name: (A, and the probes for which the expectation is finite where every eigenvalue but 0 is beyond the tail ratio)
EVERY = {"gaussian", "rademacher", "sphere", "pair"}
BEYOND = {
    "positive": ([[0.7, 0.0], [0.0, 0.0]], set()),
    "complex": ([[0.0, 0.7], [-0.7, 0.0]], set()),
    "negative and symmetric": ([[-0.7, 0.1], [0.1, -0.6]], EVERY),
    "negative, off the diagonal by more than on it": ([[-0.7, 0.1], [0.3, -0.6]], {"pair"}),
    "negative, off the diagonal by less than on it": ([[-0.9, 0.1], [0.2, -0.6]], {"pair", "rademacher"}),
    "negative and defective": ([[-0.7, 0.3], [0.0, -0.7]], {"pair"}),
    "negative leads, symmetric": ([[-0.8, 0.0], [0.0, 0.7]], {"pair", "rademacher"}),
    "negative leads, equal diagonal": ([[-0.05, 0.75], [0.75, -0.05]], {"pair"}),
    "positive leads": ([[0.8, 0.0], [0.0, -0.7]], set()),
    "opposite and diagonal": ([[0.7, 0.0], [0.0, -0.7]], {"pair", "rademacher"}),
    "opposite and turned": ([[0.0, 0.7], [0.7, 0.0]], {"pair"}),
    "nilpotent": ([[0.0, 0.9], [0.0, 0.0]], EVERY),
    "nilpotent, turned": ([[0.4, -0.4], [0.4, -0.4]], EVERY),
    "zero": ([[0.0, 0.0], [0.0, 0.0]], EVERY),
}


@pytest.mark.thorough
@pytest.mark.parametrize("case", BEYOND)
def test_beyond_the_tail_ratio_the_expectation_is_finite_only_where_the_terms_fall(case):
    a, finite = BEYOND[case]
    for law, name in itertools.product([Geometric(0.5, 3), Custom((1.0, 0.9, 0.45)), Poisson(2.0, 2)], EVERY):
        log_det = Roulette(law, *(("orthogonal", 2) if name == "pair" else (name,)))
        believed = believed_log_det(log_det, torch.tensor([a], dtype=torch.float64))
        assert not believed.isnan(), (law, name)
        assert bool(believed < np.inf) == (name in finite), (law, name, believed)


@pytest.mark.thorough
@pytest.mark.parametrize("probe", ["rademacher", "sphere", "pair"])
@pytest.mark.slow
def test_it_is_infinite_exactly_where_the_terms_of_the_sum_over_n_grow(probe):
    # Far along, n = 150 ... 300, P(N = n) E exp(v'S_n v) has died away or passed e^40, unless an eigenvalue is near
    # the tail ratio, or two beyond it are of nearly the same size.
    law, checked = Geometric(0.5, 3), []
    a = 0.45 * torch.randn(600, 2, 2, generator=seeded(1), dtype=torch.float64)
    log_det = Roulette(law, *(("orthogonal", 2) if probe == "pair" else (probe,)))
    for matrix, believed in zip(a.numpy(), believed_log_det(log_det, a).tolist(), strict=True):
        eigenvalues = np.linalg.eigvals(matrix)
        small, large = np.sort(np.abs(eigenvalues))
        close = np.isreal(eigenvalues).all() and small > 0.5 and large < 1.3 * small
        if large > 1 or abs(small - 0.5) < 0.1 or abs(large - 0.5) < 0.1 or close:
            continue
        chance, s = (far[150:] for far in given_n(law, matrix, 300))
        trace, gap = s[:, 0, 0] + s[:, 1, 1], np.hypot(s[:, 0, 0] - s[:, 1, 1], 2 * s[:, 0, 1])
        reach = {"rademacher": 2 * np.abs(s[:, 0, 1]), "sphere": gap, "pair": 0}[probe]
        rounding = 1e-10 * np.abs(trace)
        grows = (np.log(chance) + trace + reach - rounding).max() > 40
        assert (believed == np.inf) == grows, matrix
        checked.append(grows)
    assert min(sum(checked), len(checked) - sum(checked)) > 50


def test_draws_of_n_that_share_no_noise_are_averaged():
    log_det = Roulette(Geometric(0.5, 1), "orthogonal", n_probes=2, n_draws=2)
    chance, sums = given_n(log_det.law, KNOWN_A.numpy(), 60)
    traces = np.trace(sums, axis1=1, axis2=2)
    mean = np.sum(chance[:, None] * chance * np.exp((traces[:, None] + traces) / 2))
    assert believed_log_det(log_det, KNOWN_A[None]).item() == pytest.approx(np.log(mean), abs=1e-10)


@pytest.mark.parametrize("probe", [("gaussian", 2), ("rademacher", 1), ("sphere", 1), ("orthogonal", 3)])
def test_several_draws_that_share_noise_have_no_closed_form(probe):
    for a in (KNOWN_A[None], torch.zeros(1, 2, 2)):
        with pytest.raises(ValueError, match=r"no closed form for several draws of N \(n_draws = 2\).*use one draw"):
            believed_log_det(Roulette(Geometric(), *probe, n_draws=2), a)


def test_what_has_no_closed_form_says_so():
    with pytest.raises(ValueError, match=r"for d = 2 only; here d = 3"):
        believed_log_det(Roulette(), torch.zeros(1, 3, 3))
    with pytest.raises(ValueError, match="no closed form for str"):
        believed_log_det("exact", torch.zeros(1, 2, 2))


@pytest.mark.parametrize("log_det", [Exact(), Truncated(), Roulette(), Roulette(Poisson(), "sphere")], ids=str)
def test_no_matrices_have_no_log_dets_and_float32_is_summed_in_float64(log_det):
    assert believed_log_det(log_det, torch.zeros(0, 2, 2)).shape == (0,)
    single = matrices(3, 0.3).float()
    assert torch.equal(believed_log_det(log_det, single), believed_log_det(log_det, single.double()))


@pytest.mark.parametrize("law", [*LAWS, Poisson(2.0, 2)], ids=str)
@pytest.mark.parametrize("n_draws", [1, 3])
def test_the_expected_terms_are_the_mean_of_the_largest_draw(law, n_draws):
    survival = law.survival(torch.arange(1_000)).numpy()
    at_most = 1 - survival[1:]  # P(N <= n)
    chance = np.diff(at_most**n_draws, prepend=0)  # of the largest
    assert expected_terms(law, n_draws) == pytest.approx(np.dot(np.arange(999), chance), abs=1e-10)


def test_the_papers_setting_is_expected_to_compute_four_terms():
    assert expected_terms(Geometric(0.5, 3)) == pytest.approx(4)
    assert expected_terms(Poisson(2.5, 1)) == pytest.approx(3.5)
