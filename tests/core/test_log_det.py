"""Value and gradient of the estimators against the truth; where chance enters, in standard errors.

The bound is five standard errors: a false alarm in two million tests. The power is shown by the injected bug, which
moves the mean by more than twenty.
"""

import itertools

import numpy as np
import pytest
import torch

from resflow_core import log_det as module
from resflow_core.log_det import LOG_DETS, PROBES, Exact, Roulette, Truncated, power_series, roulette_coefficients
from resflow_core.residual import Branch
from resflow_core.roulette import Geometric
from tests.core.oracles import (
    KNOWN_A,
    KNOWN_LOG_DET,
    LinearBranch,
    autograd_jacobian,
    numpy_log_abs_det,
    points,
    seeded,
)

BOUND = 5.0
DRAWS = 4_000
SEED = 0
# Rademacher probes and few exact terms: here a few thousand draws tell a wrong weight from a right one.
ROULETTES = [
    Roulette(Geometric(p=0.5, n_exact=n_exact), "rademacher", n_probes)
    for n_exact, n_probes in itertools.product((0, 1), (1, 3))
]


def standard_errors_off(draws: np.ndarray, truth: float) -> float:
    return abs(draws.mean() - truth) / (draws.std(ddof=1) / len(draws) ** 0.5)


def value_draws(log_det, seed=SEED) -> np.ndarray:
    """Independent estimates at one point: a batch of copies, N and probe drawn anew for each."""
    x = torch.zeros(DRAWS, 2, dtype=torch.float64)
    with torch.no_grad():
        return log_det.value_and_log_det(LinearBranch(), x, seeded(seed))[1].numpy()


def linear_case():
    """g(x) = A x along the direction A: d log det = tr((I + A)^-1 A)."""
    a = KNOWN_A.numpy()
    branch = LinearBranch()
    return branch, [branch.a], [KNOWN_A], np.trace(np.linalg.solve(np.eye(2) + a, a))


def curved_case():
    """A branch with curvature along a random direction in its parameters, differentiated by central differences."""
    branch = Branch([2, 8, 2], "sine", 0.8, seeded(3)).double()
    parameters = list(branch.parameters())[:-1]  # A does not depend on the last bias
    direction = [torch.randn(p.shape, generator=seeded(4 + i), dtype=p.dtype) for i, p in enumerate(parameters)]

    def log_det_at(t):
        moved = Branch([2, 8, 2], "sine", 0.8, seeded(3)).double()
        moved.load_state_dict(branch.state_dict())
        with torch.no_grad():
            for (_, p), d in zip(moved.named_parameters(), direction, strict=False):
                p.add_(t * d)
        return numpy_log_abs_det(torch.eye(2) + autograd_jacobian(moved, POINT))[0]

    return branch, parameters, direction, (log_det_at(1e-5) - log_det_at(-1e-5)) / 2e-5


POINT = points(1, 2, seed=5)
CASES = {"linear": linear_case, "curved": curved_case}


def gradient_draws(log_det, case, seed=SEED, chunks=50) -> tuple[np.ndarray, float]:
    """Estimates of the log det's derivative along a direction in parameter space, and the truth."""
    branch, parameters, direction, truth = CASES[case]()
    generator = seeded(seed)
    draws = []
    for _ in range(chunks):
        x = POINT.expand(DRAWS // chunks, 2)
        mean = log_det.value_and_log_det(branch, x, generator)[1].mean()
        gradients = torch.autograd.grad(mean, parameters)
        draws.append(sum((g * d).sum().item() for g, d in zip(gradients, direction, strict=True)))
    return np.array(draws), truth


def without_the_weights(law, n):
    """The bug that makes a roulette biased: terms that are not divided by P(N >= k)."""
    k = torch.arange(1, int(n.max()) + 1)
    return torch.where(k <= n[:, None], -((-1.0) ** k.double()) / k, 0.0)


class TestExact:
    def test_the_known_matrix(self):
        _, value = Exact().value_and_log_det(LinearBranch(), torch.zeros(1, 2, dtype=torch.float64))
        assert value.item() == pytest.approx(KNOWN_LOG_DET, abs=1e-10)

    @pytest.mark.parametrize("dim", [1, 2, 3, 5, 64])
    def test_numpy_agrees_in_every_dimension(self, dim):
        a = 0.3 * torch.randn(7, dim, dim, generator=seeded(dim), dtype=torch.float64)
        expected = numpy_log_abs_det(a + torch.eye(dim, dtype=torch.float64))
        np.testing.assert_allclose(module.log_abs_det_of_identity_plus(a), expected, atol=1e-12)


class TestTruncated:
    @pytest.mark.parametrize("n_terms", [1, 2, 5, 10])
    def test_the_mean_over_all_sign_probes_is_the_truncated_trace_series(self, n_terms):
        signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=2)), dtype=torch.float64)
        coefficients = module.series_coefficients(n_terms)[None]
        _, values = power_series(LinearBranch(), torch.zeros(4, 2, dtype=torch.float64), signs, coefficients)
        a = KNOWN_A.numpy()
        series = sum((-1) ** (k + 1) / k * np.trace(np.linalg.matrix_power(a, k)) for k in range(1, n_terms + 1))
        assert values.mean().item() == pytest.approx(series, abs=1e-12)

    def test_many_terms_come_to_the_truth_and_few_do_not(self):
        long, short = (value_draws(Truncated(n, "rademacher")) for n in (40, 1))
        assert standard_errors_off(long, KNOWN_LOG_DET) < BOUND
        assert standard_errors_off(short, KNOWN_LOG_DET) > 4 * BOUND


class TestRoulette:
    @pytest.mark.parametrize("log_det", ROULETTES, ids=str)
    def test_the_value_is_unbiased(self, log_det):
        assert standard_errors_off(value_draws(log_det), KNOWN_LOG_DET) < BOUND

    @pytest.mark.parametrize("case", CASES)
    @pytest.mark.parametrize("log_det", ROULETTES, ids=str)
    def test_the_gradient_is_unbiased(self, log_det, case):
        draws, truth = gradient_draws(log_det, case)
        assert standard_errors_off(draws, truth) < BOUND

    @pytest.mark.parametrize("log_det", ROULETTES, ids=str)
    def test_a_missing_weight_would_be_caught(self, log_det, monkeypatch):
        monkeypatch.setattr(module, "roulette_coefficients", without_the_weights)
        assert standard_errors_off(value_draws(log_det), KNOWN_LOG_DET) > 2 * BOUND
        draws, truth = gradient_draws(log_det, "linear")
        assert standard_errors_off(draws, truth) > 2 * BOUND

    @pytest.mark.parametrize(("n_exact", "variance"), [(3, 0.0014856049), (2, 0.00164999)])
    def test_the_variance_is_the_closed_form(self, n_exact, variance):
        # A wrong n_exact is six standard errors off or more (20 seeds). Gaussian probes would hide it: see below.
        draws = value_draws(Roulette(Geometric(0.5, n_exact), "rademacher"))
        spread = (draws - draws.mean()) ** 2
        assert standard_errors_off(spread, variance) < BOUND  # rho < 0.595, so the fourth moment exists

    @pytest.mark.parametrize(("n_exact", "variance"), [(3, 0.3917271732), (2, 0.39237496)])
    def test_the_variance_with_gaussian_probes_summed_over_n(self, n_exact, variance):
        # Given N, the estimate is v'Sv with S = sum_k c_k A^k, and E (v'Sv)^2 = 2 ||sym S||_F^2 + tr(S)^2.
        law, a = Geometric(0.5, n_exact), KNOWN_A.numpy()
        n = torch.arange(80)
        chance = (law.survival(n) - law.survival(n + 1)).numpy()
        powers = np.stack([np.linalg.matrix_power(a, k) for k in range(1, 80)])
        sums = np.einsum("nk,kij->nij", roulette_coefficients(law, n).numpy(), powers)
        symmetric = (sums + sums.transpose(0, 2, 1)) / 2
        trace = np.trace(sums, axis1=1, axis2=2)
        assert (chance * trace).sum() == pytest.approx(KNOWN_LOG_DET, abs=1e-9)
        second = chance * (2 * (symmetric**2).sum((1, 2)) + trace**2)
        assert second.sum() - KNOWN_LOG_DET**2 == pytest.approx(variance, abs=1e-8)

    def test_the_gradient_with_a_shared_n_is_unbiased_over_batches(self):
        log_det = Roulette(Geometric(0.5, 1), "rademacher", shared=True)
        draws, truth = gradient_draws(log_det, "linear", chunks=DRAWS)
        assert standard_errors_off(draws, truth) < BOUND

    def test_a_shared_n_is_one_draw_for_the_batch_and_unbiased_over_batches(self):
        generator, x = seeded(SEED), torch.zeros(1, 2, dtype=torch.float64)
        log_det = Roulette(Geometric(0.5, 1), "rademacher", shared=True)
        draws = [log_det.value_and_log_det(LinearBranch(), x, generator)[1].item() for _ in range(DRAWS)]
        assert standard_errors_off(np.array(draws), KNOWN_LOG_DET) < BOUND
        for seed in range(20):
            # Two sign probes give v'A^k v one of two values for every k, so one N leaves at most two values in a batch.
            values = log_det.value_and_log_det(LinearBranch(), x.expand(50, 2), seeded(seed))[1]
            assert len(set(values.detach().numpy().round(10))) <= 2

    def test_coefficients_stop_at_each_samples_own_n(self):
        c = roulette_coefficients(Geometric(0.5, 2), torch.tensor([0, 2, 4]))
        np.testing.assert_allclose(c, [[0, 0, 0, 0], [1, -1 / 2, 0, 0], [1, -1 / 2, 2 / 3, -4 / 4]])


class TestReach:
    """In high dimension A cannot be formed: the estimators may only pull vectors back through the branch."""

    @pytest.mark.parametrize("log_det", [Truncated(4, n_probes=3), Roulette(Geometric(0.5, 4), n_probes=3)], ids=str)
    def test_estimators_use_one_vector_jacobian_product_per_term_and_probe(self, log_det):
        dim, batch = 32, 5
        branch = _Pullbacks(dim)
        log_det.value_and_log_det(branch, points(batch, dim), seeded(0))
        terms = 4 if isinstance(log_det, Truncated) else int(log_det.law.sample(batch, seeded(0)).max())
        assert branch.rows_forward == 3 * batch
        assert branch.rows_back == terms * 3 * batch  # forming A would take dim * batch at least

    def test_only_exact_may_form_the_jacobian(self):
        with pytest.raises(AssertionError, match="formed A"):
            Exact().value_and_log_det(_Pullbacks(4), points(3, 4))

    @pytest.mark.parametrize("name", [name for name in LOG_DETS if name != "exact"])
    def test_without_a_generator_they_say_so(self, name):
        with pytest.raises(ValueError, match=r"pass a torch\.Generator"):
            LOG_DETS[name]().value_and_log_det(LinearBranch(), torch.zeros(1, 2, dtype=torch.float64))

    def test_without_gradients_nothing_is_kept(self):
        with torch.no_grad():
            value, estimate = Truncated(3).value_and_log_det(LinearBranch(), points(4, 2), seeded(0))
        assert not value.requires_grad
        assert not estimate.requires_grad


class _Pullbacks(torch.nn.Module):
    """g(x) = A x that counts the rows sent forward and pulled back, knows no vmap, and refuses to form A."""

    def __init__(self, dim):
        super().__init__()
        self.a = 0.1 * torch.randn(dim, dim, generator=seeded(0), dtype=torch.float64)
        self.rows_forward = self.rows_back = 0

    def forward(self, x):
        outer = self

        class Pull(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                outer.rows_forward += len(x)
                return x @ outer.a.T

            @staticmethod
            def backward(ctx, w):
                outer.rows_back += len(w)
                return w @ outer.a

        return Pull.apply(x)

    def value_and_jacobian(self, x):
        raise AssertionError("formed A")


@pytest.mark.parametrize("name", PROBES)
def test_probes_have_the_identity_as_second_moment(name):
    v = PROBES[name]((20_000, 3), seeded(0), torch.float64)
    products = (v[:, :, None] * v[:, None, :]).reshape(-1, 9)
    error = (products.mean(0) - torch.eye(3, dtype=torch.float64).flatten()).abs()
    assert bool((error <= BOUND * products.std(0) / len(v) ** 0.5 + 1e-12).all())
