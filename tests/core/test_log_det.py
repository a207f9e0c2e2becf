"""Value and gradient of the estimators against the truth.

Nearly all of it without chance: the mean over the number of terms is a sum over N, the mean over sign probes a sum
over all sign vectors. So laws under which the variance is infinite are tested as sharply as the others. What is left to
chance is that the parts are put together: five standard errors, a false alarm in two million tests, and only where the
fourth moment exists (rho^4 < q^3), or a standard error would mean nothing.
"""

import dataclasses
import gc
import itertools
import weakref

import numpy as np
import pytest
import torch
from scipy import stats

from resflow_core import log_det as module
from resflow_core.gradients import GRADIENTS, Coefficients, log_series, neumann_series
from resflow_core.log_det import (
    LOG_DETS,
    Exact,
    Roulette,
    Truncated,
    residual_log_det,
    roulette_coefficients,
    truncated_coefficients,
)
from resflow_core.probes import PROBES
from resflow_core.residual import Branch
from resflow_core.roulette import Custom, Geometric, Law, Poisson
from tests.core.oracles import (
    KNOWN_A,
    KNOWN_LOG_DET,
    LinearBranch,
    all_signs,
    contraction,
    numpy_log_abs_det,
    numpy_log_of_identity_plus,
    points,
    seeded,
)
from tests.covering import covering, told

BOUND = 5.0
DRAWS = 4_000
SEED = 0
# The others differentiate by the Neumann series.
TERM_BY_TERM = {"plain", "plain_in_forward"}
# The variance is finite under the first and the last, and infinite under the others.
LAW_EXAMPLES = [Geometric(0.5, 3), Geometric(0.9, 0), Poisson(1.0, 1), Custom((1.0, 0.6, 0.3))]
MATRICES = {2: KNOWN_A, 5: contraction(5), 64: contraction(64)}
# Every N up to here: what is left out is of the order of rho^40 < 1e-15.
MOST_TERMS = 40


def chance_of(law, n):
    """P(N = n)."""
    return law.survival(n) - law.survival(n + 1)


class TestExact:
    def test_the_known_matrix(self):
        _, value = Exact().value_and_log_det(LinearBranch(), torch.zeros(1, 2, dtype=torch.float64))
        assert value.item() == pytest.approx(KNOWN_LOG_DET, abs=1e-10)

    def test_numpy_agrees_in_every_dimension(self):
        for dim in (1, 2, 3, 5, 64):
            a = 0.3 * torch.randn(7, dim, dim, generator=seeded(dim), dtype=torch.float64)
            expected = numpy_log_abs_det(a + torch.eye(dim, dtype=torch.float64))
            with told(dim):
                np.testing.assert_allclose(residual_log_det(a), expected, atol=1e-12)


class TestCoefficients:
    @pytest.mark.parametrize("n_draws", [1, 2])
    @pytest.mark.parametrize("law", LAW_EXAMPLES, ids=str)
    def test_their_mean_over_n_is_the_series(self, law, n_draws):
        n = torch.arange(MOST_TERMS)
        draws = torch.cartesian_prod(*[n] * n_draws).view(-1, n_draws)
        chance = chance_of(law, draws).prod(1)
        found = roulette_coefficients(law, draws)
        a, b = chance @ found.value, chance @ found.gradient
        few = 20
        np.testing.assert_allclose(a[:few], log_series(few - 1), rtol=1e-4)
        np.testing.assert_allclose(b[:few], neumann_series(few - 1), rtol=1e-4)

    def test_they_stop_at_each_points_own_n(self):
        found = roulette_coefficients(Geometric(0.5, 2), torch.tensor([[0], [2], [4]]))
        a = [[0, 0, 0, 0, 0], [0, 1, -1 / 2, 0, 0], [0, 1, -1 / 2, 2 / 3, -4 / 4]]
        b = [[1, 0, 0, 0, 0], [1, -1, 1, 0, 0], [1, -1, 1, -2, 4]]
        np.testing.assert_allclose(found.value, a)
        np.testing.assert_allclose(found.gradient, b)

    def test_several_draws_are_averaged(self):
        law, draws = Geometric(0.5, 1), torch.tensor([[1, 4], [0, 2]])
        one_by_one = [roulette_coefficients(law, torch.cat([draws[:, [i]], torch.tensor([[4]])])) for i in range(2)]
        np.testing.assert_allclose(roulette_coefficients(law, draws).value, sum(c.value[:2] for c in one_by_one) / 2)

    def test_a_truncated_series_is_differentiated_as_far_as_it_goes(self):
        # d sum_{k<=n} a_k tr(A^k) = sum_{k<n} b_k tr(A^k dA)
        found = truncated_coefficients(3)
        np.testing.assert_allclose(found.value, [[0, 1, -1 / 2, 1 / 3]])
        np.testing.assert_allclose(found.gradient, [[1, -1, 1, 0]])


@pytest.fixture
def every_n(monkeypatch):
    """Makes every law draw N = 0, 1, ... for the rows in turn, or for several draws every combination of them."""

    def set_up(n_draws=1, repeats=1):
        def terms(self, u):
            each = torch.arange(round((u.numel() / repeats / n_draws) ** (1 / n_draws)))
            found = torch.cartesian_prod(*[each] * n_draws).view(-1, n_draws).repeat_interleave(repeats, 0)
            return found.view(u.shape)

        monkeypatch.setattr(Law, "terms", terms)

    return set_up


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


ROULETTE_DESIGN = covering(
    {"law": LAW_EXAMPLES, "gradient": [*GRADIENTS], "probe": [*PROBES], "dim": [2, 5, 64], "n_probes": [1, 2, 3]}
)


@pytest.mark.thorough
@pytest.mark.parametrize("row", ROULETTE_DESIGN, ids=lambda row: "-".join(map(str, row.values())))
def test_given_the_probes_roulette_is_unbiased_when_summed_over_n(row, every_n, one_probe):
    every_n()
    law, gradient, probe, dim, n_probes = row.values()
    probes, a = one_probe(probe, n_probes, dim), MATRICES[dim]
    value, slope = summed(
        Roulette(law, probe, n_probes, gradient=gradient), a, chance_of(law, torch.arange(MOST_TERMS))
    )
    expected, expected_slope = truth_given(probes, a, gradient)
    assert value == pytest.approx(expected, abs=1e-9 * dim)
    np.testing.assert_allclose(slope, expected_slope, atol=1e-9 * dim)


LAW_OF_EACH = [*zip(LAW_EXAMPLES, GRADIENTS, strict=True)]


class TestRouletteIsUnbiasedWhenSummedOverN:
    @pytest.mark.parametrize("dim", [2, 5])
    @pytest.mark.parametrize(("law", "gradient"), LAW_OF_EACH, ids=str)
    def test_over_all_sign_probes_it_is_the_log_det(self, law, gradient, dim, every_n, monkeypatch):
        signs = all_signs(dim)
        every_n(repeats=len(signs))
        probe = dataclasses.replace(
            PROBES["rademacher"], fill=lambda v, generator: v.copy_(signs.repeat(MOST_TERMS, 1)[None])
        )
        monkeypatch.setitem(PROBES, "rademacher", probe)
        chance = chance_of(law, torch.arange(MOST_TERMS)).repeat_interleave(len(signs)) / len(signs)
        value, slope = summed(Roulette(law, "rademacher", gradient=gradient), MATRICES[dim], chance)
        identity_plus_a = np.eye(dim) + MATRICES[dim].numpy()
        assert value == pytest.approx(np.linalg.slogdet(identity_plus_a)[1], abs=1e-9)
        np.testing.assert_allclose(slope, np.linalg.inv(identity_plus_a).T, atol=1e-9)

    @pytest.mark.parametrize(("law", "gradient"), LAW_OF_EACH, ids=str)
    def test_with_two_draws_that_share_the_probe(self, law, gradient, every_n, one_probe):
        every_n(n_draws=2)
        probes = one_probe("sphere", 1, 2)
        chance = chance_of(law, torch.cartesian_prod(*[torch.arange(MOST_TERMS)] * 2)).prod(1)
        value, slope = summed(Roulette(law, "sphere", n_draws=2, gradient=gradient), KNOWN_A, chance)
        expected, expected_slope = truth_given(probes, KNOWN_A, gradient)
        assert value == pytest.approx(expected, abs=1e-9)
        np.testing.assert_allclose(slope, expected_slope, atol=1e-9)

    @pytest.mark.thorough
    @pytest.mark.parametrize(("law", "gradient"), LAW_OF_EACH, ids=str)
    def test_with_one_n_for_the_batch(self, law, gradient, one_probe, monkeypatch):
        probes, branch = one_probe("gaussian", 2, 2), LinearBranch()
        log_det = Roulette(law, "gaussian", 2, shared=True, gradient=gradient)
        x, total = torch.zeros(3, 2, dtype=torch.float64), 0.0
        for n in range(MOST_TERMS):
            monkeypatch.setattr(Law, "terms", lambda self, u, n=n: torch.full(u.shape, n))
            estimates = log_det.value_and_log_det(branch, x, seeded(0))[1]
            assert estimates.unique().numel() == 1
            total = total + chance_of(law, torch.tensor(n)) * estimates.mean()
        expected, expected_slope = truth_given(probes, KNOWN_A, gradient)
        assert total.item() == pytest.approx(expected, abs=1e-9)
        np.testing.assert_allclose(torch.autograd.grad(total, branch.a)[0], expected_slope, atol=1e-9)


def curved_branch(dim):
    """A branch at its cap, so that its weights are functions of their parameters, and curved."""
    branch = Branch([dim, 8, dim], "sine", 0.8, seeded(3)).double()
    with torch.no_grad():
        for linear in branch.linears:
            linear.raw.mul_(10)
    return branch


@pytest.mark.parametrize("exact_traces", [0, 1, 2])
@pytest.mark.parametrize("dim", [2, 5])
@pytest.mark.parametrize("n_probes", [1, 3])
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_through_a_branch_value_and_gradients_are_those_of_its_jacobian(gradient, n_probes, dim, exact_traces):
    """The same sums from A itself, differentiated by autograd, under incoming gradients that differ."""
    branch, x = curved_branch(dim), points(6, dim).requires_grad_()
    inputs = [x, *branch.parameters()]
    probes = points(n_probes * 6, dim, seed=1).view(n_probes, 6, dim)
    coefficients = roulette_coefficients(Geometric(0.5, 1), torch.tensor([[0], [3], [1], [7], [2], [1]]))
    coefficients = coefficients.beyond(exact_traces)
    weights = points(6, 1, seed=2)[:, 0]

    value, estimate = GRADIENTS[gradient].estimate(branch, x, probes, coefficients)
    _, a = branch.value_and_jacobian(x)
    w, expected, pulled = probes, 0.0, 0.0
    for a_k, b_k in zip(coefficients.value.T, coefficients.gradient.T, strict=True):
        expected = expected + a_k * (w * probes).sum(2).mean(0)
        pulled = pulled + b_k[:, None] * w
        w = torch.einsum("kbi,bij->kbj", w, a)
    by_theorem_2 = torch.einsum("kbi,bij,kbj->kb", pulled.detach(), a, probes).mean(0)
    traces = [torch.einsum("bii->b", a), -torch.einsum("bij,bji->b", a, a) / 2][:exact_traces]
    expected, by_theorem_2 = (one + sum(traces) for one in (expected, by_theorem_2))
    surrogate = expected if gradient in TERM_BY_TERM else by_theorem_2

    torch.testing.assert_close(value, branch(x), atol=1e-13, rtol=0)
    torch.testing.assert_close(estimate, expected, atol=1e-12, rtol=0)
    loss = (weights * estimate).sum() + value.square().sum()
    expected_loss = (weights * surrogate).sum() + branch(x).square().sum()
    for found, truth in zip(torch.autograd.grad(loss, inputs), torch.autograd.grad(expected_loss, inputs), strict=True):
        torch.testing.assert_close(found, truth, atol=1e-11, rtol=0)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_over_all_sign_probes_truncation_is_the_truncated_trace_series_and_its_gradient(gradient):
    for case in itertools.product([1, 2, 5, 10], [2, 5]):
        with told(case):
            check_truncation(*case, gradient)


def check_truncation(n_terms, dim, gradient):
    signs, a = all_signs(dim), MATRICES[dim]
    branch = LinearBranch(a)
    coefficients = truncated_coefficients(n_terms)
    x = torch.zeros(len(signs), dim, dtype=torch.float64)
    _, values = GRADIENTS[gradient].estimate(branch, x, signs[None], coefficients)
    powers = [np.linalg.matrix_power(a.numpy(), k) for k in range(n_terms + 1)]
    series = sum((-1) ** (k + 1) / k * np.trace(powers[k]) for k in range(1, n_terms + 1))
    slope = sum((-1) ** k * powers[k].T for k in range(n_terms))
    assert values.mean().item() == pytest.approx(series, abs=1e-12)
    np.testing.assert_allclose(torch.autograd.grad(values.mean(), branch.a)[0], slope, atol=1e-12)


def standard_errors_off(draws: np.ndarray, truth: float) -> float:
    return abs(draws.mean() - truth) / (draws.std(ddof=1) / len(draws) ** 0.5)


def value_draws(log_det, seed=SEED) -> np.ndarray:
    """Independent estimates at one point: a batch of copies, N and probe drawn anew for each."""
    x = torch.zeros(DRAWS, 2, dtype=torch.float64)
    with torch.no_grad():
        return log_det.value_and_log_det(LinearBranch(), x, seeded(seed))[1].numpy()


def gradient_draws(log_det, seed=SEED, chunks=50) -> np.ndarray:
    """Estimates of the derivative of log det(I + A) along A."""
    branch, generator = LinearBranch(), seeded(seed)
    x = torch.zeros(DRAWS // chunks, 2, dtype=torch.float64)
    draws = []
    for _ in range(chunks):
        mean = log_det.value_and_log_det(branch, x, generator)[1].mean()
        draws.append((torch.autograd.grad(mean, branch.a)[0] * KNOWN_A).sum().item())
    return np.array(draws)


SLOPE = np.trace(np.linalg.solve(np.eye(2) + KNOWN_A.numpy(), KNOWN_A.numpy()))


FINITE = [Geometric(0.5, 0), Geometric(0.5, 1), Custom((1.0, 0.6, 0.3))]
ROULETTES = [
    *(Roulette(law, probe, n_probes) for law, probe, n_probes in itertools.product(FINITE, PROBES, (1, 3))),
    Roulette(Geometric(0.5, 1), "rademacher", n_draws=3),
    *(Roulette(law, probe, exact_traces=m) for law, probe, m in itertools.product(FINITE, PROBES, (1, 2))),
]


class TestDraws:
    """N and probes from the generator. rho = 0.406, so that the fourth moment exists for q = 0.5: 0.027 < 0.125."""

    @pytest.mark.parametrize("log_det", ROULETTES, ids=str)
    def test_the_value_is_unbiased(self, log_det):
        assert standard_errors_off(value_draws(log_det), KNOWN_LOG_DET) < BOUND

    @pytest.mark.thorough
    @pytest.mark.parametrize(("shared", "exact_traces"), [(False, 0), (True, 0), (False, 1), (False, 2)])
    @pytest.mark.parametrize("gradient", GRADIENTS)
    @pytest.mark.slow
    def test_the_gradient_is_unbiased(self, gradient, shared, exact_traces):
        law = Geometric(0.5, 1)
        log_det = Roulette(law, "rademacher", shared=shared, gradient=gradient, exact_traces=exact_traces)
        draws = gradient_draws(log_det, chunks=1_000 if shared else 50)
        assert standard_errors_off(draws, SLOPE) < BOUND

    def test_a_missing_weight_would_be_caught(self, monkeypatch):
        # The bug that makes a roulette biased: terms that are not divided by P(N >= k).
        def without_the_weights(law, n):
            k = torch.arange(int(n.max()) + 1)
            reached = (k <= n[..., None]).double().mean(1)
            return Coefficients(log_series(len(k) - 1) * reached, neumann_series(len(k) - 1) * reached)

        monkeypatch.setattr(module, "roulette_coefficients", without_the_weights)
        log_det = Roulette(Geometric(0.5, 0), "rademacher")
        assert standard_errors_off(value_draws(log_det), KNOWN_LOG_DET) > 2 * BOUND
        assert standard_errors_off(gradient_draws(log_det), SLOPE) > 2 * BOUND

    def test_a_shared_n_is_one_draw_for_the_batch(self):
        x = torch.zeros(50, 2, dtype=torch.float64)
        log_det = Roulette(Geometric(0.5, 1), "rademacher", shared=True)
        for seed in range(20):
            # Two sign probes give v'A^k v one of two values for every k, so one N leaves at most two values in a batch.
            values = log_det.value_and_log_det(LinearBranch(), x, seeded(seed))[1]
            assert len(set(values.detach().numpy().round(10))) <= 2

    def test_few_terms_are_biased_and_many_are_not(self):
        long, short = (value_draws(Truncated(n, "rademacher")) for n in (40, 1))
        assert standard_errors_off(long, KNOWN_LOG_DET) < BOUND
        assert standard_errors_off(short, KNOWN_LOG_DET) > 4 * BOUND

    @pytest.mark.parametrize(("n_exact", "variance"), [(3, 0.0014856049), (2, 0.00164999)])
    def test_the_variance_is_the_closed_form(self, n_exact, variance):
        # A wrong n_exact is six standard errors off or more (20 seeds). Gaussian probes would hide it: see below.
        draws = value_draws(Roulette(Geometric(0.5, n_exact), "rademacher"))
        spread = (draws - draws.mean()) ** 2
        assert standard_errors_off(spread, variance) < BOUND


@pytest.mark.parametrize(
    ("probe", "n_exact", "variance"),
    [
        ("gaussian", 3, 0.3917271732),
        ("gaussian", 2, 0.39237496),
        ("rademacher", 3, 0.0014856049),
        ("rademacher", 2, 0.00164999),
    ],
)
def test_mean_and_variance_are_known_when_summed_over_n(probe, n_exact, variance):
    # Given N, the estimate is v'Sv with S = sum_k c_k A^k. Its variance over v is 2 ||sym S||_F^2 for Gaussian probes;
    # signs leave 2 (||sym S||_F^2 - sum S_ii^2).
    law, a = Geometric(0.5, n_exact), KNOWN_A.numpy()
    n = torch.arange(80)
    powers = np.stack([np.linalg.matrix_power(a, k) for k in range(80)])
    sums = np.einsum("nk,kij->nij", roulette_coefficients(law, n[:, None]).value.numpy(), powers)
    symmetric = (sums + sums.transpose(0, 2, 1)) / 2
    trace = np.trace(sums, axis1=1, axis2=2)
    noise = 2 * (symmetric**2).sum((1, 2))
    if probe == "rademacher":
        noise -= 2 * (np.diagonal(symmetric, axis1=1, axis2=2) ** 2).sum(1)
    chance = chance_of(law, n).numpy()
    assert (chance * trace).sum() == pytest.approx(KNOWN_LOG_DET, abs=1e-9)
    assert (chance * (noise + trace**2)).sum() - KNOWN_LOG_DET**2 == pytest.approx(variance, abs=2e-8)


ESTIMATORS = [
    cls(**settings, n_probes=3, gradient=gradient)
    for (cls, settings), gradient in itertools.product(
        [(Truncated, {"n_terms": 4}), (Roulette, {"law": Geometric(0.5, 4)}), (Roulette, {"n_draws": 2})], GRADIENTS
    )
]


@pytest.mark.parametrize("log_det", ESTIMATORS, ids=str)
class TestReach:
    """In high dimension A cannot be formed: the estimators may only pull vectors back through the branch."""

    def test_one_vector_jacobian_product_per_term_and_probe(self, log_det):
        dim, batch = 32, 5
        branch = _Pullbacks(dim)
        log_det.value_and_log_det(branch, points(batch, dim), seeded(0))
        terms = 4
        if isinstance(log_det, Roulette):
            terms = int(log_det.law.sample(batch * log_det.n_draws, seeded(0)).max())
        products = terms + (log_det.gradient not in TERM_BY_TERM)  # the Neumann series has one more
        assert branch.rows_back == products * 3 * batch  # forming A would take dim * batch at least
        assert branch.rows_forward == batch  # once for all probes

    def test_without_gradients_values_are_the_same_and_nothing_is_kept(self, log_det):
        branch, x = curved_branch(2), points(4, 2).requires_grad_()
        with_gradients = log_det.value_and_log_det(branch, x, seeded(0))
        with torch.no_grad():
            without = log_det.value_and_log_det(branch, x, seeded(0))
        for a, b in zip(with_gradients, without, strict=True):
            torch.testing.assert_close(a.detach(), b, atol=1e-12, rtol=0)
            assert a.requires_grad
            assert not b.requires_grad

    def test_a_branch_without_parameters_has_its_gradient_in_x(self, log_det):
        branch, x = curved_branch(2).requires_grad_(False), points(4, 2).requires_grad_()
        estimate = log_det.value_and_log_det(branch, x, seeded(0))[1]
        (slope,) = torch.autograd.grad(estimate.sum(), x)
        assert bool((slope != 0).any())

    @pytest.mark.thorough
    @pytest.mark.slow
    def test_what_the_backward_pass_keeps_is_within_the_work(self, log_det):
        branch, x = Branch([2, 32, 2], "tanh", 0.8, seeded(0)), points(100, 2).float()
        rows, products, *_ = log_det.work(100)
        row = rows * (2 + 32)  # numbers a row and pass, as in `training.step_bytes`
        kept = numbers_kept(lambda: log_det.value_and_log_det(branch, x, seeded(1)))
        assert kept < 8 * row * (1 + products)
        assert kept > row * (1 + products) / 4


def numbers_kept(forward):
    """How many numbers saved for the backward pass are alive once `forward` has returned."""

    class Box:
        def __init__(self, tensor):
            self.tensor = tensor

    boxes = weakref.WeakSet()

    def pack(tensor):
        box = Box(tensor)
        boxes.add(box)
        return box

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda box: box.tensor):
        result = forward()
    gc.collect()
    storages = {box.tensor.untyped_storage().data_ptr(): box.tensor.untyped_storage().nbytes() for box in boxes}
    del result
    return sum(storages.values()) / 4


@pytest.mark.thorough
@pytest.mark.slow
def test_memory_grows_with_the_terms_only_where_each_is_differentiated():
    branch, x = Branch([2, 32, 2], "tanh", 0.8, seeded(0)), points(100, 2).float()
    kept = {
        (name, n): numbers_kept(
            lambda n=n, name=name: Truncated(n, gradient=name).value_and_log_det(branch, x, seeded(0))
        )
        for name, n in itertools.product(GRADIENTS, (2, 20))
    }
    assert kept["plain", 20] > 5 * kept["plain", 2]
    assert kept["neumann", 20] == kept["neumann", 2]
    assert kept["in_forward", 20] == kept["in_forward", 2] < kept["neumann", 2] / 2


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("law", LAW_EXAMPLES, ids=str)
def test_the_work_covers_nineteen_batches_of_twenty(law, shared):
    log_det = Roulette(law, n_draws=2, shared=shared, gradient="plain")
    terms = log_det.work(30).kept
    largest = law.sample(2_000 * 2 * (1 if shared else 30), seeded(0)).view(2_000, -1).amax(1)
    assert float((largest <= terms).double().mean()) > 0.95 - 5 * (0.05 * 0.95 / 2_000) ** 0.5


def test_only_exact_may_form_the_jacobian():
    with pytest.raises(AssertionError, match="formed A"):
        Exact().value_and_log_det(_Pullbacks(4), points(3, 4))


@pytest.mark.parametrize("name", [name for name in LOG_DETS if name != "exact"])
def test_without_a_generator_they_say_so(name):
    with pytest.raises(ValueError, match=r"pass a torch\.Generator"):
        LOG_DETS[name]().value_and_log_det(LinearBranch(), torch.zeros(1, 2, dtype=torch.float64))


class _Pullbacks(torch.nn.Module):
    """g(x) = A x that counts the rows sent forward and pulled back, and refuses to form A."""

    def __init__(self, dim):
        super().__init__()
        self.a = 0.1 * torch.randn(dim, dim, generator=seeded(0), dtype=torch.float64)
        self.rows_forward = self.rows_back = 0

    def near(self, x):
        self.rows_forward += len(x)
        return _PullbacksNear(self, x @ self.a.T)


class _PullbacksNear:
    def __init__(self, branch, value):
        self._branch, self.value = branch, value

    def pullback(self, w):
        self._branch.rows_back += w.shape[:-1].numel()
        return w @ self._branch.a

    def trace(self):
        return None

    def jacobian(self):
        raise AssertionError("formed A")


@pytest.mark.parametrize("n_probes", [1, 2, 5])
@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
class TestProbes:
    def test_they_have_the_identity_as_second_moment(self, probe, n_probes):
        v = probe.draw((n_probes, 20_000, 3), seeded(0), torch.float64)
        assert v.shape == (n_probes, 20_000, 3)
        products = (v[..., :, None] * v[..., None, :]).flatten(2)
        error = (products.mean(1) - torch.eye(3, dtype=torch.float64).flatten()).abs()
        assert bool((error <= BOUND * products.std(1) / v.shape[1] ** 0.5 + 1e-12).all())

    def test_they_are_drawn_in_the_given_precision_from_the_generator(self, probe, n_probes):
        draws = [probe.draw((n_probes, 4, 3), seeded(s), torch.float32) for s in (0, 0, 1)]
        assert draws[0].dtype == torch.float32
        assert torch.equal(draws[0], draws[1])
        assert not torch.equal(draws[0], draws[2])


class TestOrthogonalProbes:
    @pytest.mark.parametrize(("n_probes", "dim"), [(1, 5), (3, 5), (5, 5), (12, 5), (64, 64)])
    def test_up_to_d_of_a_point_are_orthogonal_and_all_have_norm_root_d(self, n_probes, dim):
        v = PROBES["orthogonal"].draw((n_probes, 20, dim), seeded(0), torch.float64)
        for group in v.split(dim):
            gram = torch.einsum("kbi,lbi->bkl", group, group)
            expected = dim * torch.eye(len(group), dtype=torch.float64).expand_as(gram)
            torch.testing.assert_close(gram, expected, atol=1e-10, rtol=0)

    @pytest.mark.parametrize(("dim", "n_probes"), [(2, 2), (2, 8), (5, 5), (5, 15), (64, 64)])
    def test_d_of_them_give_the_trace_without_noise(self, dim, n_probes):
        a = MATRICES[dim]
        coefficients = truncated_coefficients(6)
        probes = PROBES["orthogonal"].draw((n_probes, 4, dim), seeded(0), torch.float64)
        x = torch.zeros(4, dim, dtype=torch.float64)
        values = GRADIENTS["neumann"].estimate(LinearBranch(a), x, probes, coefficients)[1].detach()
        traces = [np.trace(np.linalg.matrix_power(a.numpy(), k)) for k in range(1, 7)]
        series = np.dot([(-1) ** (k + 1) / k for k in range(1, 7)], traces)
        np.testing.assert_allclose(values, np.full(4, series), atol=1e-12)

    def test_each_alone_is_uniform_on_the_sphere_and_groups_are_independent(self):
        v = PROBES["orthogonal"].draw((5, 4_000, 2), seeded(0), torch.float64).numpy()
        for one in v:
            assert stats.kstest(np.arctan2(one[:, 1], one[:, 0]), "uniform", (-np.pi, 2 * np.pi)).pvalue > 1e-4
        first, second = v[0], v[2]  # of different pairs
        correlation = (first[:, 0] * second[:, 0]).mean()
        assert abs(correlation) < BOUND / 4_000**0.5
