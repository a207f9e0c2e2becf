"""Closed forms across settings against sums over NumPy's matrix powers and against throws; presets against both."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.engine.training.measurements.jacobians import Jacobians
from app.estimates.settings import ENTRIES, Bench
from app.features.estimator import presets, verdicts
from app.features.estimator.sweeps import (
    BATCHES,
    LAMBDAS,
    LINES,
    MC_THROWS,
    PAPER,
    P,
    across_batches,
    across_lambda,
    across_p,
    across_probes,
    cost,
    crossing,
    exact_terms,
    monte_carlo,
    optimum,
    subject_of,
)
from app.words import number
from resflow_core.probes import PROBES
from resflow_core.roulette import Custom, Geometric, Poisson, expected_terms
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET

A = KNOWN_A.numpy()
KNOWN = Bench(view="settings", matrix=tuple(A.ravel().tolist()))
KINDS = {
    "zero": (0.0, 0.0, 0.0, 0.0),
    "nilpotent": (0.4, -0.4, 0.4, -0.4),
    "nilpotent but for rounding": (0.6, -0.9, 0.4, -0.6),
    "diagonal": (0.3, 0.0, 0.0, -0.4),
    "turn": (0.3, -0.5, 0.5, 0.3),
    "tiny": (1e-7, 0.0, 0.0, 0.0),
    "at the limit": (0.5, -0.5, 0.5, 0.5),
    "near 1": (0.96, 0.0, 0.0, 0.1),
    "largest": (0.99, 1.0, 0.0, 0.99),
}
LAWS = [Geometric(0.5, 0), Geometric(0.95, 20), Poisson(), Custom((0.5, 0.2, 1e-6))]
TERMS = 60  # of KNOWN's remainders are all that float64 can see: 0.41^60 = 1e-23


def summands(a, b, quantity):
    """M_0, M_1, ... by matrix powers alone."""
    powers = [np.linalg.matrix_power(a, k) for k in range(TERMS + 1)]
    for k in range(TERMS):
        a_k = -((-1) ** k) / k if k else 0.0
        if quantity == "log_det":
            yield a_k * powers[k]
        elif quantity == "neumann":
            yield (-1) ** k * powers[k] @ b
        else:
            yield a_k * sum((powers[j] @ b @ powers[k - 1 - j] for j in range(k)), np.zeros((2, 2)))


def one_probes_variance(s, probe):
    """Of v'Sv, from the entries."""
    s = (s + s.T) / 2
    if probe == "gaussian":
        return 2 * (s**2).sum()
    if probe == "rademacher":
        return 4 * s[0, 1] ** 2
    return (s**2).sum() - np.trace(s) ** 2 / 2


def numpys(a, b, quantity, law, probe, n_probes=1, n_draws=1, first_exact=False):
    """(probe, roulette): V(R_0) / K and the sum of (1 / P(N >= n + 1) - 1 / P(N >= n)) E T_{n+1}^2 / M."""
    of = list(summands(a, b, quantity))
    if first_exact:  # of a Neumann series that is M_0, and else M_1
        of[quantity != "neumann"] = np.zeros((2, 2))
    rests = np.cumsum(of[::-1], 0)[::-1]
    survival = law.survival(torch.arange(TERMS + 1)).numpy()
    noise = sum(
        (1 / survival[n + 1] - 1 / survival[n])
        * (one_probes_variance(rests[n + 1], probe) / n_probes + np.trace(rests[n + 1]) ** 2)
        for n in range(TERMS - 1)
    )
    return one_probes_variance(rests[0], probe) / n_probes, noise / n_draws


def flow(jacobians):
    """Jacobians of a flow with its points at (blocks, points, 2, 2)."""
    empty = np.zeros((len(jacobians), 4, 2, 2), np.float32)
    return Jacobians(0, empty, jacobians.astype(np.float32), np.ones((2, 2), np.float32), ((-1, 1), (-1, 1)))


class TestMatrix:
    @pytest.mark.parametrize("quantity", ["log_det", "neumann", "plain"])
    @pytest.mark.parametrize("probe", PROBES)
    @pytest.mark.parametrize("first_exact", [False, True])
    def test_costs_are_numpys(self, probe, quantity, first_exact):
        bench = replace(KNOWN, quantity=quantity, entry="21", first_exact=first_exact)
        subject = subject_of(bench, None)
        for law in (Geometric(0.5, 3), Geometric(0.6, 0), Custom((0.9, 0.7, 0.3))):
            expected = numpys(A, ENTRIES["21"].derivative(2), quantity, law, probe, first_exact=first_exact)
            found = cost(subject, law, probe)
            assert (found.probe, found.roulette) == pytest.approx(expected, rel=1e-9)
            assert found.terms == pytest.approx(expected_terms(law))
            assert found.total == found.probe + found.roulette and found.product == found.total * found.terms

    def test_probes_and_draws_divide_their_parts(self):
        subject = subject_of(KNOWN, None)
        found = cost(subject, Geometric(0.6, 1), "gaussian", 4, 3)
        assert (found.probe, found.roulette) == pytest.approx(
            numpys(A, None, "log_det", Geometric(0.6, 1), "gaussian", 4, 3), rel=1e-9
        )
        assert found.terms > cost(subject, Geometric(0.6, 1), "gaussian", 4, 1).terms

    def test_truth_bias_and_truncated_variance_are_numpys(self):
        subject = subject_of(KNOWN, None)
        assert subject.radius == pytest.approx(np.abs(np.linalg.eigvals(A)).max())
        assert subject.truth == pytest.approx(KNOWN_LOG_DET, abs=1e-9)
        partial = list(np.cumsum(list(summands(A, None, "log_det")), 0))
        for n in (1, 5, 30):
            assert subject.bias(n) == pytest.approx(np.trace(partial[n]) - subject.truth, abs=1e-14)
            expected = one_probes_variance(partial[n], "rademacher") / 3
            assert subject.truncated_variance(n, "rademacher", 3) == pytest.approx(expected, rel=1e-12)

    def test_with_the_first_term_exact_truth_and_bias_are_the_same_and_there_is_less_noise(self):
        whole, exact = (subject_of(replace(KNOWN, first_exact=of), None) for of in (False, True))
        assert (exact.truth, exact.bias(3)) == (whole.truth, whole.bias(3))
        assert subject_of(replace(KNOWN, first_exact=True), None) is exact
        partial = sum(list(summands(A, None, "log_det"))[2:6])
        expected = one_probes_variance(partial, "gaussian")
        assert exact.truncated_variance(5, "gaussian", 1) == pytest.approx(expected, rel=1e-12)
        costs = [cost(subject, Geometric(0.5, 3), "gaussian").total for subject in (whole, exact)]
        found = verdicts.first_term(replace(KNOWN, law=Geometric(0.5, 3), probe="gaussian"), whole)
        assert (found.estimated, found.exact) == tuple(costs)
        assert found.factor == pytest.approx(costs[0] / costs[1]) and found.factor > 10
        same = verdicts.first_term(replace(KNOWN, law=Geometric(0.5, 3), probe="gaussian"), exact)
        assert (same.estimated, same.exact) == (found.estimated, found.exact)

    def test_gradients_are_those_of_the_log_det(self):
        inverse = np.linalg.inv(np.eye(2) + A)
        for name, entry in ENTRIES.items():
            for quantity in ("neumann", "plain"):
                subject = subject_of(replace(KNOWN, quantity=quantity, entry=name), None)
                assert subject.truth == pytest.approx(inverse.T[entry.place], abs=1e-12)

    @pytest.mark.parametrize("n_exact", [0, 3])
    def test_across_p_there_is_a_line_for_each_number_of_exact_terms(self, n_exact):
        bench = replace(KNOWN, law=Geometric(0.3, n_exact), probe="sphere")
        subject = subject_of(bench, None)
        found = across_p(subject, bench)
        assert set(found) == {*LINES, n_exact}
        for n, costs in found.items():
            for index in (0, 20, 45):
                expected = numpys(A, None, "log_det", Geometric(float(P[index]), n), "sphere")
                assert (costs[index].probe, costs[index].roulette) == pytest.approx(expected, rel=1e-6)
            # 1 - rho^2 = 0.835: finite below, infinite beyond.
            assert [np.isfinite(c.total) for c in costs] == [bool(p < 1 - subject.radius**2) for p in P]

    def test_exact_terms_of_every_law(self):
        laws = Geometric(0.5, 7), Poisson(2.0, 4), Custom()
        assert [exact_terms(replace(KNOWN, law=law)) for law in laws] == [7, 4, PAPER.n_exact]
        bench = replace(KNOWN, law=laws[1])
        assert exact_terms(bench) in across_p(subject_of(bench, None), bench)

    def test_across_probes(self):
        found = across_probes(subject_of(KNOWN, None), KNOWN, 2)
        assert list(found) == list(PROBES)
        for probe, costs in found.items():
            assert costs[30].total == pytest.approx(sum(numpys(A, None, "log_det", Geometric(P[30], 2), probe)))


class TestMonteCarlo:
    @pytest.mark.parametrize("probe", ["gaussian", "rademacher", "orthogonal"])
    @pytest.mark.parametrize("n_exact", [0, 3])
    def test_dots_are_within_their_errors_of_the_closed_form(self, n_exact, probe):
        bench = replace(KNOWN, probe=probe, seed=1)
        dots = monte_carlo(bench, n_exact)
        # 1 - rho^(4/3) = 0.699
        assert [p for p, _, _ in dots] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
        for p, variance, error in dots:
            expected = sum(numpys(A, None, "log_det", Geometric(p, n_exact), probe))
            assert abs(variance - expected) < 5 * error + 1e-12
            assert error < 0.5 * expected
        assert MC_THROWS == 20_000

    def test_there_are_none_where_their_errors_would_mean_nothing(self):
        assert monte_carlo(replace(KNOWN, matrix=(0.95, 0.0, 0.0, 0.1)), 3) == []
        assert len(monte_carlo(replace(KNOWN, matrix=KINDS["nilpotent"]), 3)) == 9


class TestBatches:
    def test_sizes_have_the_benchs_own(self):
        assert set(2 ** np.arange(17)) <= set(BATCHES.tolist())
        sizes = across_batches(subject_of(KNOWN, None), replace(KNOWN, batch=300)).sizes
        assert 300 in sizes and (np.diff(sizes) > 0).all()

    def test_errors_of_a_batch_are_numpys(self):
        bench = replace(KNOWN, law=Geometric(0.5, 1), probe="rademacher", n_terms=4)
        subject = subject_of(bench, None)
        found = across_batches(subject, bench)
        probe, roulette = numpys(A, None, "log_det", bench.law, "rademacher")
        rests = np.cumsum(list(summands(A, None, "log_det"))[::-1], 0)[::-1]
        weights = [2.0**n - 2.0 ** (n - 1) for n in range(1, TERMS - 1)]
        common = sum(w * np.trace(rests[n + 2]) ** 2 for n, w in enumerate(weights))
        cut = sum(list(summands(A, None, "log_det"))[:5])
        for b, own, shared, truncated in zip(found.sizes, found.own, found.shared, found.truncated, strict=True):
            assert own**2 == pytest.approx((probe + roulette) / b, rel=1e-9)
            assert shared**2 == pytest.approx((probe + roulette) / b + (1 - 1 / b) * common, rel=1e-9)
            mse = (np.trace(cut) - KNOWN_LOG_DET) ** 2 + one_probes_variance(cut, "rademacher") / b
            assert truncated**2 == pytest.approx(mse, rel=1e-6)

    def test_the_curves_cross_where_it_is_said(self):
        subject = subject_of(KNOWN, None)
        where = crossing(subject, KNOWN)
        assert where == pytest.approx(1547, abs=1)
        for batch, roulette_wins in ((int(where), False), (int(where) + 1, True)):
            found = across_batches(subject, replace(KNOWN, batch=batch))
            at = np.searchsorted(found.sizes, batch)
            assert (found.own[at] < found.truncated[at]) == roulette_wins

    def test_they_need_not_cross(self):
        steep = replace(KNOWN, matrix=(0.9, 0.3, 0.1, -0.2))
        assert crossing(subject_of(steep, None), steep) == np.inf
        noisy = replace(KNOWN, matrix=KINDS["nilpotent"], law=Geometric(0.5, 0))
        assert crossing(subject_of(noisy, None), noisy) == np.inf  # no bias
        zero = replace(KNOWN, matrix=KINDS["zero"])
        assert crossing(subject_of(zero, None), zero) == 1
        good = replace(KNOWN, law=Geometric(0.5, 20), n_terms=1, probe="rademacher", matrix=(0.3, 0.0, 0.2, 0.1))
        subject = subject_of(good, None)
        assert crossing(subject, good) == pytest.approx(
            max(1, (cost(subject, good.law, "rademacher").total - 0.04) / subject.bias(1) ** 2)
        )


class TestFlow:
    rng = np.random.default_rng(0)
    points = 0.35 * rng.uniform(-1, 1, (3, 5, 2, 2))

    def test_variances_are_sums_over_blocks_and_means_over_points(self):
        bench = replace(KNOWN, subject="flow")
        subject = subject_of(bench, flow(self.points))
        exact = self.points.astype(np.float32).astype(float)
        for quantity in ("log_det", "neumann"):
            bench = replace(KNOWN, subject="flow", quantity=quantity)
            subject = subject_of(bench, flow(self.points))
            each = [
                [numpys(a, ENTRIES["12"].derivative(2), quantity, PAPER, "sphere") for a in block] for block in exact
            ]
            found = cost(subject, PAPER, "sphere")
            assert (found.probe, found.roulette) == pytest.approx(np.sum(each, 0).mean(0), rel=1e-6)
        assert subject_of(replace(bench, quantity="log_det"), flow(self.points)).truth == pytest.approx(
            np.linalg.slogdet(np.eye(2) + exact)[1].sum(0).mean(), abs=1e-12
        )
        assert subject.radius == pytest.approx(np.abs(np.linalg.eigvals(exact)).max(), rel=1e-9)

    def test_bias_and_truncated_variance(self):
        subject = subject_of(replace(KNOWN, subject="flow"), flow(self.points))
        exact = self.points.astype(np.float32).astype(float)
        cut = np.array([[sum(list(summands(a, None, "log_det"))[:4]) for a in block] for block in exact])
        expected = np.trace(cut, axis1=2, axis2=3).sum(0).mean() - np.linalg.slogdet(np.eye(2) + exact)[1].sum(0).mean()
        assert subject.bias(3) == pytest.approx(expected, abs=1e-12)
        variances = [[one_probes_variance(s, "gaussian") for s in block] for block in cut]
        assert subject.truncated_variance(3, "gaussian", 2) == pytest.approx(np.sum(variances, 0).mean() / 2)

    def test_one_point_with_an_infinite_variance_is_enough(self):
        points = self.points.copy()
        points[1, 2] = [[0.8, 0.0], [0.0, 0.1]]
        subject = subject_of(replace(KNOWN, subject="flow"), flow(points))
        assert cost(subject, Geometric(0.5, 3), "gaussian").total == np.inf
        assert np.isfinite(cost(subject, Geometric(0.3, 3), "gaussian").total)

    def test_what_is_not_there_yet_is_none_and_what_is_there_is_computed_once(self):
        bench = replace(KNOWN, subject="flow")
        assert subject_of(bench, None) is None
        jacobians = flow(self.points)
        assert subject_of(bench, jacobians) is subject_of(replace(bench, n_terms=9), jacobians)
        assert subject_of(bench, jacobians) is not subject_of(bench, flow(self.points))


class TestVerdicts:
    def test_the_cheapest_geometric_law_is_that_of_all_that_are_drawn(self):
        subject = subject_of(KNOWN, None)
        found = verdicts.products(KNOWN, subject)
        drawn = {(float(p), n): c.product for n, costs in across_p(subject, KNOWN).items()
                 for p, c in zip(P, costs, strict=True) if np.isfinite(c.total)}  # fmt: skip
        law, least = found.geometric
        assert (law.p, law.n_exact) == min(drawn, key=drawn.get)
        assert least.product == min(drawn.values()) and least == cost(subject, law, "gaussian")
        best = optimum(subject, KNOWN)
        assert found.best == cost(subject, best, "gaussian") and found.survival == best.table[:4]
        assert found.paper == cost(subject, PAPER, "gaussian")
        assert found.best.product <= least.product <= found.paper.product

    @pytest.mark.thorough
    def test_where_no_p_makes_it_finite_each_probe_has_its_best_law(self):
        for kind, can_be_finite in (("largest", False), ("turn", True)):
            bench = replace(KNOWN, matrix=KINDS[kind])
            subject = subject_of(bench, None)
            found = verdicts.probes(bench, subject)
            assert found.can_be_finite == can_be_finite
            assert can_be_finite or verdicts.products(bench, subject).geometric is None
            assert found.variances == {probe: cost(subject, bench.law, probe).total for probe in PROBES}
            assert set(found.products) == (set() if can_be_finite else set(PROBES))
            for probe, product in found.products.items():
                assert product == cost(subject, optimum(subject, replace(bench, probe=probe)), probe).product

    def test_points_with_an_infinite_variance_are_counted(self):
        radius = np.linspace(0, 0.99, 100)
        found = verdicts.infinite_points(radius, 0.5)
        assert found.share == np.mean(radius**2 > 0.5) == pytest.approx(0.29)
        assert np.mean(radius**2 > 1 - found.safe) == pytest.approx(0.01)


class TestPresets:
    def found(self, bench, name):
        return presets.performance(presets.PRESETS[name], bench, subject_of(bench, None))

    def test_they_have_numpys_numbers(self):
        gaussian = sum(numpys(A, None, "log_det", Geometric(0.5, 3), "gaussian"))
        signs = sum(numpys(A, None, "log_det", Geometric(0.5, 3), "rademacher"))
        assert (gaussian, signs) == pytest.approx((0.3917271732, 0.0014856049), abs=5e-9)
        for name, variance in (("paper", gaussian), ("rademacher", signs)):
            found = self.found(KNOWN, name)
            assert (found.bias, found.cost.total, found.cost.terms) == (0, pytest.approx(variance), pytest.approx(4))
            assert found.cost.product == pytest.approx(4 * variance)
        infinite = self.found(KNOWN, "image")
        assert (infinite.bias, infinite.cost.total, infinite.cost.product) == (0, np.inf, np.inf)
        assert infinite.cost.terms == pytest.approx(4)
        cut = sum(list(summands(A, None, "log_det"))[:6])
        variance, bias = one_probes_variance(cut, "gaussian"), np.trace(cut) - KNOWN_LOG_DET
        found = self.found(KNOWN, "i-resnet-5")
        assert (found.bias, found.cost.total) == (pytest.approx(bias, abs=1e-9), pytest.approx(variance))
        assert (found.cost.terms, found.cost.product) == (5, pytest.approx(5 * variance))
        assert (found.bias, found.cost.total**0.5) == pytest.approx((-0.000981, 0.625), rel=1e-3)

    def test_the_table_has_a_row_for_each(self):
        for probe in ("gaussian", "rademacher"):
            bench = replace(KNOWN, probe=probe)
            rows = presets.table(bench, subject_of(bench, None)).splitlines()[2:]
            cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
            for (title, *numbers), (name, preset) in zip(cells, presets.PRESETS.items(), strict=True):
                found = self.found(bench, name)
                shown = found.bias, found.cost.total**0.5, found.cost.terms, found.cost.product
                assert (title, numbers) == (preset.title, list(map(number, shown)))

    def test_no_ready_made_one_is_better_than_the_best_law(self):
        for probe in ("gaussian", "rademacher"):
            bench = replace(KNOWN, probe=probe)
            subject = subject_of(bench, None)
            best = presets.PRESETS["optimal"].change(bench, subject)
            value = cost(subject, best.law, probe).product
            assert value <= 1.01 * cost(subject, optimum(subject, bench), probe).product
            assert all(value <= 1.01 * c.product for costs in across_p(subject, bench).values() for c in costs)
            assert self.found(bench, "optimal").cost.product == pytest.approx(value)

    def test_without_a_best_law_there_is_nothing_to_type(self):
        for kind, probe in (("zero", "gaussian"), ("nilpotent", "gaussian"), ("diagonal", "rademacher")):
            bench = Bench(matrix=KINDS[kind], probe=probe)
            assert presets.PRESETS["optimal"].change(bench, subject_of(bench, None)) is None
            assert self.found(bench, "optimal") is None

    def test_presets_leave_the_rest_of_the_bench_alone(self):
        bench = replace(KNOWN, seed=5, batch=64, n_probes=3, n_draws=2)
        subject = subject_of(bench, None)
        changed = {name: preset.change(bench, subject) for name, preset in presets.PRESETS.items()}
        assert changed["paper"] == replace(bench, law=Geometric(0.5, 3), probe="gaussian", n_probes=1, n_draws=1)
        assert changed["image"].law == Poisson(2.0, 2)
        assert changed["i-resnet-10"] == replace(bench, n_terms=10, probe="gaussian", n_probes=1)
        assert all((c.seed, c.batch, c.matrix) == (5, 64, bench.matrix) for c in changed.values())

    @pytest.mark.thorough
    @pytest.mark.parametrize("quantity", ["log_det", "neumann", "plain"])
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.slow
    def test_no_matrix_breaks_them_and_nothing_is_nan(self, kind, quantity):
        for law in LAWS:
            for probe, n_probes in (("gaussian", 1), ("rademacher", 1), ("orthogonal", 2)):
                bench = Bench(
                    matrix=KINDS[kind], law=law, probe=probe, n_probes=n_probes, quantity=quantity, n_terms=30
                )
                subject = subject_of(bench, None)
                sentences = [presets.does(preset, bench, subject) for preset in presets.PRESETS.values()]
                for text in (presets.table(bench, subject), *sentences):
                    assert "nan" not in text and " inf " not in text
                    assert ("undecided" in text) <= (kind == "at the limit")
                assert crossing(subject, bench) >= 0 or kind == "at the limit"

    @pytest.mark.thorough
    def test_the_best_law_can_be_typed_whatever_the_radius(self):
        # A radius above 0.95 makes the table end with the largest ratio that is allowed, in spite of rounding.
        rng = np.random.default_rng(0)
        for radius in (1e-9, 1e-7, 1e-3, 0.5, *rng.uniform(0.94, 0.974, 15)):
            bench = Bench(matrix=(float(radius), float(rng.uniform(-1, 1) * min(1, radius)), 0.0, 0.0))
            subject = subject_of(bench, None)
            best = presets.PRESETS["optimal"].change(bench, subject)
            assert isinstance(best.law, Custom)
            assert np.isfinite(cost(subject, best.law, "gaussian").total)


def test_poisson_laws_are_infinite_at_every_lambda_unless_the_series_ends():
    for kind, finite in (("nilpotent", True), ("turn", False)):
        bench = Bench(matrix=KINDS[kind], law=Poisson(2.0, 4), probe="rademacher")
        found = across_lambda(subject_of(bench, None), bench)
        assert set(found) == {*LINES, 4} and all(len(costs) == len(LAMBDAS) for costs in found.values())
        assert all(np.isfinite(c.total) == finite for costs in found.values() for c in costs)
    # A^2 = 0: with one exact term nothing is left to the roulette, whose remainders R_2, R_3, ... vanish.
    nilpotent = across_lambda(subject_of(Bench(matrix=KINDS["nilpotent"]), None), Bench(matrix=KINDS["nilpotent"]))
    assert all(c.roulette == 0 for costs in nilpotent.values() for c in costs)
