"""Value and gradient of the estimators against the truth.

Nearly all of it without chance: the mean over the number of terms is a sum over N, the mean over sign probes a sum
over all sign vectors. So laws under which the variance is infinite are tested as sharply as the others. `test_moments`
has means and variances of draws.
"""

import dataclasses

import numpy as np
import pytest
import torch

from resflow_core.api.given import GivenFlow
from resflow_core.flow import FlowConfig
from resflow_core.gradients import GRADIENTS, from_jacobian, matrix_from
from resflow_core.log_det import (
    LOG_DETS,
    Exact,
    Roulette,
    Truncated,
    residual_log_det,
    roulette_coefficients,
    truncated_coefficients,
)
from resflow_core.measure.inverse_iterations import residual_solve
from resflow_core.probes import PROBES
from resflow_core.roulette import Custom, Geometric, Law, Poisson
from tests.core.oracles import (
    KNOWN_A,
    KNOWN_LOG_DET,
    LinearBranch,
    contraction,
    numpy_log_of_identity_plus,
    points,
    seeded,
)
from tests.covering import covering

BOUND = 5.0
# The others differentiate by the Neumann series.
TERM_BY_TERM = {"plain", "plain_in_forward"}
# The variance is finite under the first and the last, and infinite under the others.
LAW_EXAMPLES = [Geometric(0.5, 3), Geometric(0.9, 0), Poisson(1.0, 1), Custom((1.0, 0.6, 0.3))]
MATRICES = {2: KNOWN_A, 5: contraction(5), 16: contraction(16)}
# Every N up to here: what is left out is of the order of rho^40 < 1e-15.
MOST_TERMS = 40
NUMBERS = [0, 3, 1, 7, 2, 1]


def chance_of(law, n):
    """P(N = n)."""
    return law.survival(n) - law.survival(n + 1)


@pytest.mark.parametrize("d", [1, 2, 3, 5, 64])
def test_the_exact_log_det_its_gradient_and_the_solution_are_numpys(d):
    a, r = 0.3 * points(7 * d, d).view(7, d, d), points(7, d, seed=1)
    a[0] -= 2 * torch.eye(d)  # whose determinant may be negative
    identity_plus_a, weight = np.eye(d) + a.numpy(), points(7, 1)[:, 0]
    a.requires_grad_()
    found = residual_log_det(a)
    np.testing.assert_allclose(found.detach(), np.linalg.slogdet(identity_plus_a)[1], atol=1e-10)
    (slope,) = torch.autograd.grad(found, a, weight)
    inverse = np.linalg.inv(identity_plus_a)
    np.testing.assert_allclose(slope, weight[:, None, None] * inverse.transpose(0, 2, 1), rtol=1e-8, atol=1e-10)
    solution = np.linalg.solve(identity_plus_a, r.numpy()[:, :, None])[:, :, 0]
    np.testing.assert_allclose(residual_solve(a.detach(), r), solution, rtol=1e-7, atol=1e-10)


def test_of_the_known_matrix_and_of_a_singular_one():
    _, value = Exact().value_and_log_det(LinearBranch(), torch.zeros(1, 2, dtype=torch.float64))
    assert value.item() == pytest.approx(KNOWN_LOG_DET, abs=1e-10)
    a = torch.tensor([[[-1.0, 0.0], [0.0, 0.3]]])
    assert residual_log_det(a).item() == -torch.inf
    assert not bool(residual_solve(a, torch.ones(1, 2)).isfinite().all())


class TestCoefficients:
    def test_they_stop_at_each_points_own_n(self):
        found = roulette_coefficients(Geometric(0.5, 2), torch.tensor([[0], [2], [4]]))
        a = [[0, 0, 0, 0, 0], [0, 1, -1 / 2, 0, 0], [0, 1, -1 / 2, 2 / 3, -4 / 4]]
        b = [[1, 0, 0, 0, 0], [1, -1, 1, 0, 0], [1, -1, 1, -2, 4]]
        np.testing.assert_allclose(found.value, a)
        np.testing.assert_allclose(found.gradient, b)

    def test_a_truncated_series_is_differentiated_as_far_as_it_goes(self):
        # d sum_{k<=n} a_k tr(A^k) = sum_{k<n} b_k tr(A^k dA)
        found = truncated_coefficients(3)
        np.testing.assert_allclose(found.value, [[0, 1, -1 / 2, 1 / 3]])
        np.testing.assert_allclose(found.gradient, [[1, -1, 1, 0]])


@pytest.fixture
def every_n(monkeypatch):
    """Makes every law draw N = 0, 1, ... for the rows in turn, or for several draws every combination of them."""

    def terms(self, u):
        n_draws = u.shape[-1]
        each = torch.arange(round((u.numel() / n_draws) ** (1 / n_draws)))
        return torch.cartesian_prod(*[each] * n_draws).view(u.shape)

    monkeypatch.setattr(Law, "terms", terms)


@pytest.fixture
def one_probe(monkeypatch):
    """Makes a probe the same for all points of a batch, and returns what it draws."""

    def set_up(name, n_probes, dim):
        drawn = PROBES[name].draw((n_probes, 1, dim), seeded(7), torch.float64)
        fixed = dataclasses.replace(PROBES[name], fill=lambda v, generator: v.copy_(drawn))
        monkeypatch.setitem(PROBES, name, fixed)
        return drawn[:, 0]

    return set_up


def truth_given(probes, a, gradient):
    """The mean over v in `probes` of v' log(I + A) v, and the gradient in A that the estimator has in mean, given v.

    Term by term, d v'log(I + A)v; by the Neumann series, v'(I + A)^-1 dA v. Over all v the two agree.
    """
    v = probes.numpy()
    value = np.einsum("ki,ij,kj->k", v, numpy_log_of_identity_plus(a), v).mean()
    if gradient not in TERM_BY_TERM:
        w = np.linalg.solve(np.eye(len(a)) + a.numpy().T, v.T).T
        return value, w.T @ v / len(v)
    a = a.clone().requires_grad_()
    power, total = torch.eye(len(a), dtype=torch.float64), 0.0
    for k in range(1, 60):
        power = power @ a
        total = total - (-1) ** k / k * torch.einsum("ki,ij,kj->k", probes, power, probes).mean()
    return value, torch.autograd.grad(total, a)[0].numpy()


def summed(log_det, a, chance):
    """The mean over the points by their chances, and its gradient in A."""
    branch = LinearBranch(a)
    x = torch.zeros(len(chance), len(a), dtype=torch.float64)
    _, estimates = log_det.value_and_log_det(branch, x, seeded(0))
    total = (chance * estimates).sum()
    return total.item(), torch.autograd.grad(total, branch.a)[0].numpy()


DESIGN = covering(
    {
        "law": LAW_EXAMPLES,
        "gradient": [*GRADIENTS],
        "probe": [*PROBES],
        "dim": [*MATRICES],
        "n_probes": [1, 3],
        "n_draws": [1, 2],
    }
)


@pytest.mark.parametrize("row", DESIGN, ids=lambda row: "-".join(map(str, row.values())))
def test_given_the_probes_roulette_is_unbiased_when_summed_over_n(row, every_n, one_probe):
    law, gradient, probe, dim, n_probes, n_draws = row.values()
    probes, a = one_probe(probe, n_probes, dim), MATRICES[dim]
    chance = chance_of(law, torch.cartesian_prod(*[torch.arange(MOST_TERMS)] * n_draws).view(-1, n_draws)).prod(1)
    value, slope = summed(Roulette(law, probe, n_probes, gradient=gradient, n_draws=n_draws), a, chance)
    expected, expected_slope = truth_given(probes, a, gradient)
    assert value == pytest.approx(expected, abs=1e-9 * dim)
    np.testing.assert_allclose(slope, expected_slope, atol=1e-9 * dim)


@pytest.mark.parametrize("weights", [(1.0, 0.0, -3.0), (0.0, 1.0, 2.0), (2.0, 2.0, 2.0)])
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_every_sample_is_scaled_by_its_own_incoming_gradient(gradient, weights):
    # A linear branch: every sample's gradient in A is known by itself, and differs by its probe.
    estimate, branch, law = GRADIENTS[gradient].estimate, LinearBranch(), Geometric(0.5, 1)
    x, probes, n = torch.zeros(3, 2, dtype=torch.float64), points(3, 2)[None], torch.tensor([[4], [2], [1]])
    slopes = []
    for i in range(3):
        _, alone = estimate(branch, x[[i]], probes[:, [i]], roulette_coefficients(law, n[[i]]))
        slopes.append(torch.autograd.grad(alone, branch.a)[0])
    _, estimates = estimate(branch, x, probes, roulette_coefficients(law, n))
    (found,) = torch.autograd.grad(estimates @ torch.tensor(weights).double(), branch.a)
    expected = sum(w * slope for w, slope in zip(weights, slopes, strict=True))
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def matrices(dim, batch):
    return torch.stack([contraction(dim, 0.7, seed) for seed in range(batch)])


@pytest.mark.parametrize("exact_traces", [0, 1, 2])
@pytest.mark.parametrize("by_neumann", [True, False])
def test_over_every_n_the_matrix_of_the_gradient_is_that_of_the_exact_log_det(by_neumann, exact_traces):
    """M with tr(M dA) the gradient, for P = I, for which the sum over N alone is exact: (I + A)^-1."""
    law, a = Geometric(0.4, 1), matrices(2, 1)
    n = torch.arange(100)
    chance = (law.survival(n) - law.survival(n + 1))[:, None, None]
    coefficients = roulette_coefficients(law, n[:, None]).beyond(exact_traces)
    m = matrix_from(a.expand(100, 2, 2), torch.eye(2).double(), coefficients, by_neumann)
    identity = torch.eye(2, dtype=torch.float64)
    of_traces = sum(((-a[0]) ** k if k else identity for k in range(exact_traces)), torch.zeros(2, 2))
    torch.testing.assert_close(of_traces + (chance * m).sum(0), torch.linalg.inv(identity + a[0]), atol=1e-9, rtol=0)


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("exact_traces", [0, 1, 2])
def test_from_a_itself_it_is_the_series_whose_first_traces_have_no_probe(gradient, exact_traces):
    a, of = matrices(3, 6).requires_grad_(), roulette_coefficients(Geometric(0.5, 1), torch.tensor(NUMBERS)[:, None])
    p = torch.randn(6, 3, 3, generator=seeded(8), dtype=torch.float64)  # neither symmetric nor of rank one
    coefficients = of.beyond(exact_traces)
    expected = 0.0
    for k in range(1, 8):
        power = torch.linalg.matrix_power(a, k)
        trace = power.diagonal(dim1=1, dim2=2).sum(1)
        form = torch.einsum("bij,bji->b", p, power)
        expected = expected + ((-1) ** (k + 1) / k * trace if k <= exact_traces else of.value[:, k] * form)
    found = from_jacobian(GRADIENTS[gradient], a, p, coefficients)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    if gradient in TERM_BY_TERM:
        slopes = (torch.autograd.grad(one.sum(), a, create_graph=True)[0] for one in (found, expected))
        torch.testing.assert_close(*slopes, atol=1e-12, rtol=0)
    else:  # with M held fixed, second derivatives would be wrong, and nothing would say so
        with pytest.raises(RuntimeError, match="second derivative"):
            torch.autograd.grad(found.sum(), a, create_graph=True)


@pytest.mark.parametrize("log_det", [Truncated(4, n_probes=2), Roulette(gradient="plain", exact_traces=1)], ids=str)
def test_a_conditional_flow_makes_estimates_of_a_at_each_context(log_det):
    """The same as part by part, by vector-Jacobian products with the same draws; also in the context."""
    flow = GivenFlow(FlowConfig(blocks=3, width=7, activation="tanh"), 2, seeded(0)).double()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=seeded(1)), alpha=0.2)
    x, context = points(9, 2), points(9, 2, seed=3).requires_grad_()

    def found(log_dets_of):
        with flow.at(context, log_det):
            z, log_dets = log_dets_of(x, log_det, seeded(5))
        log_dets = log_dets if log_dets.ndim == 1 else log_dets.sum(1)
        return z, log_dets, *torch.autograd.grad((z.sum(1) + log_dets).sum(), [context, *flow.parameters()])

    for ours, expected in zip(found(flow.forward_and_log_det), found(flow.forward_and_log_dets), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-11, rtol=0)


def test_a_shared_n_is_one_draw_for_the_batch():
    x = torch.zeros(50, 2, dtype=torch.float64)
    log_det = Roulette(Geometric(0.5, 1), "rademacher", shared=True)
    for seed in range(20):
        # Two sign probes give v'A^k v one of two values for every k, so one N leaves at most two values in a batch.
        values = log_det.value_and_log_det(LinearBranch(), x, seeded(seed))[1]
        assert len(set(values.detach().numpy().round(10))) <= 2


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("law", LAW_EXAMPLES, ids=str)
def test_the_work_covers_nineteen_batches_of_twenty(law, shared):
    terms = Roulette(law, n_draws=2, shared=shared, gradient="plain").work(30).kept
    largest = law.sample(2_000 * 2 * (1 if shared else 30), seeded(0)).view(2_000, -1).amax(1)
    assert float((largest <= terms).double().mean()) > 0.95 - 5 * (0.05 * 0.95 / 2_000) ** 0.5


@pytest.mark.parametrize("name", [name for name in LOG_DETS if name != "exact"])
def test_without_a_generator_they_say_so(name):
    with pytest.raises(ValueError, match=r"pass a torch\.Generator"):
        LOG_DETS[name]().value_and_log_det(LinearBranch(), torch.zeros(1, 2, dtype=torch.float64))


# --- probes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_probes", [1, 2, 5])
@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_probes_have_the_identity_as_second_moment(probe, n_probes):
    v = probe.draw((n_probes, 20_000, 3), seeded(0), torch.float64)
    assert v.shape == (n_probes, 20_000, 3)
    products = (v[..., :, None] * v[..., None, :]).flatten(2)
    error = (products.mean(1) - torch.eye(3, dtype=torch.float64).flatten()).abs()
    assert bool((error <= BOUND * products.std(1) / v.shape[1] ** 0.5 + 1e-12).all())
    single, again = (probe.draw((n_probes, 4, 3), seeded(0), torch.float32) for _ in range(2))
    assert single.dtype == torch.float32 and torch.equal(single, again)


@pytest.mark.parametrize(("dim", "n_probes"), [(2, 2), (5, 15)])
def test_d_orthogonal_probes_give_the_trace_without_noise(dim, n_probes):
    x = torch.zeros(4, dim, dtype=torch.float64)
    found = Truncated(6, "orthogonal", n_probes).value_and_log_det(LinearBranch(MATRICES[dim]), x, seeded(0))[1]
    a = MATRICES[dim].numpy()
    series = sum((-1) ** (k + 1) / k * np.trace(np.linalg.matrix_power(a, k)) for k in range(1, 7))
    np.testing.assert_allclose(found.detach(), np.full(4, series), atol=1e-12)
