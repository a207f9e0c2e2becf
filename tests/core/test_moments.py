"""Closed-form moments against fifty-digit sums by mpmath, against NumPy's own roulettes, and against the estimators."""

from functools import cache
from itertools import pairwise, product
from typing import NamedTuple

import mpmath
import numpy as np
import pytest
import torch
from scipy import optimize

from resflow_core.activations import ACTIVATIONS
from resflow_core.estimators.forms import Quadratic, form_of
from resflow_core.estimators.moments import (
    QUANTITIES,
    NoOptimum,
    Optimal,
    as_custom,
    batch_variance,
    finiteness,
    fourth_moment_margin,
    jacobian_derivatives,
    log_det_remainders,
    neumann_remainders,
    optimal_law,
    parameter_remainders,
    plain_remainders,
    roulette_variance,
    second_moments,
    spectral_radius,
    terms_for,
    truncated_variance,
    truncation_bias,
    truncation_bound,
)
from resflow_core.gradients import GRADIENTS
from resflow_core.log_det import Roulette, Truncated
from resflow_core.probes import PROBES
from resflow_core.residual import Branch
from resflow_core.roulette import Custom, Geometric, Poisson, expected_terms
from tests.core.oracles import KNOWN_A, LinearBranch, all_signs, contraction, points, seeded
from tests.covering import covering, told

LAWS = [Geometric(0.5, 3), Geometric(0.5, 0), Geometric(0.2, 2), Custom((1.0, 0.8, 0.8, 0.4))]
# name: matrices of all kinds, with rho^2 at most 0.9 times the tail ratio 0.5
KINDS = {
    "known": [[0.45, 0.30], [-0.25, 0.20]],
    "symmetric": [[0.3, 0.2], [0.2, -0.4]],
    "rotation": [[0.3, -0.5], [0.5, 0.3]],
    "defective": [[0.6, 0.7], [0.0, 0.6]],
    "nilpotent": [[0.4, -0.4], [0.4, -0.4]],
    "near the limit": [[0.67, 0.1], [0.0, -0.2]],
    "tiny": [[1e-9, 2e-9], [0.0, -1e-9]],
    "zero": [[0.0, 0.0], [0.0, 0.0]],
}


def one(a):
    return torch.as_tensor(a, dtype=torch.float64)[None]


def remainders_of(a, law, exact_traces=0):
    return log_det_remainders(one(a), terms_for(float(spectral_radius(one(a))), law.tail_ratio), exact_traces)


def summands(quantity, a, b, terms):
    """M_0, ..., M_terms. sum_j A^j B A^(k-1-j) is a corner of a power of [[A, B], [0, A]]."""
    block = a
    if quantity == "plain":
        block = mpmath.zeros(2 * a.rows)
        block[: a.rows, : a.rows], block[a.rows :, a.rows :], block[: a.rows, a.rows :] = a, a, b
    power, found = mpmath.eye(block.rows), []
    for k in range(terms + 1):
        if quantity == "neumann":
            found.append(power * b * (-1) ** k)
        else:
            a_k = mpmath.mpf((-1) ** (k + 1)) / k if k else 0
            found.append((power[: a.rows, a.rows :] if quantity == "plain" else power) * a_k)
        power = power * block
    return found


def probe_variance(sums, probe):
    """V(S) for one probe, as the design states it, from `sums_of` its entries."""
    d, square, diagonal, trace = sums
    return {
        "gaussian": 2 * square,
        "rademacher": 2 * (square - diagonal),
        "sphere": mpmath.mpf(2 * d) / (d + 2) * (square - trace**2 / d),
        "orthogonal": mpmath.mpf(2 * d) / (d + 2) * (square - trace**2 / d),
    }[probe]


def mpmath_variance(quantity, a, b, law, probe, terms, exact_traces=0):
    """(probe, roulette) by fifty digits."""
    frozen = [tuple(map(tuple, matrix)) for matrix in (a, b)]
    with mpmath.workdps(60):
        survival = [mpmath.mpf(x) for x in law.survival(torch.arange(terms + 1)).tolist()]
        first, moments = mpmath_moments(quantity, *frozen, probe, terms, exact_traces)
        weights = [1 / after - 1 / before for before, after in pairwise(survival)]
        return float(first), float(sum(w * m for w, m in zip(weights, moments, strict=True)))


@cache
def mpmath_moments(quantity, a, b, probe, terms, exact_traces=0):
    """V(R_0), and E T_n^2 for n = 1, ..., terms."""
    with mpmath.workdps(60):
        first, *rest = mpmath_remainders(quantity, a, b, terms, exact_traces)
        return probe_variance(first, probe), [probe_variance(sums, probe) + sums[-1] ** 2 for sums in rest]


def sums_of(s):
    """The dimension, and the sums of the squares of all entries, of those on the diagonal, and of the diagonal."""
    diagonal = [s[i, i] for i in range(s.rows)]
    return s.rows, sum(x * x for x in s), sum(x**2 for x in diagonal), sum(diagonal)


@cache
def mpmath_remainders(quantity, a, b, terms, exact_traces=0):
    """`sums_of` the symmetric parts of R_0, ..., R_terms: the limit less partial sums, which double precision could not
    do. Without a_k tr(A^k) for k up to the exact traces, or b_k tr(A^k B) for k below."""
    with mpmath.workdps(60):
        m = summands(quantity, mpmath.matrix(a), mpmath.matrix(b), terms)
        known = exact_traces + (quantity != "neumann")
        m = [0 * summand if k < known else summand for k, summand in enumerate(m)]
        rest, found = sum(m[1:], m[0]), []
        for summand in m:
            found.append(sums_of((rest + rest.T) / 2))
            rest = rest - summand
        return found


class TestVariance:
    @pytest.mark.parametrize(
        ("law", "gaussian", "rademacher"),
        [
            (Geometric(0.5, 3), 0.3917271732, 0.0014856049),
            (Geometric(0.5, 2), 0.39237496, 0.00164999),
        ],
    )
    def test_known_answers(self, law, gaussian, rademacher):
        found = [
            roulette_variance(remainders_of(KNOWN_A, law), law, p).total.item() for p in ("gaussian", "rademacher")
        ]
        assert found == pytest.approx([gaussian, rademacher], abs=5e-9)

    @pytest.mark.thorough
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_log_dets_is_mpmaths(self, kind):
        a = KINDS[kind]
        for law, probe, exact_traces in product(LAWS, PROBES, (0, 1, 2)):
            found = roulette_variance(remainders_of(a, law, exact_traces), law, probe)
            expected = mpmath_variance("log_det", a, a, law, probe, 350, exact_traces)
            with told((law, probe, exact_traces)):
                assert (found.probe.item(), found.roulette.item()) == pytest.approx(expected, rel=1e-10, abs=1e-28)
                assert found.rest.item() <= 1e-10 * max(expected[1], 1e-30)

    @pytest.mark.parametrize("probe", PROBES)
    @pytest.mark.parametrize(("quantity", "make"), [("neumann", neumann_remainders), ("plain", plain_remainders)])
    @pytest.mark.thorough
    def test_the_gradients_is_mpmaths(self, quantity, make, probe):
        law, b = Geometric(0.5, 2), [[0.7, -0.2], [0.3, 0.1]]
        for kind, exact_traces in product(("known", "symmetric", "defective", "nilpotent"), (0, 1, 2)):
            remainders = make(one(KINDS[kind]), one(b), 300).beyond(QUANTITIES[quantity].first(exact_traces))
            found = roulette_variance(remainders, law, probe)
            expected = mpmath_variance(quantity, KINDS[kind], b, law, probe, 300, exact_traces)
            assert (found.probe.item(), found.roulette.item()) == pytest.approx(expected, rel=1e-10)

    @pytest.mark.parametrize("probe", PROBES)
    @pytest.mark.parametrize(("dim", "exact_traces"), [(1, 0), (3, 0), (5, 0), (1, 1), (5, 1), (3, 2)])
    def test_it_is_mpmaths_in_any_dimension(self, dim, probe, exact_traces):
        a, law = contraction(dim, 0.6, seed=dim), Geometric(0.5, 3)
        found = roulette_variance(log_det_remainders(a[None], 200, exact_traces), law, probe)
        expected = mpmath_variance("log_det", a.tolist(), a.tolist(), law, probe, 200, exact_traces)
        assert (found.probe.item(), found.roulette.item()) == pytest.approx(expected, rel=1e-10, abs=1e-28)

    def test_two_dimensions_need_no_powers(self):
        a = 0.6 * torch.randn(40, 2, 2, generator=seeded(0), dtype=torch.float64)
        a = a[spectral_radius(a) < 0.8]
        embedded = torch.zeros(len(a), 3, 3, dtype=torch.float64)
        embedded[:, :2, :2] = a
        fast, slow = log_det_remainders(a, 300), log_det_remainders(embedded, 300)
        torch.testing.assert_close(fast.trace, slow.trace, rtol=1e-9, atol=1e-15)
        for probe in ("gaussian", "rademacher"):  # which know no dimension
            torch.testing.assert_close(second_moments(fast, probe), second_moments(slow, probe), rtol=1e-9, atol=1e-20)

    def test_tails_fall_below_the_rounding_of_the_whole(self):
        # log det minus partial sums would leave 1e-17 of rounding here.
        trace = log_det_remainders(KNOWN_A[None], 200).trace[:, 0]
        with mpmath.workdps(60):
            a = mpmath.matrix(KNOWN_A.tolist())
            exact = sum(-((-1) ** k) * sum((a**k)[i, i] for i in range(2)) / mpmath.mpf(k) for k in range(80, 201))
        assert trace[80].item() == pytest.approx(float(exact), rel=1e-9)
        assert abs(trace[80].item()) < 1e-30


class TestMonteCarlo:
    """Sample variances within 5 standard errors of their own, from 200,000 estimates; rho^4 < q^3 throughout.

    Power: a part that is off by 5 % of the whole shows.
    """

    def assert_close(self, sample, expected):
        n, deviation = len(sample), sample - sample.mean()
        variance = deviation.square().mean()
        error = ((deviation**4).mean() - variance**2).clamp(min=0).sqrt() / n**0.5
        assert abs(variance - expected) < 5 * error + 1e-12
        assert error < 0.02 * expected + 1e-9

    @pytest.mark.thorough
    @pytest.mark.parametrize(("n_draws", "exact_traces"), [(1, 0), (3, 0), (1, 1), (3, 2)])
    @pytest.mark.parametrize(
        ("probe", "n_probes"), [("gaussian", 1), ("gaussian", 4), ("rademacher", 2), ("sphere", 1), ("orthogonal", 3)]
    )
    @pytest.mark.slow
    def test_the_estimators_variance(self, probe, n_probes, n_draws, exact_traces):
        law = Geometric(0.6, 1)
        estimator = Roulette(law, probe, n_probes, n_draws=n_draws, exact_traces=exact_traces)
        with torch.no_grad():
            _, sample = estimator.value_and_log_det(LinearBranch(), points(200_000, 2), seeded(1))
        found = roulette_variance(remainders_of(KNOWN_A, law, exact_traces), law, probe, n_probes, n_draws)
        self.assert_close(sample, found.total.item())

    @pytest.mark.thorough
    @pytest.mark.parametrize("n_probes", [2, 3, 4])
    @pytest.mark.slow
    def test_orthogonal_probes_in_three_dimensions(self, n_probes):
        law, a = Geometric(0.5, 2), contraction(3, 0.6)
        with torch.no_grad():
            _, sample = Roulette(law, "orthogonal", n_probes).value_and_log_det(
                LinearBranch(a), points(200_000, 3), seeded(2)
            )
        found = roulette_variance(log_det_remainders(a[None], 100), law, "orthogonal", n_probes)
        self.assert_close(sample, found.total.item())

    @pytest.mark.parametrize("exact_traces", [0, 1, 2])
    @pytest.mark.parametrize("probe", PROBES)
    def test_the_truncated_series(self, probe, exact_traces):
        log_det = Truncated(3, probe, exact_traces=exact_traces)
        with torch.no_grad():
            _, sample = log_det.value_and_log_det(LinearBranch(), points(200_000, 2), seeded(3))
        expected = truncated_variance(KNOWN_A[None], 3, probe, exact_traces=exact_traces).item()
        self.assert_close(sample, expected)

    @pytest.mark.thorough
    @pytest.mark.parametrize("exact_traces", [0, 1, 2])
    @pytest.mark.parametrize(("gradient", "make"), [("neumann", neumann_remainders), ("plain", plain_remainders)])
    def test_the_gradients(self, gradient, make, exact_traces):
        # d / dA_01 of each sample's estimate, which is a function of that sample's own copy of A.
        law, n = Geometric(0.5, 2), 200_000

        class Copies(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.a = torch.nn.Parameter(KNOWN_A.repeat(n, 1, 1))

            def near(self, x):
                return CopiesNear((self.a @ x[..., None])[..., 0], self.a)

        class CopiesNear(NamedTuple):
            value: torch.Tensor
            a: torch.Tensor

            def pullback(self, w):
                return (w[..., None, :] @ self.a)[..., 0, :]

            def trace(self):
                return None

            def jacobian(self):
                return self.a

        branch = Copies()
        estimator = Roulette(law, "gaussian", gradient=gradient, exact_traces=exact_traces)
        _, estimate = estimator.value_and_log_det(branch, points(n, 2), seeded(4))
        (sample,) = torch.autograd.grad(estimate.sum(), branch.a)
        b = one([[0.0, 1.0], [0.0, 0.0]])
        remainders = make(KNOWN_A[None], b, 200)
        truth = torch.linalg.inv(torch.eye(2) + KNOWN_A)[1, 0].item()
        assert remainders.trace[0].item() == pytest.approx(truth, abs=1e-12)
        remainders = remainders.beyond(QUANTITIES[gradient].first(exact_traces))
        self.assert_close(sample[:, 0, 1], roulette_variance(remainders, law).total.item())

    @pytest.mark.parametrize("shared", [False, True])
    @pytest.mark.parametrize("batch", [1, 4, 64])
    def test_the_mean_over_a_batch(self, batch, shared):
        # The variance about the mean of the same points, so that the points themselves add none.
        law, n = Geometric(0.5, 1), 200_000
        matrices = 0.5 * torch.randn(5, 2, 2, generator=seeded(5), dtype=torch.float64)
        matrices *= 0.5 / spectral_radius(matrices)[:, None, None]
        rng = np.random.default_rng(0)
        k = np.arange(1, 40)
        survival = law.survival(torch.as_tensor(k)).numpy()
        repetitions = n // max(batch // 4, 1)
        which = rng.integers(5, size=(repetitions, batch))
        v = rng.standard_normal((repetitions, batch, 2))
        draws = (rng.random((repetitions, 1 if shared else batch))[..., None] < survival).sum(-1)
        powers = np.stack([[np.linalg.matrix_power(m, int(i)) for i in k] for m in matrices.numpy()])
        terms = -((-1.0) ** k) / k / survival
        sums = np.cumsum(np.concatenate([0 * powers[:, :1], terms[:, None, None] * powers], 1), 1)
        chosen = sums[which, np.broadcast_to(draws, which.shape)]
        values = np.einsum("rbi,rbij,rbj->rb", v, chosen, v).mean(1)
        truth = np.linalg.slogdet(np.eye(2) + matrices.numpy())[1][which].mean(1)
        pooled = log_det_remainders(matrices, 300).pooled()
        self.assert_close(torch.as_tensor(values - truth), batch_variance(pooled, law, batch, shared).item())


class TestFiniteness:
    def test_it_is_finite_up_to_the_tail_ratio(self):
        law = Geometric(0.5, 3)
        a = torch.diag_embed(torch.tensor([[0.70, 0.1], [0.71, 0.1], [0.5**0.5, 0.1], [0.0, 0.0]], dtype=torch.float64))
        total = roulette_variance(log_det_remainders(a, 2000), law).total
        assert total[0].isfinite() and total[1].isinf() and total[2].isnan() and total[3] == 0
        margin = finiteness(law, spectral_radius(a))
        assert margin[:2].tolist() == pytest.approx([0.5 - 0.49, 0.5 - 0.5041]) and margin[3].isinf()

    def test_sums_grow_exactly_where_it_is_infinite(self):
        # The terms w_n E T_{n+1}^2 of random matrices, late in the series, have grown or died away.
        law = Geometric(0.5, 1)
        a = 0.5 * torch.randn(300, 2, 2, generator=seeded(2), dtype=torch.float64)
        radius = spectral_radius(a)
        a = a[(radius < 0.95) & ((radius**2 - 0.5).abs() > 0.05)]
        remainders = log_det_remainders(a, 900)
        n = 500
        term = second_moments(remainders, "rademacher")[n - 20 : n].amax(0) * 2.0**n
        infinite = roulette_variance(remainders, law, "rademacher").total.isinf()
        assert torch.equal(infinite, term > 1e-3)
        assert min(infinite.sum(), (~infinite).sum()) > 30

    @pytest.mark.parametrize(("make", "entry", "finite"), [
        (neumann_remainders, (1, 1), True), (neumann_remainders, (1, 0), True), (neumann_remainders, (0, 1), False),
        (plain_remainders, (1, 1), True), (plain_remainders, (1, 0), False), (plain_remainders, (0, 1), False),
    ])  # fmt: skip
    def test_a_gradient_may_be_blind_to_the_leading_eigenvalue(self, make, entry, finite):
        law, b = Geometric(0.5, 2), torch.zeros(2, 2, dtype=torch.float64)
        b[entry] = 1
        turn = torch.linalg.qr(torch.randn(2, 2, generator=seeded(0), dtype=torch.float64))[0]
        a = torch.diag(torch.tensor([-0.9, 0.1], dtype=torch.float64))
        for u in (torch.eye(2, dtype=torch.float64), turn):
            found = roulette_variance(make(one(u @ a @ u.T), one(u @ b @ u.T), 200), law).total
            assert found.isfinite().item() == finite
        assert make(one(a), one(0 * b), 10).radius == 0

    def test_a_series_that_does_not_converge_is_refused(self):
        for make in (log_det_remainders, lambda a, n: neumann_remainders(a, a, n)):
            with pytest.raises(ValueError, match=r"spectral radius 1.1; .* Use matrices with smaller entries"):
                make(one([[1.1, 0.0], [0.0, 0.2]]), 10)

    @pytest.mark.parametrize("exact_traces", [0, 1])
    def test_exact_traces_do_not_make_it_finite(self, exact_traces):
        a = torch.diag_embed(torch.tensor([[0.70, 0.1], [0.71, 0.1]], dtype=torch.float64))
        total = roulette_variance(log_det_remainders(a, 2000, exact_traces), Geometric(0.5, 3)).total
        assert total[0].isfinite() and total[1].isinf()

    @pytest.mark.parametrize("exact_traces", [0, 1])
    def test_poisson_is_infinite_unless_nilpotent(self, exact_traces):
        law = Poisson(2.0, 2)
        a = torch.stack([KNOWN_A, 0.01 * KNOWN_A, torch.tensor(KINDS["nilpotent"], dtype=torch.float64)])
        total = roulette_variance(log_det_remainders(a, 64, exact_traces), law).total
        assert total.isinf().tolist() == [True, True, False]
        assert finiteness(law, spectral_radius(a))[2] == torch.inf

    def test_the_fourth_moment_needs_more(self):
        law = Geometric(0.5, 3)
        margin = fourth_moment_margin(law, torch.tensor([0.594, 0.596, 0.0], dtype=torch.float64))
        assert margin[0] > 0 > margin[1] and margin[2] == torch.inf

    @pytest.mark.parametrize("radius", [0.69, 0.7, 0.705, 0.7065])
    def test_what_few_terms_lack_is_bounded(self, radius):
        law = Geometric(0.5, 3)
        for a in ([[radius, 0.4], [0.0, radius]], [[radius, 0.0], [0.3, -0.2]], [[0.0, -radius], [radius, 0.0]]):
            few, many = (roulette_variance(log_det_remainders(one(a), n), law) for n in (80, 4000))
            missing = (many.roulette - few.roulette).item()
            assert 0 < missing < few.rest.item() < 1e4 * missing

    @pytest.mark.parametrize(
        ("law", "share", "terms"),
        [
            [*row.values()]
            for row in covering(
                {
                    "law": [Geometric(0.05, 3), Geometric(0.5, 20), Custom((1.0,) * 49 + (0.95,))],
                    "share": [0.8, 0.99],
                    "terms": [40, 128],
                }
            )
        ],
        ids=str,
    )
    def test_what_every_remainder_lacks_is_bounded(self, terms, share, law):
        # With a slow law it is the R_n, cut off at `terms`, that lack most.
        r = share * law.tail_ratio**0.5
        a = torch.tensor([[[-r, 0.0], [0.0, 0.1]], [[-r, 3.0], [0.0, -r]], [[r, 0.0], [0.0, 0.0]]], dtype=torch.float64)
        remainders = [log_det_remainders(a, n) for n in (terms, 3000)]
        for pool in (lambda r: r, lambda r: r.pooled(), lambda r: r.pooled(lambda t: t.sum(-1)), lambda r: r + r):
            pools = [pool(r) for r in remainders]
            for probe in PROBES:
                few, many = (roulette_variance(pooled, law, probe) for pooled in pools)
                missing, total = many.roulette - few.roulette, many.roulette
                assert (missing <= few.rest + 1e-12 * total).all()

    @pytest.mark.parametrize("share", [0.99, 0.999, 0.9999])
    def test_terms_that_only_a_survival_below_1e_290_weighs_are_bounded(self, share):
        # A = -r e_1 e_1' has R_n = -r^n g_n e_1 e_1', so that E T_n^2 = 3 r^2n g_n^2 for one Gaussian probe.
        law = Geometric(0.95, 3)
        q, r = law.tail_ratio, (share * law.tail_ratio) ** 0.5
        n = np.arange(3, 300_000)
        g = sum(r**j / (n + 1 + j) for j in range(60))
        exact = (3 * (1 / q - 1) * q**3 * r**2 * share**n * g**2).sum()
        found = roulette_variance(log_det_remainders(one([[-r, 0.0], [0.0, 0.0]]), 4096), law)
        missing = exact - found.roulette.item()
        assert 0 < missing < found.rest.item() < 1e4 * missing

    @pytest.mark.parametrize("n_draws", [1, 4])
    @pytest.mark.parametrize("radius", [0.66, 0.69, 0.7])
    def test_the_true_noise_of_several_draws_lies_within_the_bound(self, radius, n_draws):
        # A = -r e_1 e_1' has R_n = -r^n g_n e_1 e_1' with g_n = sum_j r^j / (n + j), so that E T_n^2 = 3 r^2n g_n^2 for
        # one Gaussian probe. From n = 3 on w_n = (1 / q - 1) q^(3 - n). Draws of N are independent.
        law, q = Geometric(0.5, 3), 0.5
        n = np.arange(3, 4_000)
        g = sum(radius**j / (n + 1 + j) for j in range(200))
        one_draw = (3 * (1 / q - 1) * q**3 * radius**2 * (radius**2 / q) ** n * g**2).sum()
        remainders = log_det_remainders(one([[-radius, 0.0], [0.0, 0.0]]), 80)
        found = roulette_variance(remainders, law, n_draws=n_draws)
        missing = one_draw / n_draws - found.roulette.item()
        assert 0.01 * found.rest.item() < missing < found.rest.item()
        assert found.rest.item() == pytest.approx(roulette_variance(remainders, law).rest.item() / n_draws, rel=1e-12)


class TestPools:
    def test_the_mean_over_points_and_the_sum_over_blocks(self):
        law = Geometric(0.5, 2)
        blocks = [0.4 * torch.randn(30, 2, 2, generator=seeded(s), dtype=torch.float64) for s in (0, 1)]
        blocks = [b * (0.5 / spectral_radius(b))[:, None, None] for b in blocks]
        each = [log_det_remainders(b, 100) for b in blocks]
        whole = each[0].pooled() + each[1].pooled()
        expected = sum(roulette_variance(r, law).total.mean() for r in each)
        assert roulette_variance(whole, law).total.item() == pytest.approx(expected.item(), rel=1e-12)
        bias = sum(truncation_bias(r, 4).mean() for r in each)
        assert truncation_bias(whole, 4).item() == pytest.approx(bias.item(), rel=1e-12)
        own, common = (batch_variance(whole, law, 10**9, shared).item() for shared in (False, True))
        weights = 1 / law.survival(torch.arange(1, 101)) - 1 / law.survival(torch.arange(100))
        left = sum((weights * r.trace[1:].mean(1) ** 2).sum() for r in each)
        assert own < 1e-8 and common == pytest.approx(left.item(), rel=1e-5)
        alone = [batch_variance(whole, law, 1, shared).item() for shared in (False, True)]
        assert alone[0] == pytest.approx(alone[1], rel=1e-12)
        assert batch_variance(whole, law, 10**9, True, n_draws=4).item() == pytest.approx(left.item() / 4, rel=1e-5)

    def test_one_infinite_point_makes_the_mean_infinite(self):
        a = torch.stack([KNOWN_A, 0.9 * torch.eye(2, dtype=torch.float64)])
        pooled = log_det_remainders(a, 100).pooled()
        assert roulette_variance(pooled, Geometric(0.5, 3)).total.isinf()
        assert batch_variance(pooled, Geometric(0.5, 3), 100, shared=True).isinf()

    def test_one_infinite_block_makes_the_sum_infinite(self):
        tame, wild = (log_det_remainders(one(a), 100).pooled() for a in (KNOWN_A, 0.9 * torch.eye(2)))
        for whole in (tame + wild, wild + tame):
            assert roulette_variance(whole, Geometric(0.5, 3)).total.isinf()

    def test_mean_squares_of_the_norms_pool_as_their_bounds(self):
        each = log_det_remainders(torch.stack([KNOWN_A, 0.5 * KNOWN_A]), 100)
        square = each.bound**2
        assert each.pooled().bound ** 2 == pytest.approx(square.mean().item())
        assert each.pooled(lambda t: t.sum(-1)).bound ** 2 == pytest.approx(square.sum().item())
        torch.testing.assert_close((each + each).bound ** 2, 2 * square)


class TestTruncation:
    @pytest.mark.parametrize("n", [1, 5, 20])
    def test_the_bias_is_the_mean_less_the_truth_and_within_its_bound(self, n):
        for norm in (0.3, 0.9):
            a = torch.stack([contraction(2, norm, seed) for seed in range(20)])
            series = sum(
                -((-1) ** k) / k * np.trace(np.linalg.matrix_power(a.numpy(), k), axis1=1, axis2=2)
                for k in range(1, n + 1)
            )
            truth = np.linalg.slogdet(np.eye(2) + a.numpy())[1]
            bias = truncation_bias(log_det_remainders(a, 500), n)
            np.testing.assert_allclose(bias, series - truth, atol=1e-13)
            bound = truncation_bound(norm, n)
            assert bias.abs().max() <= bound
            assert bound == pytest.approx(-2 * (np.log(1 - norm) + sum(norm**k / k for k in range(1, n + 1))), rel=1e-6)

    @pytest.mark.parametrize("quantity", ["neumann", "plain"])
    def test_the_gradients_bias_is_the_derivative_of_the_log_dets(self, quantity):
        # Both ways to differentiate have one mean, whose difference quotient is known.
        b, h = torch.tensor([[0.3, -0.7], [0.2, 0.5]], dtype=torch.float64), 1e-6
        for n in (1, 2, 5):
            sides = [truncation_bias(log_det_remainders(one(KNOWN_A + s * h * b), 200), n) for s in (1, -1)]
            found = truncation_bias(QUANTITIES[quantity].remainders(one(KNOWN_A), one(b), 200), n, quantity)
            assert found.item() == pytest.approx(((sides[0] - sides[1]) / (2 * h)).item(), abs=1e-9)

    @pytest.mark.parametrize("quantity", ["neumann", "plain"])
    def test_the_truncated_gradients_variance_is_the_estimators(self, quantity):
        # Every sign vector: the mean over all of them and their variance are exact.
        b, signs = torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=torch.float64), all_signs(2)
        for n in (1, 2, 4):
            samples = []
            for v in signs:
                a = KNOWN_A.clone().requires_grad_()
                if quantity == "plain":
                    power, value = v, 0
                    for k in range(1, n + 1):
                        power = power @ a
                        value = value - (-1) ** k / k * (power @ v)
                else:
                    power, pulled = v, 0
                    for k in range(n):
                        pulled = pulled + (-1) ** k * power.detach()
                        power = power @ a
                    value = pulled @ a @ v
                (gradient,) = torch.autograd.grad(value, a)
                samples.append((gradient * b).sum())
            expected = torch.stack(samples).var(correction=0).item()
            found = truncated_variance(one(KNOWN_A), n, "rademacher", 1, quantity, one(b)).item()
            assert found == pytest.approx(expected, abs=1e-14)
        with pytest.raises(ValueError, match="needs the derivative"):
            truncated_variance(one(KNOWN_A), 3, quantity=quantity)

    def test_the_bound_is_reached_by_a_multiple_of_minus_the_identity(self):
        bias = truncation_bias(log_det_remainders(-0.8 * torch.eye(2)[None], 500), 5)
        assert bias.item() == pytest.approx(truncation_bound(0.8, 5))
        assert truncation_bound(1.0, 5) == np.inf

    @pytest.mark.parametrize("norm", [0.0, 0.99, 0.999, 0.9999])
    def test_the_bound_holds_up_to_one(self, norm):
        for n in (1, 30):
            with mpmath.workdps(30):
                exact = -2 * (
                    mpmath.log(1 - mpmath.mpf(norm)) + sum(mpmath.mpf(norm) ** k / k for k in range(1, n + 1))
                )
            assert float(exact) * (1 - 1e-12) <= truncation_bound(norm, n) <= 1.2 * float(exact)


class TestTerms:
    @pytest.mark.parametrize("radius", [0.0, 0.1, 0.6, 0.9])
    @pytest.mark.parametrize("law", [Geometric(0.5, 20), Geometric(0.05, 20), Poisson(), Custom((1.0,) * 49 + (0.9,))])
    def test_nothing_is_missing_after_them(self, law, radius):
        n, q = terms_for(radius, law.tail_ratio), law.tail_ratio
        assert radius ** (n + 1) < 1e-19 and (radius**2 >= q or (radius**2 / q) ** (n + 1) < 1e-19)
        ratio = law.survival(torch.tensor([n, n + 1]))
        assert isinstance(law, Poisson) or (ratio[1] / ratio[0]).item() == pytest.approx(q)


class TestOptimal:
    @pytest.mark.thorough
    @pytest.mark.parametrize(
        ("kind", "probe"),
        [
            *(("known", probe) for probe in ("gaussian", "rademacher", "sphere")),
            ("symmetric", "rademacher"),
            ("defective", "sphere"),
            ("near the limit", "gaussian"),
        ],
    )
    @pytest.mark.slow
    def test_no_other_law_is_better(self, kind, probe):
        a = KINDS[kind]
        remainders = log_det_remainders(one(a), 600).pooled()

        def product(law):
            return (roulette_variance(remainders, law, probe).total * expected_terms(law)).item()

        best = optimal_law(remainders, probe)
        value = product(best)
        assert best.table[0] == 1 and (np.diff(best.table) <= 0).all()
        assert all(value <= product(Geometric(p, n)) * (1 + 1e-9) for p in (0.2, 0.3, 0.4, 0.5) for n in range(1, 9))

        def of_steps(steps):  # any decreasing table that starts with 1
            table = np.concatenate([[1.0], np.exp(-np.cumsum(np.square(steps)))])
            return product(Optimal(tuple(np.maximum(table, 1e-8).tolist()), best.ratio))

        start = np.sqrt(-np.diff(np.log(np.maximum(best.table[:10], 1e-8))))
        found = optimize.minimize(
            of_steps, start + 0.1, method="Nelder-Mead", options={"maxiter": 1500, "fatol": 1e-12}
        )
        assert value <= found.fun * (1 + 1e-4)

    @pytest.mark.parametrize(
        ("a", "probe", "n_probes"),
        [
            ([[0.5, 0.0], [0.0, -0.3]], "rademacher", 1),
            ([[0.3, -0.4], [0.4, 0.3]], "rademacher", 1),
            ([[0.3, -0.4], [0.4, 0.3]], "sphere", 1),
            (KNOWN_A.tolist(), "orthogonal", 2),
            (KINDS["zero"], "gaussian", 1),
        ],
    )
    def test_without_noise_there_is_none(self, a, probe, n_probes):
        with pytest.raises(NoOptimum, match="Use the exact log det"):
            optimal_law(log_det_remainders(one(a), 100).pooled(), probe, n_probes)

    @pytest.mark.parametrize("quantity", QUANTITIES)
    def test_stopping_before_the_first_term_pays_for_the_neumann_series_alone(self, quantity):
        b = one([[0.0, 1.0], [0.0, 0.0]])
        remainders = QUANTITIES[quantity].remainders(one(KNOWN_A), b, 300).pooled()
        best = optimal_law(remainders)
        scaled = [Optimal(tuple(c * s for s in best.table), best.ratio) for c in (1.0, 0.9, 0.5)]
        products = [(roulette_variance(remainders, law).total * expected_terms(law)).item() for law in scaled]
        assert (np.diff(products) < 0).all() if quantity == "neumann" else (np.diff(products) > 0).all()

    @pytest.mark.parametrize("probe", ["gaussian", "rademacher"])
    def test_a_tail_that_is_rarer_or_more_frequent_is_worse(self, probe):
        remainders = log_det_remainders(one(KNOWN_A), 300).pooled()
        best = optimal_law(remainders, probe)

        def product(c):
            law = Optimal((1.0, *(min(1.0, c * s) for s in best.table[1:])), best.ratio)
            return (roulette_variance(remainders, law, probe).total * expected_terms(law)).item()

        assert product(1.0) < min(product(c) for c in (0.8, 0.95, 1.05, 1.25))

    def test_it_can_be_trained_with(self):
        remainders = log_det_remainders(KNOWN_A[None], 300).pooled()
        best = optimal_law(remainders)
        near = as_custom(best)
        products = [(roulette_variance(remainders, law).total * expected_terms(law)).item() for law in (best, near)]
        assert products[0] <= products[1] < 1.01 * products[0]

    @pytest.mark.parametrize("radius", [1e-9, 0.3, 0.94, 0.96, 0.97])
    def test_the_nearest_to_it_is_a_law_with_a_finite_variance(self, radius):
        remainders = log_det_remainders(one([[radius, 0.2], [0.0, -0.1 * radius]]), 2048).pooled()
        best = optimal_law(remainders)
        near = as_custom(best)
        assert roulette_variance(remainders, near).total.isfinite()
        table = torch.arange(1, len(near.table))
        torch.testing.assert_close(near.survival(table), best.survival(table))

    @pytest.mark.parametrize("radius", [0.975, 0.99])
    def test_none_is_near_where_it_would_fall_too_fast(self, radius):
        assert as_custom(optimal_law(log_det_remainders(one([[radius, 0.2], [0.0, 0.1]]), 2048).pooled())) is None

    def test_its_survival_goes_on(self):
        law = Optimal((1.0, 0.4), 0.5)
        assert law.survival(torch.arange(5)).tolist() == [1, 1, 0.4, 0.2, 0.1]
        assert law.tail_ratio == 0.5 and expected_terms(law) == pytest.approx(1.8)


class TestQuadratic:
    @pytest.mark.parametrize("dim", [1, 2, 3, 6])
    def test_rademachers_variance_is_that_over_all_signs(self, dim):
        r = torch.randn(dim, dim, generator=seeded(dim), dtype=torch.float64)
        forms = torch.einsum("vi,ij,vj->v", all_signs(dim), r, all_signs(dim))
        found = form_of("rademacher").variance(Quadratic.of(r), 1)
        assert found.item() == pytest.approx(forms.var(correction=0).item(), abs=1e-13)

    @pytest.mark.parametrize("probe", ["sphere", "orthogonal", "rademacher"])
    def test_what_a_probe_knows_makes_no_noise(self, probe):
        r = torch.tensor([[0.7, 0.2], [-0.2, 0.7]], dtype=torch.float64)
        assert form_of(probe).variance(Quadratic.of(r), 1) == 0
        assert form_of("orthogonal").variance(Quadratic.of(KNOWN_A), 4) == 0


class TestParameters:
    @pytest.mark.parametrize("activation", ["lipswish", "sine"])
    def test_each_parameters_derivative_is_a_difference_quotient(self, activation):
        assert activation in ACTIVATIONS
        branch = Branch([2, 4, 2], activation, 0.9, seeded(0)).double()
        x = points(3, 2)
        found = jacobian_derivatives(branch, x)
        numbers = [(p, i) for p in branch.parameters() for i in range(p.numel())]
        assert found.shape == (3, len(numbers), 2, 2)
        h = 1e-6
        for column, (p, i) in enumerate(numbers):
            sides = []
            for sign in (1, -1):
                with torch.no_grad():
                    p.view(-1)[i] += sign * h
                    sides.append(branch.value_and_jacobian(x)[1].clone())
                    p.view(-1)[i] -= sign * h
            torch.testing.assert_close(found[:, column], (sides[0] - sides[1]) / (2 * h), rtol=1e-5, atol=1e-8)

    @pytest.mark.parametrize("gradient", ["neumann", "plain"])
    @pytest.mark.thorough
    def test_the_whole_gradients_variance_is_the_estimators(self, gradient):
        # 500 gradients at one point, each of a copy of it; a variance that is off by a fifth shows.
        branch, law = Branch([2, 3, 2], "sine", 0.6, seeded(0)).double(), Geometric(0.5, 1)
        x, roulette = points(1, 2), Roulette(law, "rademacher", gradient=gradient)
        _, estimates = roulette.value_and_log_det(branch, x.expand(500, 2), seeded(1))
        gradients = torch.autograd.grad(
            estimates, list(branch.parameters()), torch.eye(500).double(), allow_unused=True, is_grads_batched=True
        )
        samples = torch.cat([g.flatten(1) for g in gradients if g is not None], 1)
        square = (samples - samples.mean(0)).square().sum(1)
        remainders = parameter_remainders(branch, x, 100, gradient)
        expected = roulette_variance(remainders, law, "rademacher").total
        assert expected.shape == (1,)
        error = square.std() / len(square) ** 0.5
        assert abs(square.mean() - expected.item()) < 5 * error
        assert error < 0.04 * expected.item()

    def test_their_variances_add_up_over_a_block(self):
        a, b = KNOWN_A.expand(6, 2, 2), torch.randn(6, 2, 2, generator=seeded(0), dtype=torch.float64)
        law = Geometric(0.5, 2)
        each = neumann_remainders(a, b, 100)
        total = roulette_variance(each.pooled(lambda t: t.sum(-1)), law).total
        assert total.item() == pytest.approx(roulette_variance(each, law).total.sum().item(), rel=1e-12)


def test_all_ways_to_differentiate_are_covered():
    assert set(GRADIENTS) == {"plain", "neumann", "plain_in_forward", "in_forward"}
