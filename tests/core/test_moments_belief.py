"""What an estimate is believed to be: closed forms against sums over N, over sign vectors and over a circle of probes,
all by NumPy from matrix powers; and what that does to a whole log density."""

import itertools

import numpy as np
import pytest
import torch

from resflow_core.estimators.moments import believed_log_det, log_det_remainders, terms_for, truncation_bias
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import evaluate, log_prob_bias
from resflow_core.measure.belief import believed_log_prob
from resflow_core.probes import PROBES
from resflow_core.roulette import Custom, Geometric, Poisson
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET, contraction, points, seeded
from tests.covering import covering

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


def mean_exp(probe, s, n_probes):
    """E exp(v'Sv), the mean over n_probes: independent ones multiply."""
    if probe == "rademacher":
        signs = itertools.product(itertools.product((-1.0, 1.0), repeat=2), repeat=n_probes)
        return np.mean([np.exp(np.einsum("ki,ij,kj", v, s, v) / n_probes) for v in map(np.array, signs)])
    angle = 2 * np.pi * np.arange(512) / 512
    circle = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], 1)
    forms = np.einsum("vi,ij,vj->v", circle, s, circle)
    if probe == "sphere":
        return np.mean(np.exp(forms / n_probes)) ** n_probes
    if probe == "orthogonal":  # pairs give twice the trace, whatever their angle
        pairs, odd = n_probes - n_probes % 2, n_probes % 2
        return np.exp(np.trace(s) * pairs / n_probes) * np.mean(np.exp(odd * forms / n_probes))
    # A Gaussian probe is one on the circle times sqrt(E), with E exponential of mean 1.
    return np.mean(1 / (1 - forms / n_probes)) ** n_probes


@pytest.mark.parametrize(("n_terms", "dim"), [(1, 1), (2, 5), (12, 2)])
def test_a_truncated_series_is_believed_with_its_traces(n_terms, dim):
    a = torch.stack([contraction(dim, 0.9, seed) for seed in range(6)])
    traces = np.stack([np.trace(np.linalg.matrix_power(a, k), axis1=1, axis2=2) for k in range(1, n_terms + 1)])
    series = sum((-1) ** (k + 1) / k * traces[k - 1] for k in range(1, n_terms + 1))
    np.testing.assert_allclose(believed_log_det(Truncated(n_terms, n_probes=4), a), series, atol=1e-12)
    if n_terms == 1:  # exact traces count beyond the cut
        both = series - np.trace(a @ a, axis1=1, axis2=2) / 2
        np.testing.assert_allclose(believed_log_det(Truncated(1, exact_traces=2), a), both, atol=1e-12)


@pytest.mark.parametrize(("probe", "factor"), [("gaussian", 1.547574), ("rademacher", 1.000743), ("sphere", 1.009121)])
def test_known_factors_of_the_papers_setting(probe, factor):
    believed = believed_log_det(Roulette(Geometric(0.5, 3), probe), KNOWN_A[None])
    assert np.exp(believed.item() - KNOWN_LOG_DET) == pytest.approx(factor, abs=1e-6)


@pytest.mark.parametrize(
    "row",
    covering({"law": LAWS, "probe": [*PROBES], "n_probes": [1, 2, 3]}),
    ids=lambda row: " ".join(map(str, row.values())),
)
def test_roulette_is_believed_to_be_the_log_of_its_mean_exponential(row):
    law, probe, n_probes = row.values()
    some = matrices(3, 0.4)
    found = believed_log_det(Roulette(law, probe, n_probes), some)
    for a, value in zip(some.numpy(), found.tolist(), strict=True):
        chance, sums = given_n(law, a, 130)
        if probe == "gaussian" and max(np.linalg.eigvalsh(s)[-1] for s in sums) >= n_probes / 2:
            assert value == np.inf
            continue
        mean = sum(p * mean_exp(probe, s, n_probes) for p, s in zip(chance, sums, strict=True))
        assert value == pytest.approx(np.log(mean), abs=1e-9)


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
    "opposite and turned": ([[0.0, 0.7], [0.7, 0.0]], {"pair"}),
    "nilpotent": ([[0.0, 0.9], [0.0, 0.0]], EVERY),
    "zero": ([[0.0, 0.0], [0.0, 0.0]], EVERY),
}


@pytest.mark.parametrize("law", [Geometric(0.5, 3), Custom((1.0, 0.9, 0.45)), Poisson(2.0, 2)], ids=str)
def test_beyond_the_tail_ratio_the_expectation_is_finite_only_where_the_terms_fall(law):
    stack = torch.tensor([a for a, _ in BEYOND.values()], dtype=torch.float64)
    for name in EVERY:
        believed = believed_log_det(Roulette(law, *(("orthogonal", 2) if name == "pair" else (name,))), stack)
        assert not believed.isnan().any()
        assert (believed < np.inf).tolist() == [name in finite for _, finite in BEYOND.values()], name


def test_what_has_no_closed_form_says_so():
    with pytest.raises(ValueError, match=r"no closed form for several draws of N \(n_draws = 2\).*use one draw"):
        believed_log_det(Roulette(Geometric(), "orthogonal", 3, n_draws=2), KNOWN_A[None])
    with pytest.raises(ValueError, match=r"for d = 2 only; here d = 3"):
        believed_log_det(Roulette(), torch.zeros(1, 3, 3))
    with pytest.raises(ValueError, match="no closed form for str"):
        believed_log_det("exact", torch.zeros(1, 2, 2))


# --- of a log density -------------------------------------------------------------------------------------------------

X = points(60, 2, seed=1)


@pytest.fixture(scope="module")
def flow():
    """Blocks that use their budget: x goes on to -0.9 x and more, so that their series leave much out."""
    flow = FlowConfig(blocks=3, width=8, budget=0.9).build(seeded(0)).double()
    flow.initialize(points(200, 2))
    with torch.no_grad():
        for block, sign in zip(flow.blocks, (-1, -1, 1), strict=True):
            first, last = block.branch.linears
            first.raw += torch.eye(2).repeat(4, 1)
            last.raw += sign * torch.eye(2).repeat(1, 4)
            block.branch.raw_scales -= 2.0  # wide waves
    return flow


@pytest.mark.parametrize("log_det", [Truncated(n) for n in (1, 4)], ids=str)
def test_the_bias_is_what_the_remainders_lack(flow, log_det):
    evaluation = evaluate(flow, X)
    remainders = log_det_remainders(evaluation.jacobians.flatten(0, 1), terms_for(0.9, 0.0))
    expected = truncation_bias(remainders, log_det.n_terms).view(evaluation.jacobians.shape[:2]).sum(1).numpy()
    found = log_prob_bias(evaluation, log_det)
    assert found.value == pytest.approx(expected.mean(), rel=1e-9)
    assert found.standard_error == pytest.approx(expected.std(ddof=1) / np.sqrt(len(X)), rel=1e-9)


def test_who_is_unbiased_has_none_but_an_unbiased_log_density_is_no_unbiased_density(flow):
    evaluation = evaluate(flow, X)
    for log_det in (Exact(), Roulette(Geometric(0.2, 0), n_draws=2)):
        assert vars(log_prob_bias(evaluation, log_det)) == {"value": 0.0, "standard_error": 0.0}
    believed = believed_log_prob(evaluation, Roulette(Geometric(0.2, 2)))
    assert float((believed - evaluation.log_prob).mean()) > 0.01
