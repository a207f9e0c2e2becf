"""Closed-form moments against sums over every N by NumPy, and against the estimators."""

import itertools

import numpy as np
import pytest
import torch

from resflow_core.estimators.moments import (
    QUANTITIES,
    NoOptimum,
    Optimal,
    as_custom,
    batch_variance,
    finiteness,
    fourth_moment_margin,
    log_det_remainders,
    neumann_remainders,
    optimal_law,
    parameter_remainders,
    plain_remainders,
    roulette_variance,
    spectral_radius,
    terms_for,
    truncated_variance,
    truncation_bias,
    truncation_bound,
)
from resflow_core.gradients import GRADIENTS
from resflow_core.log_det import Roulette, Truncated, truncated_coefficients
from resflow_core.probes import PROBES, Quadratic
from resflow_core.residual import Branch
from resflow_core.roulette import Custom, Geometric, Poisson, expected_terms
from tests.core.oracles import KNOWN_A, LinearBranch, all_signs, contraction, points, seeded
from tests.covering import covering

DRAWS = 50_000
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


DESIGN = covering(
    {
        "kind": [*KINDS, 1, 3, 5],
        "law": LAWS,
        "probe": [*PROBES],
        "exact_traces": [0, 1, 2],
        "quantity": ["log_det", "neumann", "plain"],
    }
)


def one(a):
    return torch.as_tensor(a, dtype=torch.float64)[None]


def remainders_of(a, law, exact_traces=0):
    return log_det_remainders(one(a), terms_for(float(spectral_radius(one(a))), law.tail_ratio), exact_traces)


def summand(quantity, a, b, k):
    """M_k, k = 0, 1, ...: sum_j A^j B A^(k-1-j) is a corner of a power of [[A, B], [0, A]]."""
    if quantity == "neumann":
        return (-1.0) ** k * np.linalg.matrix_power(a, k) @ b
    if k == 0:
        return 0 * a
    power = np.linalg.matrix_power(a, k)
    if quantity == "plain":
        block = np.block([[a, b], [0 * a, a]])
        power = np.linalg.matrix_power(block, k)[: len(a), len(a) :]
    return -((-1.0) ** k) / k * power


def summed_over_n(quantity, a, b, law, probe, exact_traces, terms=400):
    """The variance of one estimate: over N, and over the probe for each N, by the design's formulas."""
    survival, d = law.survival(torch.arange(terms + 2)).numpy(), len(a)
    m = np.stack([summand(quantity, a, b, k) for k in range(terms + 1)])
    m[: exact_traces + (quantity != "neumann")] = 0
    s = np.cumsum(m / survival[:-1, None, None], 0)
    s = (s + s.transpose(0, 2, 1)) / 2
    trace, square = np.trace(s, axis1=1, axis2=2), (s**2).sum((1, 2))
    noise = {
        "gaussian": 2 * square,
        "rademacher": 2 * (square - (np.diagonal(s, axis1=1, axis2=2) ** 2).sum(1)),
        "sphere": 2 * d / (d + 2) * (square - trace**2 / d),
    }[probe.replace("orthogonal", "sphere")]
    return (-np.diff(survival) * (noise + trace**2)).sum() - np.trace(m.sum(0)) ** 2


class TestVariance:
    @pytest.mark.parametrize(("law", "gaussian", "rademacher"), [
        (Geometric(0.5, 3), 0.3917271732, 0.0014856049), (Geometric(0.5, 2), 0.39237496, 0.00164999),
    ])  # fmt: skip
    def test_known_answers(self, law, gaussian, rademacher):
        remainders = remainders_of(KNOWN_A, law)
        found = [roulette_variance(remainders, law, p).total.item() for p in ("gaussian", "rademacher")]
        assert found == pytest.approx([gaussian, rademacher], abs=5e-9)

    @pytest.mark.parametrize("row", DESIGN, ids=lambda row: " ".join(map(str, row.values())))
    def test_it_is_the_sum_over_every_n(self, row):
        """Of the log det and of gradients, of matrices of all kinds, and of some in another dimension."""
        kind, law, probe, exact_traces, quantity = row.values()
        a = torch.tensor(KINDS[kind]).double() if kind in KINDS else contraction(kind, 0.6, seed=kind)
        b = points(len(a), len(a), seed=7)
        if quantity == "log_det":
            remainders = remainders_of(a, law, exact_traces)
        else:
            terms = terms_for(float(spectral_radius(one(a))), law.tail_ratio)
            remainders = QUANTITIES[quantity].remainders(one(a), one(b), terms)
            remainders = remainders.beyond(QUANTITIES[quantity].first(exact_traces))
        found = roulette_variance(remainders, law, probe)
        expected = summed_over_n(quantity, a.numpy(), b.numpy(), law, probe, exact_traces)
        assert found.total.item() == pytest.approx(expected, rel=1e-7, abs=1e-12 * float(a.square().sum()))
        if kind in KINDS and quantity == "log_det":
            assert found.rest.item() <= 1e-8 * max(expected, 1e-20)


class TestMonteCarlo:
    """Sample means and variances within 5 standard errors of their own, from 50,000 estimates; rho^4 < q^3 throughout.

    Power: a part that is off by 10 % of the whole shows.
    """

    def assert_close(self, sample, expected, mean):
        n, deviation = len(sample), sample - sample.mean()
        assert abs(sample.mean() - mean) < 5 * (expected / n) ** 0.5 + 1e-12
        variance = deviation.square().mean()
        error = ((deviation**4).mean() - variance**2).clamp(min=0).sqrt() / n**0.5
        assert abs(variance - expected) < 5 * error + 1e-12
        assert error < 0.04 * expected + 1e-9

    @pytest.mark.parametrize(
        ("probe", "n_probes", "n_draws", "exact_traces", "dim"),
        [
            ("gaussian", 1, 3, 0, 2),
            ("gaussian", 4, 1, 1, 2),
            ("rademacher", 2, 3, 2, 2),
            ("sphere", 1, 1, 0, 2),
            ("orthogonal", 4, 1, 0, 3),
        ],
    )
    def test_the_estimators_variance(self, probe, n_probes, n_draws, exact_traces, dim):
        law, a = Geometric(0.6, 1), {2: KNOWN_A, 3: contraction(3, 0.5)}[dim]
        estimator = Roulette(law, probe, n_probes, n_draws=n_draws, exact_traces=exact_traces)
        with torch.no_grad():
            _, sample = estimator.value_and_log_det(LinearBranch(a), points(DRAWS, dim), seeded(1))
        found = roulette_variance(remainders_of(a, law, exact_traces), law, probe, n_probes, n_draws)
        self.assert_close(sample, found.total.item(), np.linalg.slogdet(np.eye(dim) + a.numpy())[1])

    @pytest.mark.parametrize(("probe", "exact_traces"), zip(PROBES, (0, 1, 2, 0), strict=True))
    def test_the_truncated_series(self, probe, exact_traces):
        log_det = Truncated(3, probe, exact_traces=exact_traces)
        with torch.no_grad():
            _, sample = log_det.value_and_log_det(LinearBranch(), points(DRAWS, 2), seeded(3))
        expected = truncated_variance(KNOWN_A[None], 3, probe, exact_traces=exact_traces).item()
        self.assert_close(sample, expected, 0.65 - 0.0925 / 2 + (KNOWN_A @ KNOWN_A @ KNOWN_A).trace().item() / 3)


class TestFiniteness:
    def test_it_is_finite_up_to_the_tail_ratio(self):
        law = Geometric(0.5, 3)
        a = torch.diag_embed(torch.tensor([[0.70, 0.1], [0.71, 0.1], [0.5**0.5, 0.1], [0.0, 0.0]], dtype=torch.float64))
        total = roulette_variance(log_det_remainders(a, 2000), law).total
        assert total[0].isfinite() and total[1].isinf() and total[2].isnan() and total[3] == 0
        margin = finiteness(law, spectral_radius(a))
        assert margin[:2].tolist() == pytest.approx([0.5 - 0.49, 0.5 - 0.5041]) and margin[3].isinf()

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

    @pytest.mark.parametrize("radius", [0.69, 0.7065])
    def test_what_few_terms_lack_is_bounded(self, radius):
        law = Geometric(0.5, 3)
        for a in ([[radius, 0.4], [0.0, radius]], [[radius, 0.0], [0.3, -0.2]], [[0.0, -radius], [radius, 0.0]]):
            few, many = (roulette_variance(log_det_remainders(one(a), n), law) for n in (80, 4000))
            missing = (many.roulette - few.roulette).item()
            assert 0 < missing < few.rest.item() < 1e4 * missing


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
        """Over every sign vector, so that the variance is exact."""
        b, signs = torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=torch.float64), all_signs(2)
        for n in (1, 2, 4):
            samples = []
            for v in signs:
                branch, x = LinearBranch(), torch.zeros(1, 2, dtype=torch.float64)
                _, value = GRADIENTS[quantity].estimate(branch, x, v[None, None], truncated_coefficients(n))
                samples.append((torch.autograd.grad(value, branch.a)[0] * b).sum())
            expected = torch.stack(samples).var(correction=0).item()
            found = truncated_variance(one(KNOWN_A), n, "rademacher", 1, quantity, one(b)).item()
            assert found == pytest.approx(expected, abs=1e-14)
        with pytest.raises(ValueError, match="needs the derivative"):
            truncated_variance(one(KNOWN_A), 3, quantity=quantity)

    def test_the_bound_is_reached_by_a_multiple_of_minus_the_identity(self):
        bias = truncation_bias(log_det_remainders(-0.8 * torch.eye(2)[None], 500), 5)
        assert bias.item() == pytest.approx(truncation_bound(0.8, 5))
        assert truncation_bound(1.0, 5) == np.inf


class TestOptimal:
    @pytest.mark.parametrize(
        ("kind", "probe"),
        [("known", "gaussian"), ("known", "rademacher"), ("symmetric", "rademacher"), ("defective", "sphere")],
    )
    def test_no_other_law_is_better(self, kind, probe):
        """Neither a geometric one, nor a table that differs from the best in one number by a tenth."""
        remainders = log_det_remainders(one(KINDS[kind]), 300).pooled()

        def product(law):
            return (roulette_variance(remainders, law, probe).total * expected_terms(law)).item()

        best = optimal_law(remainders, probe)
        value = product(best)
        assert best.table[0] == 1 and (np.diff(best.table) <= 0).all()
        assert all(value <= product(Geometric(p, n)) * (1 + 1e-9) for p in (0.2, 0.3, 0.4, 0.5) for n in range(1, 9))
        for k, factor in itertools.product(range(1, 6), (0.9, 1.1)):
            table = np.array(best.table)
            table[k:] *= factor
            if (np.diff(table) <= 0).all():
                assert value <= product(Optimal(tuple(table.tolist()), best.ratio)) * (1 + 1e-9), (k, factor)

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

    @pytest.mark.parametrize("radius", [1e-9, 0.3, 0.97])
    def test_the_nearest_to_it_is_a_law_with_a_finite_variance(self, radius):
        remainders = log_det_remainders(one([[radius, 0.2], [0.0, -0.1 * radius]]), 2048).pooled()
        best = optimal_law(remainders)
        near = as_custom(best)
        assert roulette_variance(remainders, near).total.isfinite()
        table = torch.arange(1, len(near.table))
        torch.testing.assert_close(near.survival(table), best.survival(table))

    def test_none_is_near_where_it_would_fall_too_fast(self):
        assert as_custom(optimal_law(log_det_remainders(one([[0.975, 0.2], [0.0, 0.1]]), 2048).pooled())) is None

    def test_its_survival_goes_on(self):
        law = Optimal((1.0, 0.4), 0.5)
        assert law.survival(torch.arange(5)).tolist() == [1, 1, 0.4, 0.2, 0.1]
        assert law.tail_ratio == 0.5 and expected_terms(law) == pytest.approx(1.8)


class TestQuadratic:
    @pytest.mark.parametrize("dim", [1, 3, 6])
    def test_rademachers_variance_is_that_over_all_signs(self, dim):
        r = torch.randn(dim, dim, generator=seeded(dim), dtype=torch.float64)
        forms = torch.einsum("vi,ij,vj->v", all_signs(dim), r, all_signs(dim))
        found = PROBES["rademacher"].variance(Quadratic.of(r), 1)
        assert found.item() == pytest.approx(forms.var(correction=0).item(), abs=1e-13)


class TestParameters:
    @pytest.mark.parametrize("gradient", ["neumann", "plain"])
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
